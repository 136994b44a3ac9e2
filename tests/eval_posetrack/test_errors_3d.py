"""Metrics of 3-D joints: recorded figures, cases worked out by hand, and what must hold for any poses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from eval_posetrack.metrics import errors_3d as metrics

from ..conftest import SHARED

_GOLDEN = SHARED / "goldens" / "functions" / "lift3d_metrics.npz"
_SEEDS = st.integers(0, 10_000)
_PARENTS = (-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 9, 8, 11, 12, 8, 14, 15)


def _poses(seed: int, frames: int = 5, joints: int = 17) -> np.ndarray:
    """Poses in metres whose first joint, the root, is at the origin."""
    poses = np.random.default_rng(seed).normal(scale=0.4, size=(frames, joints, 3))
    return poses - poses[:, :1]


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    if not _GOLDEN.is_file():
        pytest.skip("../shared/goldens is not here")
    with np.load(_GOLDEN) as file:
        return dict(file)


def test_figures_equal_the_recorded_ones(golden: dict[str, np.ndarray]) -> None:
    predicted, truth = (metrics.relative_to(golden[name], golden[name][:, 0]) for name in ("predicted", "truth"))
    errors = metrics.joint_errors(predicted, truth)
    mirrored = predicted * [-1, 1, 1]
    per_frame = [metrics.p_mpjpe(predicted[k : k + 1], truth[k : k + 1]) for k in range(len(truth))]
    bones = np.array([(parent, child) for child, parent in enumerate(_PARENTS) if parent >= 0])
    lengths = metrics.bone_lengths(predicted, bones)
    weights = 1 / (4 + golden["truth"][:, 0, 2])
    measured = {
        "mpjpe_root": metrics.mpjpe(predicted, truth),
        "mpjpe_each": errors,
        "p_mpjpe": metrics.p_mpjpe(predicted, truth),
        "p_mpjpe_frame": per_frame,
        "p_mpjpe_mirror": metrics.p_mpjpe(mirrored, truth),
        "n_mpjpe": metrics.n_mpjpe(predicted, truth),
        "mpjve": metrics.mpjve(predicted, truth),
        "weighted_mpjpe": metrics.weighted_mpjpe(golden["predicted"], golden["truth"], weights),
        "pck3d_150mm": metrics.pck(1000 * errors),
        "auc3d": metrics.auc(1000 * errors),
        "accel_error": metrics.acceleration_error(predicted, truth),
        "accel": metrics.acceleration(predicted),
        "bone_lengths_mean": lengths.mean(axis=0),
        "bone_lengths_std": lengths.std(axis=0),
    }
    for name, value in measured.items():
        np.testing.assert_allclose(value, golden[name], rtol=1e-9, atol=1e-12, err_msg=name)


def test_a_joint_off_by_30_mm_among_three() -> None:
    truth = np.array([[[0.0, 0, 0], [0, 500, 0], [300, 0, 0]]])
    predicted = truth + np.array([[[0, 0, 0], [0, 0, 30], [0, 0, 0]]])
    assert metrics.mpjpe(predicted, truth) == pytest.approx(10)
    assert metrics.pck(metrics.joint_errors(predicted, truth), 30) == pytest.approx(200 / 3)


def test_thresholds_are_strict() -> None:
    assert metrics.pck(np.array([0.0, 150.0, 149.9]), 150) == pytest.approx(200 / 3)
    assert metrics.auc(np.zeros(4)) == pytest.approx(100 * 30 / 31)  # no error is below the threshold 0


@settings(max_examples=30, deadline=None)
@given(_SEEDS, st.floats(0.2, 5))
def test_the_aligned_error_forgives_any_similarity(seed: int, scale: float) -> None:
    truth = _poses(seed)
    rotation = Rotation.random(rng=np.random.default_rng(seed)).as_matrix()
    moved = scale * truth @ rotation + [1.0, -2.0, 3.0]
    assert metrics.p_mpjpe(moved, truth) < 1e-9
    assert metrics.n_mpjpe(scale * truth, truth) < 1e-9


@settings(max_examples=30, deadline=None)
@given(_SEEDS)
def test_no_similarity_undoes_a_mirror_image(seed: int) -> None:
    truth = _poses(seed)
    assert metrics.p_mpjpe(truth * [-1, 1, 1], truth) > 0.01


@settings(max_examples=30, deadline=None)
@given(_SEEDS)
def test_what_is_fitted_never_enlarges_the_squared_error(seed: int) -> None:
    truth, predicted = _poses(seed), _poses(seed + 1)

    def squares(poses: np.ndarray) -> np.ndarray:
        return ((poses - truth) ** 2).sum(axis=(1, 2))

    assert (squares(metrics.aligned(predicted, truth)) <= squares(predicted) + 1e-9).all()


@settings(max_examples=30, deadline=None)
@given(_SEEDS)
def test_a_constant_offset_has_no_velocity(seed: int) -> None:
    truth = _poses(seed)
    assert metrics.mpjve(truth + 0.2, truth) < 1e-9
    assert metrics.acceleration_error(truth + 0.2, truth) < 1e-9


def test_missing_joints_and_frames_are_left_out() -> None:
    truth, noise = _poses(0, frames=6), _poses(1, frames=6)
    predicted = truth + 0.1 * noise
    some = predicted.copy()
    some[:, 5] = np.nan
    rest = np.delete(np.arange(17), 5)
    for metric in (metrics.mpjpe, metrics.p_mpjpe, metrics.n_mpjpe, metrics.mpjve):
        assert metric(some, truth) == pytest.approx(metric(predicted[:, rest], truth[:, rest])), metric.__name__
    cut = predicted.copy()
    cut[3] = np.nan
    steps = metrics.joint_errors(np.diff(predicted, axis=0), np.diff(truth, axis=0))
    assert metrics.mpjve(cut, truth) == pytest.approx(steps[[0, 1, 4]].mean())


def test_nothing_to_compare_is_nan() -> None:
    nothing = np.full((2, 17, 3), np.nan)
    for metric in (metrics.mpjpe, metrics.p_mpjpe, metrics.n_mpjpe, metrics.mpjve, metrics.acceleration_error):
        assert np.isnan(metric(nothing, _poses(0, frames=2)))
    assert np.isnan(metrics.pck(np.full(3, np.nan)))
