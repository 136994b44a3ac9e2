"""The smoothing filters: noise, outliers, fast motion, gaps, uneven times, blocks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posetrail.errors import InputError
from tests.movements import HEIGHT_PX, errors, jittered, jump, kick, uneven_times, walk, wandering_paths
from tracker.association.filters import MAX_GAP_S, OVERLAP_S, OneEuro, smooth_butterworth, smooth_kalman

Smooth = Callable[[np.ndarray, np.ndarray], np.ndarray]


def kalman(positions: np.ndarray, times_s: np.ndarray, **more: Any) -> np.ndarray:
    return smooth_kalman(positions, times_s, np.ones(positions.shape[:2]), HEIGHT_PX, **more)


def one_euro(positions: np.ndarray, times_s: np.ndarray, **more: Any) -> np.ndarray:
    smooth = OneEuro(**more)
    return np.array([smooth(points, t, HEIGHT_PX) for points, t in zip(positions, times_s, strict=True)])


SMOOTHERS: dict[str, Callable[..., np.ndarray]] = {
    "kalman": smooth_kalman,
    "butterworth": lambda positions, times_s, _scores, _sizes: smooth_butterworth(positions, times_s),
}
OFFLINE = [kalman, smooth_butterworth]
ALL = [*OFFLINE, one_euro]


# Noise and fast motion


@pytest.mark.parametrize("smooth", OFFLINE)
@pytest.mark.parametrize("T", [1, 2, 3, 5, 60])
def test_a_straight_line_at_constant_speed_is_unchanged(smooth: Smooth, T: int) -> None:
    times_s = uneven_times(np.random.default_rng(T), T)
    line = np.array([[300.0, 200], [100, 50]]) + times_s[:, None, None] * np.array([[500.0, -80], [0, 3]])
    np.testing.assert_allclose(smooth(line, times_s), line, atol=1e-3)


def test_one_euro_does_not_move_a_point_at_rest() -> None:
    rest = np.full((30, 2, 2), 7.5)
    np.testing.assert_allclose(one_euro(rest, np.arange(30) / 30), rest)


@pytest.mark.parametrize("fps", [15, 30, 60])
@pytest.mark.parametrize("move", [walk, kick, jump])
def test_noise_is_reduced_and_fast_motion_is_kept(move: Callable[[np.ndarray], np.ndarray], fps: int) -> None:
    times_s = np.arange(0, 9, 1 / fps) + 0.013
    truth = move(times_s)
    raw = jittered(truth)
    before = errors(raw, truth, times_s)
    assert (errors(kalman(raw, times_s), truth, times_s) < {15: 0.85, 30: 0.55, 60: 0.4}[fps] * before).all()
    assert (errors(smooth_butterworth(raw, times_s), truth, times_s) < {15: 1, 30: 0.7, 60: 0.6}[fps] * before).all()
    assert errors(one_euro(raw, times_s), truth, times_s)[0] < 1.05 * before[0]  # it cannot look ahead


@pytest.mark.parametrize("fps", [15, 30, 60])
def test_one_euro_reduces_jitter_at_rest_and_in_walking(fps: int) -> None:
    times_s = np.arange(0, 9, 1 / fps)
    for truth, share in [(walk(times_s) * 0, 0.8), (walk(times_s), 0.95)]:
        before = errors(jittered(truth), truth, times_s)
        assert (errors(one_euro(jittered(truth), times_s), truth, times_s) < share * before).all()


@pytest.mark.parametrize("fps", [30, 60])
@pytest.mark.parametrize("move", [walk, kick, jump])
def test_exact_paths_stay_within_half_a_percent_of_body_height(
    move: Callable[[np.ndarray], np.ndarray], fps: int
) -> None:
    times_s = np.arange(0, 9, 1 / fps) + 0.013
    for smooth in OFFLINE:
        assert errors(smooth(move(times_s), times_s), move(times_s), times_s)[0] < 0.005


def test_uneven_times_do_not_increase_the_error_of_the_kalman_smoother() -> None:
    random = np.random.default_rng(3)
    even, uneven = np.arange(600) / 30, uneven_times(random, 600)
    on_even = errors(kalman(jittered(walk(even)), even), walk(even), even)[0]
    on_uneven = errors(kalman(jittered(walk(uneven)), uneven), walk(uneven), uneven)[0]
    assert on_uneven < 1.1 * on_even


def test_an_outlier_is_corrected_and_its_neighbours_stay() -> None:
    times_s = np.arange(60) / 30
    truth = walk(times_s)
    jumped = truth.copy()
    jumped[30, 2] += 0.3 * HEIGHT_PX  # to the other leg, for one frame
    off = np.linalg.norm(kalman(jumped, times_s) - kalman(truth, times_s), axis=2)
    assert off[30, 2] < 0.01 * HEIGHT_PX
    assert off.max() < 0.01 * HEIGHT_PX
    assert np.linalg.norm(smooth_butterworth(jumped, times_s) - truth, axis=2).max() > 0.1 * HEIGHT_PX


def test_a_point_of_low_score_has_little_weight() -> None:
    times_s, scores = np.arange(30) / 30, np.ones((30, 1))
    positions = np.zeros((30, 1, 2))
    positions[15] = 3.0
    pulled = [0.0]
    for score in (0.0, 0.1, 0.5, 1.0):
        scores[15] = score
        pulled.append(float(smooth_kalman(positions, times_s, scores, HEIGHT_PX)[15, 0, 0]))
    assert pulled == sorted(pulled)
    assert pulled[1] < 0.1 < 1 < pulled[-1]
    scores[15] = np.nan
    assert smooth_kalman(positions, times_s, scores, HEIGHT_PX)[15, 0, 0] == pulled[1]


# Filters against their equations


@pytest.mark.parametrize("fps", [20, 30, 120])
def test_butterworth_lets_half_the_power_through_at_the_cut_off_without_delay(fps: int) -> None:
    times_s = np.arange(20 * fps) / fps
    wave = np.stack([np.sin(2 * np.pi * 6 * times_s), np.cos(2 * np.pi * 6 * times_s)], axis=-1)[:, None]
    smooth = smooth_butterworth(wave, times_s, cutoff_hz=6)
    middle = slice(5 * fps, 15 * fps)
    np.testing.assert_allclose(smooth[middle], wave[middle] / np.sqrt(2), atol=1e-9)


def test_kalman_without_outliers_has_the_gain_of_its_docstring() -> None:
    fps, noise, speed_drift = 240, 0.02, 5.0
    half_hz = (speed_drift**2 * fps / noise**2) ** 0.25 / (2 * np.pi)
    times_s = np.arange(10 * fps) / fps
    wave = np.stack([np.sin(2 * np.pi * half_hz * times_s), np.cos(2 * np.pi * half_hz * times_s)], axis=-1)[:, None]
    smooth = kalman(wave, times_s, noise=noise, speed_drift=speed_drift, tail=np.inf)
    middle = slice(3 * fps, 7 * fps)
    np.testing.assert_allclose(smooth[middle], wave[middle] / 2, atol=0.01)


def test_one_euro_gives_the_table_worked_out_by_hand() -> None:
    # Steps of 1 / (2 pi) s make alpha = 1 / (1 + 1 / cutoff); with beta = 1 / pi, the cut-off is 1 + speed / pi.
    # 0: 0, as it comes
    # 1: speed 1/2 * 2 pi (1 - 0) = pi             cutoff 2        alpha 2/3      0 + 2/3 * 1 = 2/3
    # 1: speed pi/2 + 1/2 * 2 pi * 1/3 = 5/6 pi    cutoff 11/6     alpha 11/17    2/3 + 11/17 * 1/3 = 15/17
    # 1, a double step: alpha = 1 / (1 + 1 / (2 cutoff)), that of the speed 2/3:
    #    speed 1/3 * 5/6 pi + 2/3 * pi * 2/17      cutoff 415/306  alpha 415/568  15/17 + 415/568 * 2/17 = 275/284
    smooth = OneEuro(min_cutoff_hz=1, beta=1 / np.pi, derivative_cutoff_hz=1)
    got = [
        smooth(np.array([[10.0 * x, 0]]), t / (2 * np.pi), 10.0)[0, 0] / 10 for x, t in [(0, 0), (1, 1), (1, 2), (1, 4)]
    ]
    assert got == pytest.approx([0, 2 / 3, 15 / 17, 275 / 284])


def test_one_euro_starts_anew_after_a_long_gap_only() -> None:
    smooth, point, away = OneEuro(), np.array([[0.0, 0]]), np.array([[90.0, 0]])
    smooth(point, 0.0, 300)
    assert np.isnan(smooth(np.full((1, 2), np.nan), 0.1, 300)).all()
    assert 0 < smooth(away, 0.2, 300)[0, 0] < 90
    assert smooth(point, 0.2 + MAX_GAP_S + 0.01, 300).tolist() == point.tolist()


# Properties of all paths


@pytest.mark.parametrize("smooth", ALL)
@given(paths=wandering_paths())
@settings(max_examples=25, deadline=None)
def test_missing_points_stay_missing_and_do_not_spread(smooth: Smooth, paths: tuple[np.ndarray, np.ndarray]) -> None:
    positions, times_s = paths
    kept = positions.copy()
    smoothed = smooth(positions, times_s)
    assert (np.isnan(smoothed) == np.isnan(positions)).all()
    np.testing.assert_array_equal(positions, kept)  # and the input is left alone


@pytest.mark.parametrize("smooth", ALL)
@given(paths=wandering_paths(), shift=st.floats(-1e3, 1e3), later_s=st.floats(0, 1e4))
@settings(max_examples=25, deadline=None)
def test_smoothing_commutes_with_shifts(
    smooth: Smooth, paths: tuple[np.ndarray, np.ndarray], shift: float, later_s: float
) -> None:
    positions, times_s = paths
    np.testing.assert_allclose(
        smooth(positions + shift, times_s + later_s), smooth(positions, times_s) + shift, atol=1e-4
    )


@pytest.mark.parametrize("smooth", ["kalman", "butterworth"])
@given(paths=wandering_paths(), scale=st.floats(0.1, 10))
@settings(max_examples=25, deadline=None)
def test_smoothing_commutes_with_scaling_of_image_and_person(
    smooth: str, paths: tuple[np.ndarray, np.ndarray], scale: float
) -> None:
    positions, times_s = paths
    scores, sizes = np.full(positions.shape[:2], 0.7), np.linspace(200, 300, len(times_s))
    small = SMOOTHERS[smooth](positions, times_s, scores, sizes)
    np.testing.assert_allclose(SMOOTHERS[smooth](positions * scale, times_s, scores, sizes * scale), small * scale)


@given(paths=wandering_paths())
@settings(max_examples=25, deadline=None)
def test_reversed_time_gives_the_reversed_path(paths: tuple[np.ndarray, np.ndarray]) -> None:
    positions, times_s = paths
    random = np.random.default_rng(len(times_s))
    scores, sizes = random.random(positions.shape[:2]), random.uniform(200, 300, len(times_s))
    forth = smooth_kalman(positions, times_s, scores, sizes)
    back = smooth_kalman(positions[::-1], -times_s[::-1], scores[::-1], sizes[::-1])
    np.testing.assert_allclose(back[::-1], forth, atol=1e-3)
    even_s = np.arange(len(times_s)) / 30
    forth, back = smooth_butterworth(positions, even_s), smooth_butterworth(positions[::-1], even_s)
    np.testing.assert_allclose(back[::-1], forth, atol=1e-3)


@pytest.mark.parametrize("smooth", ALL)
def test_points_are_smoothed_independently(smooth: Smooth) -> None:
    times_s = np.arange(40) / 30
    positions = jittered(walk(times_s))
    positions[5:8, 1], positions[:20, 3] = np.nan, np.nan
    apart = [smooth(positions[:, [point]], times_s) for point in range(positions.shape[1])]
    np.testing.assert_allclose(np.concatenate(apart, axis=1), smooth(positions, times_s), atol=1e-9)


# Gaps and blocks


@pytest.mark.parametrize("smooth", ALL)
def test_paths_on_both_sides_of_a_long_gap_are_independent(smooth: Smooth) -> None:
    times_s = np.arange(90) / 30
    positions = jittered(walk(times_s))
    positions[30:60] = np.nan  # a second
    positions[60:] += 500
    both = [smooth(positions[:30], times_s[:30]), smooth(positions[60:], times_s[60:])]
    np.testing.assert_allclose(smooth(positions, times_s)[[*range(30), *range(60, 90)]], np.concatenate(both))


@pytest.mark.parametrize("smooth", OFFLINE)
def test_paths_on_both_sides_of_a_short_gap_are_one(smooth: Smooth) -> None:
    times_s = np.arange(90) / 30
    truth = walk(times_s)
    positions = jittered(truth)
    positions[40:46] = np.nan
    apart = np.concatenate([smooth(positions[:40], times_s[:40]), smooth(positions[46:], times_s[46:])])
    seen = [*range(40), *range(46, 90)]
    assert not np.allclose(smooth(positions, times_s)[seen], apart, atol=0.5)
    never = smooth(positions, times_s, max_gap_s=0.1)  # type: ignore[call-arg]
    np.testing.assert_allclose(never[seen], apart)
    assert np.isfinite(smooth(positions, times_s, max_gap_s=np.inf)[seen]).all()  # type: ignore[call-arg]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("uneven", [False, True])
@pytest.mark.parametrize("name", ["kalman", "butterworth"])
def test_a_block_with_its_overlap_equals_the_whole(name: str, uneven: bool, seed: int) -> None:
    random = np.random.default_rng(seed)
    T = 600
    times_s = uneven_times(random, T) if uneven else np.arange(T) / 30
    positions = jittered(walk(times_s), seed=seed) * 3  # a person 900 pixels tall, in a large picture
    shape = positions.shape[:2]
    positions[random.random(shape) < 0.2] = np.nan
    positions[np.arange(T) % 10 != seed, 0] = np.nan  # a point seen three times a second
    scores, sizes = random.uniform(0, 1, shape), random.uniform(800, 1000, T)
    scores[:, :2] = 0
    smooth = SMOOTHERS[name]
    if uneven and name == "butterworth":
        smooth = lambda paths, t, _scores, _sizes: smooth_butterworth(paths, t, rate_hz=30)  # noqa: E731
    whole = smooth(positions, times_s, scores, sizes)
    begin_s, end_s = times_s[[T // 3, 2 * T // 3]]
    block = (times_s >= begin_s - OVERLAP_S) & (times_s < end_s + OVERLAP_S)
    kept = (times_s >= begin_s) & (times_s < end_s)
    part = smooth(positions[block], times_s[block], scores[block], sizes[block])
    np.testing.assert_allclose(part[kept[block]], whole[kept], rtol=0, atol=1e-3)


# Few or no frames, missing points, wrong input


@pytest.mark.parametrize("smooth", ALL)
@pytest.mark.parametrize("T", [1, 2])
def test_one_or_two_samples_stay_where_they_are(smooth: Smooth, T: int) -> None:
    positions = np.array([[[3.0, 4]], [[5, 6]]])[:T]
    times_s = np.array([0.0, 10.0])[:T]  # the second is a new path, if a slow camera
    smooth = partial(smooth, cutoff_hz=0.01) if smooth is smooth_butterworth else smooth
    np.testing.assert_allclose(smooth(positions, times_s), positions)


@pytest.mark.parametrize("smooth", ALL)
def test_points_that_are_all_missing_stay_missing(smooth: Smooth) -> None:
    times_s = np.arange(5) / 30
    assert np.isnan(smooth(np.full((5, 3, 2), np.nan), times_s)).all()
    assert smooth(np.zeros((5, 0, 2)), times_s).shape == (5, 0, 2)


@pytest.mark.parametrize("smooth", OFFLINE)
def test_no_frames_give_no_frames(smooth: Smooth) -> None:
    assert smooth(np.zeros((0, 3, 2)), np.zeros(0)).shape == (0, 3, 2)


def test_points_with_a_nan_or_infinite_coordinate_are_missing() -> None:
    positions = np.zeros((5, 1, 2))
    positions[1, 0, 0], positions[3, 0, 1] = np.nan, np.inf
    for smooth in ALL:
        assert np.isnan(smooth(positions, np.arange(5) / 30)).all(axis=2)[:, 0].tolist() == [0, 1, 0, 1, 0]


def test_unknown_sizes_are_interpolated() -> None:
    times_s, scores = np.arange(10) / 30, np.ones((10, 6))
    positions = jittered(walk(times_s))
    holes = np.linspace(200, 290, 10)
    holes[[0, 4, 5]] = np.nan
    interpolated = np.array([210.0, *np.linspace(210, 290, 9)])
    np.testing.assert_allclose(
        smooth_kalman(positions, times_s, scores, holes), smooth_kalman(positions, times_s, scores, interpolated)
    )


@pytest.mark.parametrize("smooth", OFFLINE)
@pytest.mark.parametrize("times_s", [[0, 0.2, 0.1], [0, np.nan, 1]])
def test_times_that_decrease_are_refused_in_one_line(smooth: Smooth, times_s: list[float]) -> None:
    with pytest.raises(InputError, match="times_s: expected seconds that never decrease"):
        smooth(np.zeros((3, 1, 2)), np.array(times_s))


@pytest.mark.parametrize("smooth", ALL)
@given(paths=wandering_paths(), steps=st.lists(st.booleans(), min_size=40, max_size=40))
@settings(max_examples=25, deadline=None)
def test_frames_of_the_same_time_do_not_move_points(
    smooth: Smooth, paths: tuple[np.ndarray, np.ndarray], steps: list[bool]
) -> None:
    positions, _ = paths
    times_s = np.cumsum(steps[: len(positions)]) / 30
    if smooth is smooth_butterworth:
        smooth = partial(smooth, rate_hz=30)
    smoothed = smooth(positions, times_s)
    assert (np.isnan(smoothed) == np.isnan(positions)).all()
    for point in range(positions.shape[1]):
        seen = np.isfinite(smoothed[:, point, 0])
        path, rests = smoothed[seen, point], np.diff(times_s[seen]) == 0
        np.testing.assert_allclose(np.diff(path, axis=0)[rests], 0, atol=1e-6)


def test_two_frames_of_one_time_are_averaged_offline_and_the_first_counts_online() -> None:
    times_s = np.array([0.0, 0.1, 0.1, 0.2])
    line = np.array([0.0, 0.8, 1.2, 2.0])[:, None, None] * np.ones((1, 1, 2))
    for smooth in OFFLINE:
        smooth = partial(smooth, cutoff_hz=4.0) if smooth is smooth_butterworth else smooth
        np.testing.assert_allclose(smooth(line, times_s)[[1, 2]], 1.0, atol=1e-3)
    live = one_euro(line, times_s)
    assert (live[2] == live[1]).all()
    assert (live[3] > live[2]).all()


def test_wrong_input_is_refused_in_one_line() -> None:
    positions, times_s, scores = np.zeros((9, 2, 2)), np.arange(9) / 10, np.ones((9, 2))
    with pytest.raises(InputError, match="expected below half of 10 samples per second, got 6; lower the cut-off"):
        smooth_butterworth(positions, times_s)
    with pytest.raises(InputError, match=r"positions: expected shape \(T, P, 2\), got \(9, 2\)"):
        smooth_butterworth(positions[..., 0], times_s)
    with pytest.raises(InputError, match=r"times_s: expected one per frame, shape \(9,\), got \(8,\)"):
        smooth_butterworth(positions, times_s[:8])
    with pytest.raises(InputError, match=r"scores: expected one per point, shape \(9, 2\)"):
        smooth_kalman(positions, times_s, scores[:, :1], 300)
    with pytest.raises(InputError, match="size_px: expected a number or one per frame"):
        smooth_kalman(positions, times_s, scores, np.ones(3))
    for size_px in (0, -1, np.nan, np.inf):
        with pytest.raises(InputError, match="size_px: expected the person's size"):
            smooth_kalman(positions, times_s, scores, size_px)
    with pytest.raises(InputError, match="noise: expected a number above 0, got 0"):
        smooth_kalman(positions, times_s, scores, 300, noise=0)
    with pytest.raises(InputError, match="beta: expected a number of 0 or more"):
        OneEuro(beta=-1)


def test_one_euro_refuses_frames_out_of_order_and_other_numbers_of_points() -> None:
    smooth = OneEuro()
    smooth(np.zeros((2, 2)), 1.0, 300)
    assert (smooth(np.ones((2, 2)), 1.0, 300) == 0).all()  # no time has passed
    with pytest.raises(InputError, match=r"expected a time not before 1 s, got 0\.9; give frames in order"):
        smooth(np.zeros((2, 2)), 0.9, 300)
    with pytest.raises(InputError, match=r"P as in the first frame, got \(3, 2\)"):
        smooth(np.zeros((3, 2)), 2.0, 300)
    with pytest.raises(InputError, match="size_px: expected a number above 0"):
        smooth(np.zeros((2, 2)), 2.0, 0)
