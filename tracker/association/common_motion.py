"""Common motion: one shift of all people at once, as a jerk of the camera or dropped frames cause it.

It is estimated from the poses alone, so it also works where the camera's motion is unknown.
"""

from __future__ import annotations

import numpy as np

_MAX_SHIFT = 4.0  # body sizes: longer shifts are not considered
_MATCH_DISTANCE = 0.2  # body sizes: a pose this near to a shifted track matches it
_MAX_SIZE_RATIO = 1.5  # between a track and a pose that matches it
_MIN_MATCHES = 3  # a shift needs so many matches ...
_MIN_MATCH_SHARE = 0.6  # ... and this share of those possible
_MAX_CANDIDATES = 24  # shifts that are tried


def common_shift(
    positions: np.ndarray, sizes: np.ndarray, pose_positions: np.ndarray, pose_sizes: np.ndarray
) -> np.ndarray:
    """The shift (2,) in pixels that brings most tracks onto poses; 0 where none beats no shift by two matches.

    Every pair of a track and a pose proposes a shift. The proposals on which most pairs agree are tried on all tracks,
    and the shift with the most matches wins: a Hough vote over translations.

    Args:
        positions: (T, 2) pixels, predicted centres of the tracks.
        sizes: (T,) pixels, body sizes of the tracks.
        pose_positions: (N, 2) pixels, centres of the poses.
        pose_sizes: (N,) pixels, body sizes of the poses.
    """
    no_shift = np.zeros(2)
    if min(len(positions), len(pose_positions)) < _MIN_MATCHES:
        return no_shift
    offsets = pose_positions - positions[:, None]  # (T, N, 2)
    size_ratios = pose_sizes / sizes[:, None]
    possible = (np.abs(np.log(np.maximum(size_ratios, 1e-6))) < np.log(_MAX_SIZE_RATIO)) & (
        np.abs(offsets).max(axis=2) < _MAX_SHIFT * sizes[:, None]
    )
    candidates = _candidate_shifts(offsets[possible], _MATCH_DISTANCE * np.median(sizes))
    shifts = np.concatenate([no_shift[None], candidates])
    matches = [(np.abs(offsets - shift).max(axis=2) < _MATCH_DISTANCE * sizes[:, None]) & possible for shift in shifts]
    counts = np.array([each.any(axis=1).sum() for each in matches])
    best = int(counts.argmax())
    enough = counts[best] >= max(_MIN_MATCHES, _MIN_MATCH_SHARE * min(len(positions), len(pose_positions)))
    if not enough or counts[best] < counts[0] + 2:
        return no_shift
    return offsets[matches[best]].mean(axis=0)


def _candidate_shifts(offsets: np.ndarray, cell_px: float) -> np.ndarray:
    """Mean offsets (C, 2) of the fullest cells of a grid over all offsets (L, 2); of equally full cells the nearest.

    The order of tracks and poses does not matter.
    """
    cells, index, count = np.unique(np.round(offsets / cell_px), axis=0, return_inverse=True, return_counts=True)
    order = np.lexsort((cells[:, 1], cells[:, 0], (cells**2).sum(axis=1), -count))[:_MAX_CANDIDATES]
    sums = np.stack([np.bincount(index.ravel(), offsets[:, axis], len(cells)) for axis in (0, 1)], axis=1)
    return (sums / count[:, None])[order]
