"""Training on drawn figures: each kind of target is learned, and flips must exchange left and right."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from torch import Tensor

from estimators.recipes import Recipe
from estimators.top_down import TopDown
from posetrail.frame import Frame
from posetrail.poses import Poses
from posetrail.skeletons import COCO_17
from tests.training.small_network import small_network
from training.figures import draw_figures
from training.loop import Batch, Objective, train
from training.losses.coordinates import smooth_l1
from training.losses.heatmaps import weighted_mse
from training.losses.simcc import simcc_kl
from training.optimisers import Optimiser
from training.plan import Plan
from training.processes import Process
from training.schedules import Schedule
from training.targets.kinds import TARGETS

SIZE = (72, 96)
BATCH, RING = 16, 128  # figures of a batch; batches before they repeat
HELD_OUT = 128
Output = Literal["heatmaps", "simcc", "coordinates"]


def objective(output: Output) -> Objective:
    kind, options, loss = {
        "heatmaps": ("gaussian", {"sigma": 1.0}, weighted_mse),
        "simcc": ("simcc", {"sigma": (3.0, 3.0)}, simcc_kl),
        "coordinates": ("coordinates", {}, partial(smooth_l1, beta=0.02)),
    }[output]

    def of(outputs: Any, keypoints: Tensor, visibility: Tensor) -> Tensor:
        target, weights = TARGETS[kind](keypoints, visibility, SIZE, **options)
        return loss(outputs, target, weights)

    return of


def flipped(images: np.ndarray, keypoints: np.ndarray, mirror: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The figures with even numbers mirrored."""
    images, keypoints = images.copy(), keypoints.copy()
    images[::2] = images[::2, :, ::-1]
    keypoints[::2] = keypoints[::2][:, mirror]
    keypoints[::2, :, 0] = SIZE[0] - 1 - keypoints[::2, :, 0]
    return images, keypoints


@cache
def ring() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return draw_figures(BATCH * RING, 1, SIZE)


def batches(first: int, size: int, rank: int, world_size: int, *, mirror: np.ndarray) -> Iterator[Batch]:
    while True:
        start = first % (BATCH * RING)
        images, keypoints, visibility = (each[start : start + size] for each in ring())
        images, keypoints = flipped(images, keypoints, mirror)
        yield Batch(*map(torch.from_numpy, (images, keypoints, visibility)))
        first += size


def trained(output: Output, steps: int, folder: Path, mirror: np.ndarray = COCO_17.mirror) -> TopDown:
    """An estimator after so many steps."""
    plan = Plan(
        epochs=steps,
        samples=BATCH,
        batch_size=BATCH,
        optimiser=Optimiser(kind="adamw", lr=4e-3, weight_decay=0.01),
        schedule=Schedule(kind="cosine", warmup_steps=max(1, steps * 3 // 10), warmup_factor=0.04),
    )
    network = small_network(output)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        train(
            network,
            objective(output),
            partial(batches, mirror=mirror),
            plan,
            folder,
            Process(0, 1, torch.device("cpu")),
        )
    finally:
        torch.set_num_threads(threads)
    network.eval()

    def run(crops: np.ndarray) -> tuple[np.ndarray, ...]:
        with torch.no_grad():
            answer = network(torch.from_numpy(np.ascontiguousarray(crops)))
        return tuple(each.numpy() for each in (answer if isinstance(answer, tuple) else (answer,)))

    recipe = TARGETS[{"heatmaps": "gaussian"}.get(output, output)].decoded_by(
        Recipe(input_size=SIZE, padding=(1.0, 1.0))
    )
    return TopDown(run, recipe)


def held_out(estimator: TopDown) -> tuple[Poses, np.ndarray]:
    """Estimates of figures that were not trained on, and the truth (N, 17, 2)."""
    images, keypoints, _ = draw_figures(HELD_OUT, 2, SIZE)
    box = np.array([[0.0, 0, *SIZE]])
    frames = [Frame(i, 0.0, "", image) for i, image in enumerate(images)]
    return Poses.concatenate(estimator(frames, [box] * len(frames))), keypoints


def near(estimate: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Whether (N, 17) joints are within a fifth of the torso, from the left shoulder to the right hip."""
    torso = np.linalg.norm(truth[:, 5] - truth[:, 12], axis=1)[:, None]
    return np.linalg.norm(estimate - truth, axis=2) <= 0.2 * torso


@pytest.mark.parametrize(("output", "bar"), [("heatmaps", 0.93), ("simcc", 0.75), ("coordinates", 0.6)])
def test_figures_are_learned_in_400_steps(tmp_path: Path, output: Output, bar: float) -> None:
    poses, truth = held_out(trained(output, 400, tmp_path))
    assert near(poses.keypoints, truth).mean() >= bar


def test_flips_with_the_right_mirror_pairs_help_and_without_them_confuse_the_sides(tmp_path: Path) -> None:
    shares, scores = {}, {}
    for name, mirror in (("right", COCO_17.mirror), ("none", np.arange(17))):
        (tmp_path / name).mkdir()
        poses, truth = held_out(trained("heatmaps", 200, tmp_path / name, mirror))
        scores[name] = near(poses.keypoints, truth).mean()
        shares[name] = near(poses.keypoints[:, COCO_17.mirror], truth)[:, 5:].mean()  # of the body, at the other side
    assert scores["right"] >= 0.8
    assert shares["right"] <= 0.3
    assert scores["none"] < 0.75
    assert shares["none"] > 0.4
