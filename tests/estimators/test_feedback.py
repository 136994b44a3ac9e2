"""Refinement in a loop, with networks that know the answer and with a small one that learns it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from estimators.feedback import (
    BOUND_PX,
    around_joints,
    bounded,
    error_feedback,
    feedback_input,
    fixed_path,
    pose_maps,
    refine_by_steps,
)
from posetrail.skeletons import COCO_17
from training.figures import draw_figures

SIZE = (64, 64)
CROPS = np.zeros((2, 64, 64, 3), np.uint8)


def places(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(8, 56, (2, 17, 2))


def test_maps_and_bounded_steps_equal_those_of_the_published_code(shared: Path) -> None:
    golden = np.load(shared / "goldens/functions/ief_render.npz")
    maps = pose_maps(golden["points"][None], (224, 224))[0]
    np.testing.assert_allclose(maps[:, ::8, ::8], golden["maps_every8"], atol=1e-4)
    np.testing.assert_allclose(maps.sum((1, 2), dtype=np.float64), golden["map_sum"], rtol=1e-6)
    peaks = np.stack(np.divmod(maps.reshape(5, -1).argmax(1), 224)[::-1], 1)
    assert np.array_equal(peaks, golden["peak_xy"])
    np.testing.assert_allclose(bounded(golden["displacement"], float(golden["bound"])), golden["bounded"])


def test_missing_joints_have_a_map_without_a_peak_and_stay_missing() -> None:
    keypoints = places()
    keypoints[0, 3] = np.nan
    assert (pose_maps(keypoints, SIZE)[0, 3] == -50).all()
    refined = refine_by_steps([lambda _, now: places(1) - now] * 4)(CROPS, keypoints)
    assert np.isnan(refined[0, 3]).all()
    assert np.isfinite(np.delete(refined[0], 3, 0)).all()


def test_a_network_that_knows_the_steps_arrives_after_as_many_bounded_steps_as_needed() -> None:
    truth, start = places(1), places(0)
    needed = int(np.ceil(np.linalg.norm(truth - start, axis=2).max() / 8))

    def distance(iterations: int) -> float:
        refine = refine_by_steps([lambda _, now: truth - now] * iterations, bound_px=8)
        return float(np.linalg.norm(refine(CROPS, start) - truth, axis=2).max())

    assert distance(needed) < 1e-9 < distance(needed - 1)
    path = fixed_path(start, truth, needed, 8)
    np.testing.assert_allclose(path[-1], truth)
    assert np.linalg.norm(np.diff(path, axis=0), axis=3).max() <= 8 + 1e-9
    assert np.array_equal(bounded(np.zeros((1, 2))), np.zeros((1, 2)))


def test_the_network_of_error_feedback_is_given_images_maps_and_centre() -> None:
    seen = []

    def run(x: np.ndarray) -> tuple[np.ndarray, ...]:
        seen.append(x)
        return (np.tile(np.repeat([1.0, -2.0], 17), (2, 1)),)

    steps = error_feedback(run, step_px=3.0)(CROPS, places())
    assert seen[0].shape == (2, 3 + 17 + 1, 64, 64)
    assert np.unravel_index(seen[0][0, -1].argmax(), (64, 64)) == (33, 33)
    assert (steps == [3.0, -6.0]).all()


@pytest.mark.parametrize("factor", [0.5, 1.0])
def test_a_cascade_finds_each_joint_in_a_crop_around_it(factor: float) -> None:
    keypoints = np.full((1, 17, 2), 30.0)
    keypoints[0, COCO_17.index("left_shoulder")] = 30, 20
    keypoints[0, COCO_17.index("right_hip")] = 30, 50
    crops = np.zeros((1, 64, 64, 3), np.uint8)
    crops[0, 33:36, 27:30] = 255  # a dot whose middle is at 28, 34

    def run(images: np.ndarray) -> tuple[np.ndarray, ...]:
        bright = images[..., 0] / np.maximum(images[..., 0].sum((1, 2), keepdims=True), 1)
        there = np.stack([(bright.sum(1) * np.arange(60)).sum(1), (bright.sum(2) * np.arange(60)).sum(1)], 1)
        return (np.where(images.any((1, 2, 3))[:, None], there / 60 - 0.5, 0),)

    correct = around_joints(run, COCO_17, factor=factor, size=(60, 60))
    refined = refine_by_steps([correct] * 2)(crops, keypoints)
    assert np.abs(refined[0, COCO_17.index("nose")] - [28, 34]).max() < 0.5


def test_a_small_network_learns_to_correct_the_mean_pose_of_stick_figures() -> None:
    torch.manual_seed(0)
    crops, truth, _ = draw_figures(4, 0, SIZE)
    start = np.broadcast_to(np.nanmean(truth, axis=0), truth.shape)
    path = fixed_path(start, truth, 3, 8.0)
    inputs = torch.from_numpy(np.concatenate([feedback_input(crops, now) for now in path[:-1]]) / 50)
    targets = torch.from_numpy(np.diff(path, axis=0).reshape(-1, *truth.shape[1:])).float()
    network = nn.Sequential(nn.Conv2d(21, 16, 4, 4), nn.ReLU(), nn.Conv2d(16, 16, 4, 4), nn.ReLU(), nn.Flatten())
    network = network.append(nn.Linear(256, 34))
    optimiser = torch.optim.Adam(network.parameters(), 3e-3)
    for _ in range(80):
        loss = (network(inputs.float()).unflatten(1, (2, 17)).transpose(1, 2) - targets).square().nanmean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    def run(x: np.ndarray) -> tuple[np.ndarray, ...]:
        with torch.inference_mode():
            return (network(torch.from_numpy(x / 50).float()).numpy(),)

    refined = refine_by_steps([error_feedback(run)] * 3, bound_px=8.0)(crops, start)
    before, after = (float(np.nanmean(np.linalg.norm(each - truth, axis=2))) for each in (start, refined))
    assert after < before / 2
    assert BOUND_PX == 20
