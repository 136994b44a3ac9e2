"""Training crops of annotated people: the same ones for any number of workers, at a useful rate."""

from __future__ import annotations

import multiprocessing
from dataclasses import replace
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from posetrail.errors import InputError
from posetrail.skeletons import COCO_17
from training.augment import NO_AUGMENTATION, Augmentation
from training.figures import draw_figures
from training.loader import CropBatches, Crops, Order, process_context
from training.samples import Samples

SIZE = (96, 128)


def figures(folder: Path, number: int = 6) -> Samples:
    """Drawn figures as a data set."""
    images, keypoints, visibility = draw_figures(number, 0, SIZE)
    paths = tuple(folder / f"{i}.png" for i in range(number))
    for path, image in zip(paths, images, strict=True):
        cv2.imwrite(str(path), image[:, :, ::-1])
    boxes = np.concatenate([keypoints.min(1) - 6, keypoints.max(1) + 3], axis=1)
    return Samples(
        name="figures",
        skeleton=COCO_17,
        images=paths,
        image_rows=np.arange(number),
        boxes=boxes,
        keypoints=keypoints,
        visibility=visibility,
        areas=0.5 * (boxes[:, 2:] - boxes[:, :2]).prod(1),
    )


def test_every_epoch_is_one_permutation_and_processes_share_each_batch() -> None:
    whole = list(islice(Order(10, 0, 4, 0, 1, seed=1), 10))
    epochs = [place for batch in whole for place in batch]
    for epoch in range(4):
        assert sorted(row for e, row in epochs if e == epoch) == list(range(10))
    assert [row for e, row in epochs if e == 0] != [row for e, row in epochs if e == 1]
    halves = [list(islice(Order(10, 0, 4, rank, 2, seed=1), 10)) for rank in range(2)]
    assert [a + b for a, b in zip(*halves, strict=True)] == whole
    assert list(islice(Order(10, 12, 4, 0, 1, seed=1), 7)) == whole[3:]


def test_the_number_of_workers_changes_nothing(tmp_path: Path) -> None:
    crops = Crops(figures(tmp_path), (64, 96), Augmentation(), seed=5)
    here, there = (list(islice(CropBatches(crops, workers)(0, 4, 0, 1), 4)) for workers in (0, 2))
    for a, b in zip(here, there, strict=True):
        assert torch.equal(a.crops, b.crops)
        assert torch.equal(a.visibility, b.visibility)
        torch.testing.assert_close(a.keypoints, b.keypoints, rtol=0, atol=0, equal_nan=True)


def test_workers_are_spawned_where_there_is_no_forkserver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multiprocessing, "get_all_start_methods", lambda: ["spawn"])
    assert process_context().get_start_method() == "spawn"
    crops = Crops(figures(tmp_path), (64, 96), Augmentation(), seed=5)
    here, there = (next(iter(CropBatches(crops, workers)(0, 2, 0, 1))) for workers in (0, 1))
    assert torch.equal(here.crops, there.crops)


def test_another_augmentation_holds_in_the_last_epochs(tmp_path: Path) -> None:
    crops = Crops(figures(tmp_path), (64, 96), Augmentation(), last_augmentation=NO_AUGMENTATION, last_from=3, seed=5)
    plain = replace(crops, augmentation=NO_AUGMENTATION)
    assert not np.array_equal(crops[2, 0][0], plain[2, 0][0])
    np.testing.assert_array_equal(crops[3, 0][0], plain[3, 0][0])


def test_images_are_kept_up_to_a_limit(tmp_path: Path) -> None:
    samples = figures(tmp_path)
    crops = Crops(samples, (64, 96), NO_AUGMENTATION, cache_bytes=2 * SIZE[0] * SIZE[1] * 3)
    for row in range(6):
        crops[0, row]
    assert list(crops._images.by_number) == [4, 5]


def test_an_image_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    samples = figures(tmp_path)
    samples.images[2].write_bytes(b"")
    with pytest.raises(InputError, match=r"2\.png: cannot be read as an image"):
        Crops(samples, (64, 96), NO_AUGMENTATION)[0, 2]
