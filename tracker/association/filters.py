"""Smooth the paths of points over time, each by itself: offline for the second pass, causal for live use.

`smooth_kalman` (the default offline) and `smooth_butterworth` look at past and future, `OneEuro` at the past alone.
All take true, uneven times; a missing point (NaN) stays missing, for smoothing never invents; and what lies more than
`max_gap_s` apart is smoothed apart. Noise and motion are told in sizes of the person, so that one setting serves
every resolution and distance.

Long videos are smoothed in blocks: a block with `OVERLAP_S` more on each side, cut off afterwards, equals the whole.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

import numpy as np
from scipy.interpolate import CubicSpline, PchipInterpolator
from scipy.signal import butter, sosfiltfilt

from posetrail.errors import InputError

MAX_GAP_S = 0.5
"""A point unseen for longer starts anew: what it did meanwhile is anybody's guess."""

OVERLAP_S = 4.0
"""Seconds that a block needs on each side to equal the whole within 0.001 pixel, at the default settings, even for
points of the lowest scores seen twice a second; points seen throughout need one."""

SAME_INSTANT_S = 1e-5
"""Less than this between two frames is no frame rate: their times were the same, or clamped to grow."""

_MIN_SCORE = 0.01  # a placed point of score 0 is nearly, not wholly, without say: its path still needs a place
_UNKNOWN_SPEED = 1e3  # sizes per second: a point that appears may move at any speed
_ROUNDS = 5  # of weighing and smoothing: 25 more move points by a tenth of the noise (rms) at 15 Hz, a 70th at 60
_PAD_PERIODS = 4  # of the cut-off: the filter's memory of an end has faded to 1e-7 by then


def smooth_kalman(
    positions: np.ndarray,
    times_s: np.ndarray,
    scores: np.ndarray,
    size_px: np.ndarray | float,
    *,
    noise: float = 0.015,
    speed_drift: float = 6.0,
    tail: float = 4.0,
    max_gap_s: float = MAX_GAP_S,
) -> np.ndarray:
    """Paths smoothed by a constant-velocity Kalman filter and Rauch, Tung and Striebel's way back (AIAA J. 3, 1965).

    Speed wanders as white noise in acceleration, integrated exactly over each step, however long (Bar-Shalom, Li,
    Kirubarajan 2001, section 6.2.2). Measurement noise is Student's t, for joints jump to the other leg: each round
    smooths, then weighs every point by how far it lies from its path, w = (tail + 2) / (tail + d^2), d in standard
    deviations (Piché, Särkkä, Hartikainen, MLSP 2012). Weighed by the path and not by the prediction, the beginning
    of a kick is no outlier, and reversed time gives the reversed path.

    Without far points, on even steps h short beside 1 / f0, it is the low-pass of a Butterworth filter run there and
    back: its gain is 1 / (1 + (f / f0)^4), (2 pi f0)^4 = speed_drift^2 / (noise^2 h). That is 1/sqrt(2) at 6 Hz for
    30 frames a second and at 7 Hz for 60.

    Args:
        positions: (T, P, 2) pixels, NaN where missing.
        times_s: (T,) seconds, never decreasing, steps may differ.
        scores: (T, P) 0..1; a point of score 1/2 counts as half a measurement (twice the variance).
        size_px: (T,) or one number: how tall the person would stand, in pixels; NaN where unknown.
        noise: standard deviation, in sizes, of where a point of score 1 is placed.
        speed_drift: standard deviation, in sizes per second, by which a point's speed changes within a second.
        tail: degrees of freedom of the noise: few distrust far points, infinitely many trust all alike.
        max_gap_s: a point missing for longer than this starts a new path.

    Returns:
        (T, P, 2) float64 pixels, NaN where `positions` were.

    Raises:
        InputError: a shape, a time, a size or a setting is wrong.
    """
    _check_positive(noise=noise, speed_drift=speed_drift, tail=tail, max_gap_s=max_gap_s)
    positions, times_s = _checked_paths(positions, times_s)
    T, P, _ = positions.shape
    scores = np.asarray(scores, float)
    if scores.shape != (T, P):
        raise InputError(f"scores: wanted one per point, shape {(T, P)}, got {scores.shape}")
    seen = np.isfinite(positions).all(axis=2)
    if not seen.any():
        return np.full((T, P, 2), np.nan)
    sizes = _checked_sizes(size_px, times_s)

    trust = np.clip(np.nan_to_num(scores), _MIN_SCORE, 1)
    variances = np.where(seen, (noise * sizes[:, None]) ** 2 / trust, np.inf)
    drifts = (speed_drift * (sizes[1:] + sizes[:-1]) / 2) ** 2
    measured = np.where(seen[..., None], positions, 0.0)
    starts = _starts(seen, times_s, max_gap_s)
    weights = np.ones((T, P))
    for _ in range(_ROUNDS):
        path, spread = _smooth_gaussian(
            measured, variances / weights, np.diff(times_s), drifts, starts, (_UNKNOWN_SPEED * sizes) ** 2
        )
        off = (((measured - path) ** 2).sum(axis=2) + 2 * spread) / variances  # 0 where unseen
        weights = (1 + 2 / tail) / (1 + off / tail)
    return np.where(seen[..., None], path, np.nan)


def _smooth_gaussian(
    measured: np.ndarray,  # (T, P, 2)
    variances: np.ndarray,  # (T, P) of each measurement; infinite where there is none
    steps_s: np.ndarray,  # (T - 1,)
    drifts: np.ndarray,  # (T - 1,) variance that speed gains per second
    starts: np.ndarray,  # (T, P) bool: here a path begins
    speed_variances: np.ndarray,  # (T,) of a path that begins
) -> tuple[np.ndarray, np.ndarray]:
    """Means (T, P, 2) and variances (T, P) of the places, given all measurements: Kalman filter, RTS smoother.

    The state of a point is place and speed. Both axes of the image share one covariance, of which place, place with
    speed, and speed are kept apart: 2 x 2 matrices written out, four times as fast as many small ones.
    """
    T, P, _ = measured.shape
    places, speeds = np.zeros((T, P, 2)), np.zeros((T, P, 2))
    spreads = np.zeros((T, 3, P))  # variance of the place, covariance, variance of the speed
    place, speed, spread = places[0], speeds[0], spreads[0]
    for t in range(T):
        if t:
            place, speed, spread = _predict(place, speed, spread, steps_s[t - 1], drifts[t - 1])
        to_place, to_speed = spread[:2] / (spread[0] + variances[t])
        off = measured[t] - place
        place, speed = place + to_place[:, None] * off, speed + to_speed[:, None] * off
        spread = spread - np.stack([to_place * spread[0], to_place * spread[1], to_speed * spread[1]])
        if starts[t].any():
            new = starts[t]
            place[new], speed[new] = measured[t, new], 0
            spread[0, new], spread[1, new], spread[2, new] = variances[t, new], 0, speed_variances[t]
        places[t], speeds[t], spreads[t] = place, speed, spread
    for t in range(T - 2, -1, -1):
        place, speed, (pp, pv, vv) = _predict(places[t], speeds[t], spreads[t], steps_s[t], drifts[t])
        # Rauch, Tung and Striebel's gain: covariance, motion transposed, inverse of the predicted covariance.
        old_pp, old_pv, old_vv = spreads[t]
        moved_p, moved_v = old_pp + steps_s[t] * old_pv, old_pv + steps_s[t] * old_vv
        determinant = pp * vv - pv**2
        apart = starts[t + 1] | (determinant <= 0)  # a new path says nothing of the old one, nor does one not begun
        scale = np.where(apart, 0.0, 1 / np.where(apart, 1.0, determinant))
        g_pp, g_pv = (moved_p * vv - old_pv * pv) * scale, (old_pv * pp - moved_p * pv) * scale
        g_vp, g_vv = (moved_v * vv - old_vv * pv) * scale, (old_vv * pp - moved_v * pv) * scale
        place_off, speed_off = places[t + 1] - place, speeds[t + 1] - speed
        places[t] += g_pp[:, None] * place_off + g_pv[:, None] * speed_off
        speeds[t] += g_vp[:, None] * place_off + g_vv[:, None] * speed_off
        d_pp, d_pv, d_vv = spreads[t + 1] - (pp, pv, vv)
        spreads[t, 0] += g_pp**2 * d_pp + 2 * g_pp * g_pv * d_pv + g_pv**2 * d_vv
        spreads[t, 1] += g_pp * g_vp * d_pp + (g_pp * g_vv + g_pv * g_vp) * d_pv + g_pv * g_vv * d_vv
        spreads[t, 2] += g_vp**2 * d_pp + 2 * g_vp * g_vv * d_pv + g_vv**2 * d_vv
    return places, spreads[:, 0]


def _predict(
    place: np.ndarray, speed: np.ndarray, spread: np.ndarray, step_s: float, drift: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """State a step later: speed stays, but for white noise in acceleration."""
    h = step_s
    pp, pv, vv = spread
    wander = drift * np.array([h**3 / 3, h**2 / 2, h])[:, None]
    return place + h * speed, speed, np.stack([pp + 2 * h * pv + h * h * vv, pv + h * vv, vv]) + wander


def smooth_butterworth(
    positions: np.ndarray,
    times_s: np.ndarray,
    *,
    cutoff_hz: float = 6.0,
    rate_hz: float | None = None,
    max_gap_s: float = MAX_GAP_S,
) -> np.ndarray:
    """Paths smoothed as gait laboratories do: a Butterworth low-pass of second order, run there and back.

    The two runs make it fourth order without delay. Each lets more through than asked, so that the gain of both is
    1/sqrt(2) at the cut-off (Winter, Biomechanics and Motor Control of Human Movement, 4th ed., p. 69).
    It knows neither scores nor outliers: a point that jumps pulls its neighbours along.

    The filter needs even steps: a point's short gaps are bridged by straight lines, and uneven times are brought onto
    a grid and back; even times are the grid. A path of fewer than three places on the grid is left as it is; others
    are continued by their image turned about either end, again and again if short, for four periods of the cut-off.

    Args:
        positions: (T, P, 2) pixels, NaN where missing.
        times_s: (T,) seconds, never decreasing, steps may differ; frames less than `SAME_INSTANT_S` apart are taken for
            one, with the mean of their points.
        cutoff_hz: what is faster is taken away; 6 Hz is Winter's for walking.
        rate_hz: of the grid, which then stands at multiples of 1 / rate_hz: give it to smooth uneven times in blocks.
            If not given, the rate of the frames, dropped ones counted, from the first time on.
        max_gap_s: a point missing for longer than this starts a new path.

    Returns:
        (T, P, 2) float64 pixels, NaN where `positions` were.

    Raises:
        InputError: a shape, a time or a setting is wrong, or the cut-off is not below half the rate.
    """
    _check_positive(cutoff_hz=cutoff_hz, max_gap_s=max_gap_s)
    positions, times_s = _checked_paths(positions, times_s)
    seen = np.isfinite(positions).all(axis=2)
    smooth = np.where(seen[..., None], positions, np.nan)
    instants: np.ndarray = np.cumsum(np.diff(times_s, prepend=-np.inf) >= SAME_INSTANT_S) - 1
    begins = np.unique(instants, return_index=True)[1]
    if len(begins) < len(times_s):
        means = _means(smooth, instants)
        means = smooth_butterworth(means, times_s[begins], cutoff_hz=cutoff_hz, rate_hz=rate_hz, max_gap_s=max_gap_s)
        return np.where(seen[..., None], means[instants], np.nan)
    if len(times_s) < 2:
        return smooth
    origin_s = times_s[0] if rate_hz is None else 0.0
    rate_hz = _frame_rate(times_s) if rate_hz is None else rate_hz
    _check_positive(rate_hz=rate_hz)
    if cutoff_hz >= rate_hz / 2:
        raise InputError(
            f"cutoff_hz: wanted below half the {rate_hz:g} samples a second, got {cutoff_hz:g}; give a lower cut-off"
        )
    for (first, end), points in _runs(seen, _starts(seen, times_s, max_gap_s)).items():
        run_s = times_s[first:end]
        start, stop = np.round((run_s[[0, -1]] - origin_s) * rate_hz)
        if stop - start < 2:
            continue
        grid_s = origin_s + np.arange(start, stop + 1) / rate_hz
        bridged = _bridged(smooth[first:end, points], run_s)
        even = _low_pass(PchipInterpolator(run_s, bridged)(grid_s), cutoff_hz, rate_hz)
        smooth[first:end, points] = CubicSpline(grid_s, even)(run_s)
    smooth[~seen] = np.nan
    return smooth


def _low_pass(paths: np.ndarray, cutoff_hz: float, rate_hz: float) -> np.ndarray:
    """Paths (n, M, 2) in even steps without what is faster than the cut-off."""
    # Winter's correction belongs to the cut-off as the bilinear transform bends it, not to the hertz.
    bent = np.tan(np.pi * cutoff_hz / rate_hz) / (np.sqrt(2) - 1) ** 0.25
    sections = butter(2, np.arctan(bent) * rate_hz / np.pi, fs=rate_hz, output="sos")
    pad = round(_PAD_PERIODS * rate_hz / cutoff_hz)
    around = np.pad(paths, [(pad, pad), (0, 0), (0, 0)], mode="reflect", reflect_type="odd")
    return sosfiltfilt(sections, around, axis=0, padtype=None)[pad:-pad]


def _means(paths: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Paths (T, P, 2) averaged over the rows of each group (T,), numbered 0, 1, ... in order; NaN where none is."""
    sums, counts = np.zeros((2, groups[-1] + 1, *paths.shape[1:]))
    np.add.at(sums, groups, np.nan_to_num(paths))
    np.add.at(counts, groups, ~np.isnan(paths))
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _frame_rate(times_s: np.ndarray) -> float:
    """Frames a second, as if none had been dropped."""
    steps_s = np.diff(times_s)
    return np.round(steps_s / np.median(steps_s)).clip(1).sum() / steps_s.sum()


def _bridged(paths: np.ndarray, times_s: np.ndarray) -> np.ndarray:
    """Paths (n, M, 2) with straight lines where they are NaN; first and last are not."""
    bridged = paths.copy()
    for point in np.flatnonzero(np.isnan(paths).any(axis=(0, 2))):
        seen = np.isfinite(paths[:, point, 0])
        for axis in range(2):
            bridged[:, point, axis] = np.interp(times_s, times_s[seen], paths[seen, point, axis])
    return bridged


class OneEuro:
    """The one-euro filter for the points of one person, frame by frame: little jitter at rest, little delay in motion.

    A low-pass whose cut-off rises with speed (Casiez, Roussel, Vogel, CHI 2012, algorithm 1). Speed is measured from
    the last smoothed place, in sizes of the person, and both axes of a point share the cut-off, so that turning the
    image turns the path. It does not know scores, and follows an outlier. Keep one per track:

        smooth = OneEuro()
        for frame in frames:
            points = smooth(points, frame.time_s, size_px)

    Args:
        min_cutoff_hz: cut-off at rest; lower takes away more jitter.
        beta: Hz that the cut-off gains per size/s of speed; higher takes away more delay.
        derivative_cutoff_hz: cut-off of the speed itself.
        max_gap_s: a point missing for longer than this starts anew.
    """

    def __init__(
        self,
        *,
        min_cutoff_hz: float = 1.0,
        beta: float = 15.0,
        derivative_cutoff_hz: float = 1.0,
        max_gap_s: float = MAX_GAP_S,
    ) -> None:
        _check_positive(min_cutoff_hz=min_cutoff_hz, derivative_cutoff_hz=derivative_cutoff_hz, max_gap_s=max_gap_s)
        if not beta >= 0:
            raise InputError(f"beta: wanted a number from 0 on, got {beta}")
        self._min_cutoff_hz, self._beta = min_cutoff_hz, beta
        self._derivative_cutoff_hz, self._max_gap_s = derivative_cutoff_hz, max_gap_s
        self._now_s = -np.inf
        self._places: np.ndarray | None = None  # (P, 2) smoothed, pixels, when last seen
        self._speeds = np.zeros((0, 2))  # (P, 2) smoothed, sizes per second
        self._seen_s = np.zeros(0)  # (P,) when last seen, NaN if never

    def __call__(self, positions: np.ndarray, time_s: float, size_px: float) -> np.ndarray:
        """Points (P, 2) of this frame, smoothed; NaN where missing. Frames come in order of time.

        At the time of the last frame no time has passed, so nothing moves: a point seen then stays where it was.

        Raises:
            InputError: time runs back, the number of points changes, or the size is not positive.
        """
        positions = np.asarray(positions, float)
        if positions.shape != (len(positions) if self._places is None else len(self._places), 2):
            raise InputError(f"positions: wanted shape (P, 2), P as in the first frame, got {positions.shape}")
        if not time_s >= self._now_s:
            raise InputError(
                f"time_s: expected a time not before {self._now_s:g} s, got {time_s:g}; give frames in order"
            )
        _check_positive(size_px=size_px)

        self._now_s = time_s
        seen = np.isfinite(positions).all(axis=1)
        positions = np.where(seen[:, None], positions, np.nan)
        if self._places is None:
            self._places, self._speeds = positions.copy(), np.zeros_like(positions)
            self._seen_s = np.full(len(positions), np.nan)
        fresh = ~(time_s - self._seen_s <= self._max_gap_s)
        resting = self._seen_s == time_s  # no time has passed
        step_s = np.where(fresh | resting, 1.0, time_s - self._seen_s)[:, None]  # 1: any, these stay where they are
        places = np.where(fresh[:, None], positions, self._places)
        speeds = np.where(fresh[:, None], 0.0, self._speeds)
        speeds += _alpha(self._derivative_cutoff_hz, step_s) * ((positions - places) / (step_s * size_px) - speeds)
        cutoff_hz = self._min_cutoff_hz + self._beta * np.linalg.norm(speeds, axis=1, keepdims=True)
        places = places + _alpha(cutoff_hz, step_s) * (positions - places)

        moved = seen & ~resting
        self._places[moved], self._speeds[moved], self._seen_s[moved] = places[moved], speeds[moved], time_s
        return np.where(seen[:, None], self._places, np.nan)


def _alpha(cutoff_hz: np.ndarray | float, step_s: np.ndarray) -> np.ndarray:
    """What share of the way to the new value a first-order low-pass goes in one step."""
    return 1 / (1 + 1 / (2 * np.pi * cutoff_hz * step_s))


def _starts(seen: np.ndarray, times_s: np.ndarray, max_gap_s: float) -> np.ndarray:
    """Where a path begins (T, P): at a point seen first, or after a longer gap."""
    seen_s = np.where(seen, times_s[:, None], np.nan)
    before_s = np.full_like(seen_s, np.nan)
    before_s[1:] = np.fmax.accumulate(seen_s, axis=0)[:-1]
    return seen & ~(times_s[:, None] - before_s <= max_gap_s)


def _runs(seen: np.ndarray, starts: np.ndarray) -> dict[tuple[int, int], list[int]]:
    """From which row to which a path goes -> the points that have one there."""
    runs = defaultdict(list)
    for point in np.flatnonzero(seen.any(axis=0)):
        rows = np.flatnonzero(seen[:, point])
        for run in np.split(rows, np.flatnonzero(starts[rows, point])[1:]):
            runs[int(run[0]), int(run[-1]) + 1].append(int(point))
    return runs


def _checked_paths(positions: np.ndarray, times_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    positions, times_s = np.asarray(positions, float), np.asarray(times_s, float)
    if positions.ndim != 3 or positions.shape[2] != 2:
        raise InputError(f"positions: wanted shape (T, P, 2), got {positions.shape}")
    if times_s.shape != positions.shape[:1]:
        raise InputError(f"times_s: wanted one per frame, shape {positions.shape[:1]}, got {times_s.shape}")
    if not np.isfinite(times_s).all() or (np.diff(times_s) < 0).any():
        raise InputError("times_s: expected seconds that never decrease, got some that do; sort the frames")
    return positions, times_s


def _checked_sizes(size_px: np.ndarray | float, times_s: np.ndarray) -> np.ndarray:
    """Sizes (T,), those unknown drawn from the ones before and after."""
    size_px = np.asarray(size_px, float)
    if size_px.shape not in ((), times_s.shape):
        raise InputError(f"size_px: wanted a number or one per frame, shape {times_s.shape}, got {size_px.shape}")
    sizes = np.broadcast_to(size_px, times_s.shape)
    known = ~np.isnan(sizes)
    if not known.any() or not ((sizes[known] > 0) & np.isfinite(sizes[known])).all():
        raise InputError("size_px: wanted the person's size in pixels, above 0, got none or one that is not")
    return np.interp(times_s, times_s[known], sizes[known])


def _check_positive(**settings: float) -> None:
    for name, value in settings.items():
        if not value > 0:
            raise InputError(f"{name}: wanted a number above 0, got {value}")


Smoother = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray | float], np.ndarray]
"""positions, times_s, scores, size_px -> smoothed positions, at the defaults."""

SMOOTHERS: dict[str, Smoother] = {
    "kalman": smooth_kalman,
    "butterworth": lambda positions, times_s, _scores, _size_px: smooth_butterworth(positions, times_s),
}
