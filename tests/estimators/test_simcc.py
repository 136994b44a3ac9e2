"""SimCC's vectors to joints: drawn Gaussians found again, what must always hold, and what published code gives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from estimators.simcc import dark_kernel, decode_simcc, flip_average_simcc
from tests.functions import recorded

SIGMAS = (4.9, 5.66)  # bins, of x and y, as RTMPose is trained
KERNELS = (29, 35)
places_px = arrays(np.float64, (2, 3, 2), elements=st.floats(20, 70))
any_vectors = arrays(np.float32, (2, 3, 40), elements=st.floats(-1, 1, width=32))


def vectors(places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gaussians of height 1 around places (N, K, 2) pixels, two bins to a pixel, of a 96 x 128 crop."""
    bins = np.arange(192), np.arange(256)
    x, y = (np.exp(-((bins[i] - 2 * places[..., i, None]) ** 2) / (2 * SIGMAS[i] ** 2)) for i in range(2))
    return x, y


def test_the_highest_bins_are_the_joint_and_the_lower_score_its_score() -> None:
    x, y = np.zeros((1, 1, 8)), np.zeros((1, 1, 6))
    x[0, 0, 5], y[0, 0, 2] = 0.9, 0.4
    keypoints, scores = decode_simcc(x, y)
    assert keypoints.tolist() == [[[2.5, 1.0]]]
    assert scores.tolist() == [[0.4]]


def test_a_joint_without_a_maximum_on_one_axis_is_missing() -> None:
    x, y = np.ones((1, 1, 8)), np.zeros((1, 1, 6))
    keypoints, scores = decode_simcc(x, y)
    assert np.isnan(keypoints).all()
    assert scores.tolist() == [[0]]


def test_kernels_are_odd_and_follow_the_spread() -> None:
    assert tuple(dark_kernel(sigma) for sigma in SIGMAS) == KERNELS


@settings(max_examples=25, deadline=None)
@given(places=places_px)
def test_a_gaussian_is_found_again(places: np.ndarray) -> None:
    keypoints, scores = decode_simcc(*vectors(places))
    assert np.abs(keypoints - places).max() <= 0.25 + 1e-9  # half a bin
    assert (scores > 0.99).all()
    refined, _ = decode_simcc(*vectors(places), dark_kernels=KERNELS)
    assert np.abs(refined - places).max() < 0.01


@settings(max_examples=25, deadline=None)
@given(x=any_vectors, y=any_vectors, dark=st.sampled_from([None, (5, 7)]))
def test_joints_are_decoded_independently_and_any_finite_vector_is_accepted(
    x: np.ndarray, y: np.ndarray, dark: tuple[int, int] | None
) -> None:
    keypoints, scores = decode_simcc(x, y, dark_kernels=dark)
    assert np.array_equal(np.isfinite(keypoints).all(axis=2), scores > 0)
    for n in range(2):
        alone = decode_simcc(x[n : n + 1], y[n : n + 1], dark_kernels=dark)
        np.testing.assert_array_equal(alone[0][0], keypoints[n])
        np.testing.assert_array_equal(alone[1][0], scores[n])
    assert decode_simcc(x[:0], y[:0], dark_kernels=dark)[0].shape == (0, 3, 2)


def test_a_constant_vector_raises_no_error() -> None:
    ones = np.ones((1, 1, 30))
    assert np.isfinite(decode_simcc(ones, ones, dark_kernels=(5, 5))[0]).all()


@settings(max_examples=25, deadline=None)
@given(places=places_px)
def test_the_flip_test_of_a_perfect_mirror_changes_nothing(places: np.ndarray) -> None:
    mirror = np.array([0, 2, 1])
    x, y = vectors(places)
    averaged = flip_average_simcc((x, y), (x[:, mirror, ::-1], y[:, mirror]), mirror)
    np.testing.assert_array_equal(averaged[0], x)
    np.testing.assert_array_equal(averaged[1], y)


@pytest.mark.parametrize(("key", "kernels"), [("dark0", None), ("dark1", KERNELS)])
def test_rtmpose_as_published(key: str, kernels: tuple[int, int] | None) -> None:
    golden = recorded("simcc_decode")
    keypoints, scores = decode_simcc(golden["simcc_x"], golden["simcc_y"], dark_kernels=kernels)
    np.testing.assert_array_equal(scores, golden[f"scores_{key}"])
    joint = scores > 0  # the published code puts the others at -1, -1 bins
    np.testing.assert_allclose(keypoints[joint], golden[f"keypoints_{key}"][joint], atol=1e-4)
    assert np.isnan(keypoints[~joint]).all()
