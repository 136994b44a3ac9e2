"""Filters that smooth the paths of points over time, each point independently.

`smooth_kalman` (the default offline) and `smooth_butterworth` use past and future, `OneEuro` the past alone. All take
the true times of the frames, evenly spaced or not. A missing point (NaN) stays missing. A gap longer than `max_gap_s`
divides a path into two that are filtered independently. Noise and motion are measured in sizes of the person, so that
one setting serves every resolution and distance.

Long videos are smoothed in blocks: a block that is extended by `OVERLAP_S` on each side, cut off afterwards, gives the
same result as the whole video.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from scipy.interpolate import CubicSpline, PchipInterpolator
from scipy.signal import butter, sosfiltfilt

from posetrail.errors import InputError

MAX_GAP_S = 0.5
"""A point missing for longer starts a new path."""

OVERLAP_S = 4.0
"""Seconds that a block needs on each side for results within 0.001 pixel of the whole video's, at the default settings,
even for points of the lowest scores that are present twice a second; points that are always present need one."""

SAME_INSTANT_S = 1e-5
"""Frames less than this apart have the same time, or had it before times were made to increase."""

_MIN_SCORE = 0.01  # least weight of a point that is present, so that a path of points with score 0 has a position
_UNKNOWN_SPEED = 1e3  # sizes per second: standard deviation of the velocity where a path begins
_ROUNDS = 5  # of reweighting; 25 more move points by a tenth of the noise (rms) at 15 Hz, by a 70th at 60 Hz
_PAD_PERIODS = 4  # periods of the cut-off: the filter's response to the end of a path has decayed to 1e-7 by then


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
    """Paths smoothed by a constant-velocity Kalman filter and a Rauch-Tung-Striebel smoother (AIAA Journal 3, 1965).

    The process noise is white noise in acceleration, integrated exactly over each step, however long (Bar-Shalom, Li,
    Kirubarajan, Estimation with Applications to Tracking and Navigation, 2001, section 6.2.2). The measurement noise is
    Student's t, because joints jump to the other leg: each round smooths the path and then reweights every point by its
    distance d from it in standard deviations, w = (tail + 2) / (tail + d^2) (Piché, Särkkä, Hartikainen, MLSP 2012).
    The distance is to the smoothed path and not to the prediction, so the beginning of a fast movement is no outlier,
    and reversed time gives the reversed path.

    Without outliers, with even steps h that are short compared with 1 / f0, this is the low-pass of a Butterworth
    filter run forward and backward: the gain is 1 / (1 + (f / f0)^4) with (2 pi f0)^4 = speed_drift^2 / (noise^2 h).
    It is 1/sqrt(2) at 6 Hz for 30 frames per second and at 7 Hz for 60.

    Args:
        positions: (T, P, 2) pixels, NaN where missing.
        times_s: (T,) seconds, never decreasing, steps may differ.
        scores: (T, P) 0..1; the variance of a measurement is divided by its score.
        size_px: (T,) or one number: height of the standing person in pixels; NaN where unknown.
        noise: standard deviation of the position of a point with score 1, in sizes.
        speed_drift: standard deviation of the change of a point's velocity within a second, in sizes per second.
        tail: degrees of freedom of the noise; the fewer, the less outliers count.
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
        raise InputError(f"scores: expected one per point, shape {(T, P)}, got {scores.shape}")
    present = np.isfinite(positions).all(axis=2)
    if not present.any():
        return np.full((T, P, 2), np.nan)
    sizes = _checked_sizes(size_px, times_s)

    confidence = np.clip(np.nan_to_num(scores), _MIN_SCORE, 1)
    variances = np.where(present, (noise * sizes[:, None]) ** 2 / confidence, np.inf)
    drifts = (speed_drift * (sizes[1:] + sizes[:-1]) / 2) ** 2
    measured = np.where(present[..., None], positions, 0.0)
    starts = _starts(present, times_s, max_gap_s)
    weights = np.ones((T, P))
    for _ in range(_ROUNDS):
        path, path_var = _smooth_gaussian(
            measured, variances / weights, np.diff(times_s), drifts, starts, (_UNKNOWN_SPEED * sizes) ** 2
        )
        squared = (((measured - path) ** 2).sum(axis=2) + 2 * path_var) / variances  # 0 where missing
        weights = (1 + 2 / tail) / (1 + squared / tail)
    return np.where(present[..., None], path, np.nan)


def _smooth_gaussian(
    measured: np.ndarray,  # (T, P, 2)
    variances: np.ndarray,  # (T, P) of each measurement; infinite where there is none
    steps_s: np.ndarray,  # (T - 1,)
    drifts: np.ndarray,  # (T - 1,) variance that the velocity gains per second
    starts: np.ndarray,  # (T, P) bool: a path begins here
    velocity_variances: np.ndarray,  # (T,) of the velocity of a path that begins
) -> tuple[np.ndarray, np.ndarray]:
    """Means (T, P, 2) and variances (T, P) of the positions, given all measurements: Kalman filter, RTS smoother.

    The state of a point is its position (p) and velocity (v). Both axes of the image share one covariance matrix, whose
    entries pp, pv and vv are separate arrays: four times as fast as many small matrices.
    """
    T, P, _ = measured.shape
    positions, velocities = np.zeros((T, P, 2)), np.zeros((T, P, 2))
    covariances = np.zeros((T, 3, P))  # pp, pv, vv
    position, velocity, covariance = positions[0], velocities[0], covariances[0]
    for t in range(T):
        if t:
            position, velocity, covariance = _predict(position, velocity, covariance, steps_s[t - 1], drifts[t - 1])
        position_gain, velocity_gain = covariance[:2] / (covariance[0] + variances[t])
        off = measured[t] - position
        position, velocity = position + position_gain[:, None] * off, velocity + velocity_gain[:, None] * off
        covariance = covariance - np.stack(
            [position_gain * covariance[0], position_gain * covariance[1], velocity_gain * covariance[1]]
        )
        if starts[t].any():
            new = starts[t]
            position[new], velocity[new] = measured[t, new], 0
            covariance[0, new], covariance[1, new], covariance[2, new] = variances[t, new], 0, velocity_variances[t]
        positions[t], velocities[t], covariances[t] = position, velocity, covariance
    for t in range(T - 2, -1, -1):
        position, velocity, (pp, pv, vv) = _predict(positions[t], velocities[t], covariances[t], steps_s[t], drifts[t])
        # The smoother's gain: covariance times transition, transposed, times inverse of the predicted covariance.
        old_pp, old_pv, old_vv = covariances[t]
        cross_p, cross_v = old_pp + steps_s[t] * old_pv, old_pv + steps_s[t] * old_vv
        determinant = pp * vv - pv**2
        apart = starts[t + 1] | (determinant <= 0)  # no gain across a path's start, or before the first one
        scale = np.where(apart, 0.0, 1 / np.where(apart, 1.0, determinant))
        g_pp, g_pv = (cross_p * vv - old_pv * pv) * scale, (old_pv * pp - cross_p * pv) * scale
        g_vp, g_vv = (cross_v * vv - old_vv * pv) * scale, (old_vv * pp - cross_v * pv) * scale
        position_off, velocity_off = positions[t + 1] - position, velocities[t + 1] - velocity
        positions[t] += g_pp[:, None] * position_off + g_pv[:, None] * velocity_off
        velocities[t] += g_vp[:, None] * position_off + g_vv[:, None] * velocity_off
        d_pp, d_pv, d_vv = covariances[t + 1] - (pp, pv, vv)
        covariances[t, 0] += g_pp**2 * d_pp + 2 * g_pp * g_pv * d_pv + g_pv**2 * d_vv
        covariances[t, 1] += g_pp * g_vp * d_pp + (g_pp * g_vv + g_pv * g_vp) * d_pv + g_pv * g_vv * d_vv
        covariances[t, 2] += g_vp**2 * d_pp + 2 * g_vp * g_vv * d_pv + g_vv**2 * d_vv
    return positions, covariances[:, 0]


def _predict(
    position: np.ndarray, velocity: np.ndarray, covariance: np.ndarray, step_s: float, drift: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The state one step later: constant velocity, with white noise in acceleration."""
    h = step_s
    pp, pv, vv = covariance
    noise = drift * np.array([h**3 / 3, h**2 / 2, h])[:, None]
    return position + h * velocity, velocity, np.stack([pp + 2 * h * pv + h * h * vv, pv + h * vv, vv]) + noise


def smooth_butterworth(
    positions: np.ndarray,
    times_s: np.ndarray,
    *,
    cutoff_hz: float = 6.0,
    rate_hz: float | None = None,
    max_gap_s: float = MAX_GAP_S,
) -> np.ndarray:
    """Paths smoothed by a zero-lag Butterworth low-pass, as usual in gait analysis: second order, forward and backward.

    The two passes make it fourth order without delay. The cut-off of each pass is raised, so that the gain of both
    together is 1/sqrt(2) at `cutoff_hz` (Winter, Biomechanics and Motor Control of Human Movement, 4th ed., p. 69).
    The filter uses no scores and is not robust: an outlier displaces the points beside it.

    The filter needs even steps. Short gaps are bridged by straight lines, and uneven times are resampled to a grid and
    back; even times are the grid. A path of fewer than three points on the grid is returned unchanged. The ends of
    others are padded with their point reflection, repeated if short, for four periods of the cut-off.

    Args:
        positions: (T, P, 2) pixels, NaN where missing.
        times_s: (T,) seconds, never decreasing, steps may differ; frames less than `SAME_INSTANT_S` apart are merged,
            with the mean of their points.
        cutoff_hz: faster motion is removed; Winter takes 6 Hz for walking.
        rate_hz: rate of a grid at multiples of 1 / rate_hz; needed to smooth uneven times in blocks. If not given, the
            grid starts at the first time and has the rate of the frames, dropped ones included.
        max_gap_s: a point missing for longer than this starts a new path.

    Returns:
        (T, P, 2) float64 pixels, NaN where `positions` were.

    Raises:
        InputError: a shape, a time or a setting is wrong, or the cut-off is not below half the rate.
    """
    _check_positive(cutoff_hz=cutoff_hz, max_gap_s=max_gap_s)
    positions, times_s = _checked_paths(positions, times_s)
    present = np.isfinite(positions).all(axis=2)
    smooth = np.where(present[..., None], positions, np.nan)
    instants: np.ndarray = np.cumsum(np.diff(times_s, prepend=-np.inf) >= SAME_INSTANT_S) - 1
    begins = np.unique(instants, return_index=True)[1]
    if len(begins) < len(times_s):
        means = _means(smooth, instants)
        means = smooth_butterworth(means, times_s[begins], cutoff_hz=cutoff_hz, rate_hz=rate_hz, max_gap_s=max_gap_s)
        return np.where(present[..., None], means[instants], np.nan)
    if len(times_s) < 2:
        return smooth
    origin_s = times_s[0] if rate_hz is None else 0.0
    rate_hz = _frame_rate(times_s) if rate_hz is None else rate_hz
    _check_positive(rate_hz=rate_hz)
    if cutoff_hz >= rate_hz / 2:
        raise InputError(
            f"cutoff_hz: expected below half of {rate_hz:g} samples per second, got {cutoff_hz:g}; lower the cut-off"
        )
    for (first, end), points in _runs(present, _starts(present, times_s, max_gap_s)).items():
        run_s = times_s[first:end]
        start, stop = np.round((run_s[[0, -1]] - origin_s) * rate_hz)
        if stop - start < 2:
            continue
        grid_s = origin_s + np.arange(start, stop + 1) / rate_hz
        bridged = _bridged(smooth[first:end, points], run_s)
        even = _low_pass(PchipInterpolator(run_s, bridged)(grid_s), cutoff_hz, rate_hz)
        smooth[first:end, points] = CubicSpline(grid_s, even)(run_s)
    smooth[~present] = np.nan
    return smooth


def _low_pass(paths: np.ndarray, cutoff_hz: float, rate_hz: float) -> np.ndarray:
    """Paths (n, M, 2) in even steps, low-pass filtered forward and backward."""
    # Winter's correction applies to the cut-off as warped by the bilinear transform, not to its value in hertz.
    warped = np.tan(np.pi * cutoff_hz / rate_hz) / (np.sqrt(2) - 1) ** 0.25
    sections = butter(2, np.arctan(warped) * rate_hz / np.pi, fs=rate_hz, output="sos")
    pad = round(_PAD_PERIODS * rate_hz / cutoff_hz)
    padded = np.pad(paths, [(pad, pad), (0, 0), (0, 0)], mode="reflect", reflect_type="odd")
    return sosfiltfilt(sections, padded, axis=0, padtype=None)[pad:-pad]


def _means(paths: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Paths (T, P, 2) averaged over the rows of each group (T,), numbered 0, 1, ... in order; NaN where all are."""
    sums, counts = np.zeros((2, groups[-1] + 1, *paths.shape[1:]))
    np.add.at(sums, groups, np.nan_to_num(paths))
    np.add.at(counts, groups, ~np.isnan(paths))
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _frame_rate(times_s: np.ndarray) -> float:
    """Frames per second, dropped frames included."""
    steps_s = np.diff(times_s)
    return np.round(steps_s / np.median(steps_s)).clip(1).sum() / steps_s.sum()


def _bridged(paths: np.ndarray, times_s: np.ndarray) -> np.ndarray:
    """Paths (n, M, 2) with straight lines across missing points; the first and last points are present."""
    bridged = paths.copy()
    for point in np.flatnonzero(np.isnan(paths).any(axis=(0, 2))):
        present = np.isfinite(paths[:, point, 0])
        for axis in range(2):
            bridged[:, point, axis] = np.interp(times_s, times_s[present], paths[present, point, axis])
    return bridged


class OneEuro:
    """The one-euro filter for the points of one person, frame by frame: little jitter at rest, little delay in motion.

    A low-pass whose cut-off rises with speed (Casiez, Roussel, Vogel, CHI 2012, algorithm 1). The speed is measured
    from the last smoothed position in sizes of the person, and both axes of a point share the cut-off, so that rotating
    the image rotates the path. The filter uses no scores and is not robust to outliers. Keep one per track:

        smooth = OneEuro()
        for frame in frames:
            points = smooth(points, frame.time_s, size_px)

    Args:
        min_cutoff_hz: cut-off at rest; a lower one removes more jitter.
        beta: increase of the cut-off with speed, in Hz per size per second; a higher one reduces the delay.
        derivative_cutoff_hz: cut-off of the low-pass of the speed.
        max_gap_s: a point missing for longer than this starts a new path.
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
            raise InputError(f"beta: expected a number of 0 or more, got {beta}")
        self._min_cutoff_hz, self._beta = min_cutoff_hz, beta
        self._derivative_cutoff_hz, self._max_gap_s = derivative_cutoff_hz, max_gap_s
        self._now_s = -np.inf
        self._positions: np.ndarray | None = None  # (P, 2) smoothed pixels, when last present
        self._speeds = np.zeros((0, 2))  # (P, 2) smoothed sizes per second
        self._present_s = np.zeros(0)  # (P,) time when last present, NaN if never

    def __call__(self, positions: np.ndarray, time_s: float, size_px: float) -> np.ndarray:
        """Points (P, 2) of the next frame, smoothed; NaN where missing.

        In a second frame of the same time, points that were present in the first one keep their positions.

        Raises:
            InputError: time runs back, the number of points changes, or the size is not positive.
        """
        positions = np.asarray(positions, float)
        if positions.shape != (len(positions) if self._positions is None else len(self._positions), 2):
            raise InputError(f"positions: expected shape (P, 2), P as in the first frame, got {positions.shape}")
        if not time_s >= self._now_s:
            raise InputError(
                f"time_s: expected a time not before {self._now_s:g} s, got {time_s:g}; give frames in order"
            )
        _check_positive(size_px=size_px)

        self._now_s = time_s
        present = np.isfinite(positions).all(axis=1)
        positions = np.where(present[:, None], positions, np.nan)
        if self._positions is None:
            self._positions, self._speeds = positions.copy(), np.zeros_like(positions)
            self._present_s = np.full(len(positions), np.nan)
        fresh = ~(time_s - self._present_s <= self._max_gap_s)
        resting = self._present_s == time_s  # no time has passed
        step_s = np.where(fresh | resting, 1.0, time_s - self._present_s)[:, None]  # 1: any value, these do not move
        smoothed = np.where(fresh[:, None], positions, self._positions)
        speeds = np.where(fresh[:, None], 0.0, self._speeds)
        speeds += _alpha(self._derivative_cutoff_hz, step_s) * ((positions - smoothed) / (step_s * size_px) - speeds)
        cutoff_hz = self._min_cutoff_hz + self._beta * np.linalg.norm(speeds, axis=1, keepdims=True)
        smoothed = smoothed + _alpha(cutoff_hz, step_s) * (positions - smoothed)

        moved = present & ~resting
        self._positions[moved], self._speeds[moved], self._present_s[moved] = smoothed[moved], speeds[moved], time_s
        return np.where(present[:, None], self._positions, np.nan)


def _alpha(cutoff_hz: np.ndarray | float, step_s: np.ndarray) -> np.ndarray:
    """The gain of a first-order low-pass for one step: its share of the way to the new value."""
    return 1 / (1 + 1 / (2 * np.pi * cutoff_hz * step_s))


def _starts(present: np.ndarray, times_s: np.ndarray, max_gap_s: float) -> np.ndarray:
    """Where paths begin (T, P) bool: at the first point, and at the first one after a gap longer than `max_gap_s`."""
    present_s = np.where(present, times_s[:, None], np.nan)
    before_s = np.full_like(present_s, np.nan)
    before_s[1:] = np.fmax.accumulate(present_s, axis=0)[:-1]
    return present & ~(times_s[:, None] - before_s <= max_gap_s)


def _runs(present: np.ndarray, starts: np.ndarray) -> dict[tuple[int, int], list[int]]:
    """Rows from which and up to which a path goes -> the points that have such a path."""
    runs = defaultdict(list)
    for point in np.flatnonzero(present.any(axis=0)):
        rows = np.flatnonzero(present[:, point])
        for run in np.split(rows, np.flatnonzero(starts[rows, point])[1:]):
            runs[int(run[0]), int(run[-1]) + 1].append(int(point))
    return runs


def _checked_paths(positions: np.ndarray, times_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    positions, times_s = np.asarray(positions, float), np.asarray(times_s, float)
    if positions.ndim != 3 or positions.shape[2] != 2:
        raise InputError(f"positions: expected shape (T, P, 2), got {positions.shape}")
    if times_s.shape != positions.shape[:1]:
        raise InputError(f"times_s: expected one per frame, shape {positions.shape[:1]}, got {times_s.shape}")
    if not np.isfinite(times_s).all() or (np.diff(times_s) < 0).any():
        raise InputError("times_s: expected seconds that never decrease, got some that do; sort the frames")
    return positions, times_s


def _checked_sizes(size_px: np.ndarray | float, times_s: np.ndarray) -> np.ndarray:
    """Sizes (T,), unknown ones interpolated."""
    size_px = np.asarray(size_px, float)
    if size_px.shape not in ((), times_s.shape):
        raise InputError(f"size_px: expected a number or one per frame, shape {times_s.shape}, got {size_px.shape}")
    sizes = np.broadcast_to(size_px, times_s.shape)
    known = ~np.isnan(sizes)
    if not known.any() or not ((sizes[known] > 0) & np.isfinite(sizes[known])).all():
        raise InputError("size_px: expected the person's size in pixels, above 0, got only NaN or a size of 0 or less")
    return np.interp(times_s, times_s[known], sizes[known])


def _check_positive(**settings: float) -> None:
    for name, value in settings.items():
        if not value > 0:
            raise InputError(f"{name}: expected a number above 0, got {value}")
