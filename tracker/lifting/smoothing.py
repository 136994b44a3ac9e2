"""Smoothing of paths in space: weighted, zero-phase, on the true times of the frames.

The path x minimises sum w h (x - y)^2 + (2 pi f0)^-4 integral |x''|^2 over the measured points y, with h the time that
a frame stands for (Whittaker, 1923; a discrete smoothing spline). For even weights its gain at frequency f is
1 / (1 + (f / f0)^4). Points of weight 0 are interpolated.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import solveh_banded

_MIN_STEP_S = 1e-4
_MIN_WEIGHT = 1e-9


def smoothed(
    paths: np.ndarray,
    times_s: np.ndarray,
    weights: np.ndarray,
    cutoff_hz: float,
    *,
    outlier: float | None = None,
    rounds: int = 4,
) -> np.ndarray:
    """Smooth the paths of points.

    Args:
        paths: (T, P, D), NaN where missing.
        times_s: (T,) ascending.
        weights: (T, P), 0 or more, of the points.
        cutoff_hz: f0 of the formula above, at weight 1.
        outlier: distance from the path beyond which a point loses weight, w / (1 + (d / outlier)^2); None: no point
            does.
        rounds: of reweighting outliers.

    Returns:
        (T, P, D); NaN throughout for points that are never known.
    """
    known = np.isfinite(paths).all(axis=2)
    weights = np.where(known, weights, 0.0)
    measured = np.where(known[..., None], paths, 0.0)
    stiffness = _curvature(times_s) / (2 * np.pi * cutoff_hz) ** 4
    spans = _spans(times_s)
    out = np.full(paths.shape, np.nan)
    for point in range(paths.shape[1]):
        w, y = weights[:, point], measured[:, point]
        if not (w > _MIN_WEIGHT).any():
            continue
        path = _solve(stiffness, w * spans, y)
        for _ in range(rounds if outlier else 0):
            distance = np.linalg.norm(y - path, axis=1)
            path = _solve(stiffness, w * spans / (1 + (distance / outlier) ** 2), y)
        out[:, point] = path
    return out


def _solve(stiffness: np.ndarray, weights: np.ndarray, measured: np.ndarray) -> np.ndarray:
    banded = stiffness.copy()
    banded[2] += weights + _MIN_WEIGHT * weights.max()
    anchored = np.where((weights > 0)[:, None], measured, (weights @ measured / weights.sum())[None])
    return solveh_banded(banded, (weights + _MIN_WEIGHT * weights.max())[:, None] * anchored)


def _spans(times_s: np.ndarray) -> np.ndarray:
    """The time (T,) that each frame stands for."""
    if len(times_s) < 2:
        return np.ones(len(times_s))
    steps = np.maximum(np.diff(times_s), _MIN_STEP_S)
    return (np.concatenate([steps[:1], steps]) + np.concatenate([steps, steps[-1:]])) / 2


def _curvature(times_s: np.ndarray) -> np.ndarray:
    """The matrix of the integral of the squared second derivative, as upper bands (3, T) for `solveh_banded`."""
    T = len(times_s)
    bands = np.zeros((3, T))
    if T < 3:
        return bands
    steps = np.maximum(np.diff(times_s), _MIN_STEP_S)
    before, after = steps[:-1], steps[1:]
    span = (before + after) / 2
    rows = np.stack([1 / before, -1 / before - 1 / after, 1 / after]) / np.sqrt(span)  # second differences, weighted
    for i in range(3):
        for j in range(i, 3):
            np.add.at(bands[2 - (j - i)], np.arange(T - 2) + j, rows[i] * rows[j])
    return bands
