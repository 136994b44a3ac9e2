"""A person's 2-D track as stretches without long gaps, at even steps of time.

Networks that lift poses expect a pose in every frame and frames at the rate they were trained at. A gap of more than
half a second divides a track, because what happened meanwhile is not known; inside shorter ones, joints are
interpolated linearly and have score 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

MAX_GAP_S = 0.5
MIN_SCORE = 0.3
"""Joints below this score count as missing."""
_SLACK_S = 1e-6


@dataclass(frozen=True, eq=False)
class Stretch:
    """Successive frames of one person, those of short gaps included."""

    positions: np.ndarray  # (T,) int64 positions of the frames in the clip
    times_s: np.ndarray  # (T,)
    rows: np.ndarray  # (T,) int64 row of the pose among those of the clip; -1 where the person has none
    keypoints: np.ndarray  # (T, K, 2) float64 pixels; NaN for joints that are missing in the whole stretch
    scores: np.ndarray  # (T, K), 0 where interpolated or missing

    def __len__(self) -> int:
        return len(self.times_s)


def stretches(
    positions: np.ndarray,
    times_s: np.ndarray,
    rows: np.ndarray,
    keypoints: np.ndarray,
    scores: np.ndarray,
    *,
    max_gap_s: float = MAX_GAP_S,
    min_score: float = MIN_SCORE,
) -> Iterator[Stretch]:
    """Divide the track of one person.

    Args:
        positions: (M,) positions of the person's frames in the clip, ascending.
        times_s: (F,) times of all frames of the clip.
        rows: (M,) the person's rows among the poses of the clip.
        keypoints: (M, K, 2) pixels, NaN where missing.
        scores: (M, K).
        max_gap_s: longest time from the last pose before a gap to the first one after it.
        min_score: joints below count as missing.
    """
    steps = np.diff(positions)
    waits = np.diff(times_s[positions])
    breaks = np.flatnonzero((steps > 1) & (waits > max_gap_s + _SLACK_S)) + 1
    for part in np.split(np.arange(len(positions)), breaks):
        if not len(part):
            continue
        here = np.arange(positions[part[0]], positions[part[-1]] + 1)
        at = positions[part] - here[0]
        known = (scores[part] >= min_score) & np.isfinite(keypoints[part]).all(axis=2)
        points = np.full((len(here), *keypoints.shape[1:]), np.nan)
        points[at] = np.where(known[..., None], keypoints[part], np.nan)
        point_scores = np.zeros(points.shape[:2])
        point_scores[at] = np.where(known, scores[part], 0.0)
        of_clip = np.full(len(here), -1, np.int64)
        of_clip[at] = rows[part]
        yield Stretch(here, times_s[here], of_clip, interpolated(points, times_s[here]), point_scores)


def interpolated(points: np.ndarray, times_s: np.ndarray) -> np.ndarray:
    """Points (T, K, D) with missing ones on straight lines between their neighbours in time; ends are repeated."""
    out = points.copy()
    for k in range(points.shape[1]):
        known = np.isfinite(points[:, k]).all(axis=1)
        if known.any() and not known.all():
            for axis in range(points.shape[2]):
                out[~known, k, axis] = np.interp(times_s[~known], times_s[known], points[known, k, axis])
    return out


def even_times(times_s: np.ndarray, rate_hz: float | None) -> np.ndarray:
    """Times at even steps from the first to the last of `times_s`, or less than a step beyond it.

    Args:
        times_s: (T,) ascending.
        rate_hz: steps per second; None: the most common rate of `times_s`.
    """
    if len(times_s) < 2:
        return times_s.copy()
    if rate_hz is None:
        rate_hz = 1 / max(float(np.median(np.diff(times_s))), 1e-4)
    length = times_s[-1] - times_s[0]
    return times_s[0] + np.arange(int(np.ceil(length * rate_hz - 1e-3)) + 1) / rate_hz


def resampled(values: np.ndarray, times_s: np.ndarray, new_times_s: np.ndarray) -> np.ndarray:
    """Values (T, ...) at other times (S, ...): linear between them, and beyond the ends, so that lines stay lines.

    Args:
        values: (T, ...) at `times_s`.
        times_s: (T,) ascending; equal times keep the last value.
        new_times_s: (S,).
    """
    keep = np.append(np.diff(times_s) > _SLACK_S, True)
    times_s, values = times_s[keep], values[keep]
    if len(times_s) == 1:
        return np.repeat(values, len(new_times_s), axis=0)
    after = np.clip(np.searchsorted(times_s, new_times_s, side="right"), 1, len(times_s) - 1)
    share = (new_times_s - times_s[after - 1]) / (times_s[after] - times_s[after - 1])
    share = share.reshape(-1, *[1] * (values.ndim - 1))
    return values[after - 1] * (1 - share) + values[after] * share
