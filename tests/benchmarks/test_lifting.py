"""Cameras and the run of the benchmark of lifting, on invented motions."""

from __future__ import annotations

import numpy as np

from benchmarks.lifting import compare, seen_by_a_camera


def swinging(seed: int, frames: int = 30) -> np.ndarray:
    """A body (frames, 15, 3) metres that turns while its joints swing."""
    random = np.random.default_rng(seed)
    body = np.random.default_rng(0).normal(0, [0.2, 0.5, 0.2], (15, 3))
    phases = np.linspace(0, 2 * np.pi, frames)[:, None, None] + random.uniform(0, 6, (15, 3))
    return (body + 0.05 * np.sin(phases)).astype(np.float32)


def test_a_camera_sees_joints_relative_to_the_middle_of_the_hips() -> None:
    motion = swinging(0)
    joints, target = seen_by_a_camera(motion.astype(float), np.random.default_rng(1))
    assert joints.shape == (30, 15, 2)
    np.testing.assert_allclose(target[:, [2, 3]].mean(axis=1), 0, atol=1e-9)
    lengths = np.linalg.norm(motion[:, 5] - motion[:, 9], axis=1)
    np.testing.assert_allclose(np.linalg.norm(target[:, 5] - target[:, 9], axis=1), lengths, rtol=1e-5)


def test_both_errors_are_those_of_motions_not_trained_on() -> None:
    motions = {f"motion_{seed}": swinging(seed) for seed in range(4)}
    errors = compare(motions, channels=8, epochs=1, cameras=1)
    assert errors.keys() == {"network", "mean pose"}
    assert all(10 < error < 5000 for error in errors.values())
