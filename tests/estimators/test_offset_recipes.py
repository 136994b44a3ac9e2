"""Networks whose maps are disks and offsets, read by a recipe."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from estimators.onnx_file import recipe_for
from estimators.recipes import Recipe
from estimators.top_down import TopDown
from posetrail.errors import InputError
from posetrail.frame import Frame
from posetrail.skeletons import COCO_17, MPI_14
from training.targets.heatmaps import udp_offset_maps

SIZE = (192, 256)


@pytest.mark.parametrize("flip_test", [False, True])
@pytest.mark.parametrize("decoder", ["udp_offsets", "votes"])
def test_targets_of_offsets_are_read_as_the_joints(decoder: str, *, flip_test: bool) -> None:
    recipe = Recipe(input_size=SIZE, output="offsets", decoder=decoder, crop="unbiased", alignment="ends")
    joints = np.random.default_rng(0).uniform(40, 150, (1, 17, 2))
    mirrored = joints[:, COCO_17.mirror].copy()
    mirrored[..., 0] = SIZE[0] - 1 - mirrored[..., 0]
    calls = iter([joints, mirrored])

    def run(crops: np.ndarray) -> tuple[np.ndarray, ...]:
        maps, _ = udp_offset_maps(torch.from_numpy(next(calls)), torch.full((1, 17), 2), SIZE)
        return (maps.numpy(),)

    estimator = TopDown(run, recipe, crop_scale=1.0, flip_test=flip_test)
    frame = Frame(0, 0.0, "", np.zeros((256, 192, 3), np.uint8))
    [poses] = estimator([frame], [np.array([[0.0, 0, 191, 255]])])
    assert np.abs(poses.keypoints - joints).max() < 1.5
    # of perfect maps: smoothing lowers a disk, and votes are shared by the nodes around a joint
    assert (poses.keypoint_scores > 0.25).all()
    assert (poses.keypoint_scores <= 1).all()


def test_the_decoder_of_offsets_is_checked() -> None:
    with pytest.raises(InputError, match="unknown decoder 'vote'; did you mean 'votes'"):
        Recipe(output="offsets", decoder="votes").with_decoder("vote")


def test_an_onnx_file_with_three_maps_per_joint_has_offsets() -> None:
    found = recipe_for(Path("a.onnx"), (np.zeros((1, 51, 64, 48)),), SIZE)
    assert (found.output, found.decoder, found.skeleton) == ("offsets", "udp_offsets", COCO_17)
    found = recipe_for(Path("a.onnx"), (np.zeros((1, 42, 64, 48)),), SIZE, MPI_14)
    assert (found.output, found.skeleton) == ("offsets", MPI_14)
