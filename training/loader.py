"""Training crops of annotated people, made by worker processes: the same ones for any number of workers."""

from __future__ import annotations

import multiprocessing
import signal
from collections import OrderedDict
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field, replace
from multiprocessing.context import BaseContext

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from posetrail.frame import Image
from posetrail.similarity import keypoint_boxes
from training.augment import Augmentation, augmented, drawn
from training.data.image_files import read_image
from training.error_synthesis import wrong_pose_in_crop
from training.loop import Batch
from training.samples import Samples

_ERRORS = 1  # tells the random numbers of errors from those of augmentation


@dataclass(frozen=True)
class Crops(Dataset[tuple[np.ndarray, ...]]):
    """Training crops by (epoch, row of the samples).

    Raises:
        InputError: an image cannot be read.
    """

    samples: Samples
    crop_size: tuple[int, int]  # width and height, pixels
    augmentation: Augmentation
    last_augmentation: Augmentation | None = None  # from epoch `last_from` on
    last_from: float = 0.0
    seed: int = 0
    with_errors: bool = False  # crops around the joints, and poses with errors, for refiners
    cache_bytes: int = 1_000_000_000  # of decoded images
    _images: _Images = field(default_factory=lambda: _Images(), repr=False)

    def __getitem__(self, place: tuple[int, int]) -> tuple[np.ndarray, ...]:
        """Crop (H, W, 3) uint8 RGB, keypoints (K, 2) float32 in its pixels, visibility (K,) uint8.

        With errors also the pose (K, 2) float32 that a refiner is to correct.
        """
        epoch, row = place
        samples = self.samples
        is_last = self.last_augmentation is not None and epoch >= self.last_from
        augmentation = self.last_augmentation if is_last and self.last_augmentation else self.augmentation
        image = self._image(int(samples.image_rows[row]))
        crop = augmented(
            image,
            self._box(row),
            samples.keypoints[row].astype(np.float64),
            samples.visibility[row],
            samples.skeleton,
            augmentation,
            drawn(augmentation, self.seed, epoch, row),
            self.crop_size,
        )
        if not self.with_errors:
            return crop.image, crop.keypoints, crop.visibility
        rng = np.random.default_rng([self.seed, epoch, row, _ERRORS])
        wrong = wrong_pose_in_crop(rng, samples, row, crop, image.shape[1])
        return crop.image, crop.keypoints, crop.visibility, wrong.astype(np.float32)

    def _box(self, row: int) -> np.ndarray:
        """The box (4,) of a person; with errors that of the joints, as refiners crop, unless they are at one place."""
        box = self.samples.boxes[row].astype(np.float64)
        around = keypoint_boxes(self.samples.keypoints[[row]].astype(np.float64))[0]
        return around if self.with_errors and (around[2:] - around[:2]).max() >= 1 else box

    def _image(self, number: int) -> Image:
        """A decoded image; those used last are kept."""
        image = self._images.get(number)
        if image is None:
            image = read_image(self.samples.images[number])
            self._images.keep(number, image, self.cache_bytes)
        return image


class _Images:
    """Decoded images by number, the one used last at the end."""

    def __init__(self) -> None:
        self.by_number: OrderedDict[int, Image] = OrderedDict()
        self._bytes = 0

    def get(self, number: int) -> Image | None:
        image = self.by_number.get(number)
        if image is not None:
            self.by_number.move_to_end(number)
        return image

    def keep(self, number: int, image: Image, most_bytes: int) -> None:
        """Keep an image, and drop those that were used longest ago if there are more bytes than allowed."""
        self.by_number[number] = image
        self._bytes += image.nbytes
        while len(self.by_number) > 1 and self._bytes > most_bytes:
            self._bytes -= self.by_number.popitem(last=False)[1].nbytes


class Order(Sampler[list[tuple[int, int]]]):
    """The endless sequence of samples: every epoch is one permutation of all rows, drawn from the seed and the epoch.

    Yields the part of every batch that belongs to one process, from the sample with number `first` on.
    """

    def __init__(self, rows: int, first: int, size: int, rank: int, world_size: int, seed: int) -> None:
        self._rows, self._first, self._seed = rows, first, seed
        self._size, self._rank, self._part = size, rank, size // world_size

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        """Batches of (epoch, row)."""
        known_epoch, permutation = -1, np.zeros(0, int)
        start = self._first + self._rank * self._part
        while True:
            batch = []
            for number in range(start, start + self._part):
                epoch, place = divmod(number, self._rows)
                if epoch != known_epoch:
                    known_epoch = epoch
                    permutation = np.random.default_rng([self._seed, epoch]).permutation(self._rows)
                batch.append((epoch, int(permutation[place])))
            yield batch
            start += self._size


def collated(parts: list[tuple[np.ndarray, ...]]) -> Batch:
    """One batch of crops."""
    return Batch(*(torch.from_numpy(np.stack(each)) for each in zip(*parts, strict=True)))


@dataclass(frozen=True)
class CropBatches:
    """The batches of a training; see `training.loop.Batches`."""

    crops: Crops
    workers: int = 0  # processes that make crops; 0: this one

    def __call__(self, first: int, size: int, rank: int, world_size: int) -> Generator[Batch]:
        """This process's parts of the batches, from the sample with number `first` on.

        Closing the generator ends the worker processes.
        """
        in_each = self.crops.cache_bytes // max(self.workers, 1)
        yield from DataLoader(
            replace(self.crops, cache_bytes=in_each) if self.workers else self.crops,
            batch_sampler=Order(len(self.crops.samples), first, size, rank, world_size, self.crops.seed),
            num_workers=self.workers,
            collate_fn=collated,
            worker_init_fn=start_worker,
            multiprocessing_context=process_context() if self.workers else None,
        )


def process_context() -> BaseContext:
    """How worker processes start: from a server that has loaded nothing, or spawned where there is none, on Windows.

    They are not forked from the training, because the threads of torch and OpenCV do not survive that.
    """
    has_server = "forkserver" in multiprocessing.get_all_start_methods()
    return multiprocessing.get_context("forkserver" if has_server else "spawn")


def start_worker(_: int) -> None:
    """One thread in each process; Ctrl-C, which a terminal sends to all processes, is left to the one that trains."""
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
