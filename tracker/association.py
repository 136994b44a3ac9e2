"""Who may go with whom, how alike they are, and who goes with whom: plausible pairs, similarities, an assignment."""

from __future__ import annotations

import lap
import numpy as np

from tracker.settings import Assignment

_NOTHING = 1e-6  # less alike than this is not alike at all; sums of similarities must still tell the difference
_MIN_AREA_PX = 1.0
_REACH = 3.0  # standard deviations ...
_BODY_REACH = 1.0  # ... and body sizes: farther apart than both together nobody is compared


def plausible_pairs(
    boxes: np.ndarray, sizes: np.ndarray, place_std: np.ndarray, seen_boxes: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the people (P,) and of the poses (P,) that are near enough to be compared at all.

    Args:
        boxes: (T, 4) pixels, expected.
        sizes: (T,) pixels, body sizes.
        place_std: (T,) body sizes: how uncertain the people's places are.
        seen_boxes: (N, 4) pixels.
    """
    reach = sizes * (_BODY_REACH + _REACH * place_std)
    left = boxes[:, 0:1] - reach[:, None] <= seen_boxes[:, 2]
    right = boxes[:, 2:3] + reach[:, None] >= seen_boxes[:, 0]
    above = boxes[:, 1:2] - reach[:, None] <= seen_boxes[:, 3]
    below = boxes[:, 3:4] + reach[:, None] >= seen_boxes[:, 1]
    near = np.nonzero(left & right & above & below)
    return near[0], near[1]


def joint_similarity(off: np.ndarray, areas: np.ndarray, variances: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """OKS (P,) of pairs whose joints lie `off` (P, K, 2) pixels apart; NaN where they share no joint.

    Args:
        off: (P, K, 2) pixels; NaN where either lacks the joint.
        areas: (P,) square pixels, of the expected person.
        variances: (P, K) squared spread of each joint in units of the area's root: (2 sigma)^2, and what the person's
            place is uncertain by.
        weights: (P, K) how much each joint counts.
    """
    squared = np.einsum("pkd,pkd->pk", off, off)
    alike = np.exp(squared / (-2 * np.maximum(areas, _MIN_AREA_PX)[:, None] * variances))
    shared = ~np.isnan(alike)
    weights = np.where(shared, weights, 0.0)
    total = weights.sum(axis=1)
    with np.errstate(invalid="ignore"):
        return np.where(shared, weights * alike, 0.0).sum(axis=1) / np.where(total > 0, total, np.nan)


def box_similarity(boxes: np.ndarray, seen_boxes: np.ndarray, margins: np.ndarray) -> np.ndarray:
    """IoU (P,) of pairs of boxes (P, 4), both grown by a margin (P,) in pixels on every side.

    The margin is how far either may be off: boxes that just miss each other are still somewhat alike (buffered IoU,
    Yang et al., WACV 2023).
    """
    grow = margins[:, None] * np.array([-1.0, -1.0, 1.0, 1.0])
    a, b = boxes + grow, seen_boxes + grow
    sides = np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2])
    shared = np.maximum(sides, 0).prod(axis=1)
    either = (a[:, 2:] - a[:, :2]).prod(axis=1) + (b[:, 2:] - b[:, :2]).prod(axis=1) - shared
    return np.where(either > 0, shared / np.where(either > 0, either, 1), 0.0)


def associate(similarity: np.ndarray, min_similarity: float, assignment: Assignment) -> np.ndarray:
    """Pairs (P, 2) of row and column, each at most once, none less alike than `min_similarity`, in order of rows.

    Args:
        similarity: (T, N), 0..1.
        min_similarity: 0..1; pairs that are not alike at all are never made.
        assignment: "greedy" takes the most alike pair, then the next of what is left (Simple Baselines; ties go to
            the lower row, then column); "hungarian" finds the greatest sum over all allowed pairs.
    """
    allowed = similarity >= max(min_similarity, _NOTHING)
    if not allowed.any():
        return np.zeros((0, 2), int)
    pairs = _greedy(similarity, allowed) if assignment == "greedy" else _hungarian(similarity, allowed)
    return pairs[np.argsort(pairs[:, 0], kind="stable")]


def _greedy(similarity: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    rows, columns = np.nonzero(allowed)
    order = np.argsort(-similarity[rows, columns], kind="stable")
    row_free, column_free = np.ones(similarity.shape[0], bool), np.ones(similarity.shape[1], bool)
    pairs = []
    for row, column in zip(rows[order], columns[order], strict=True):
        if row_free[row] and column_free[column]:
            row_free[row] = column_free[column] = False
            pairs.append((row, column))
    return np.array(pairs, int)


def _hungarian(similarity: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """The greatest sum: a forbidden pair gains nothing, so none displaces an allowed one; it is left out at the end."""
    gain = np.where(allowed, similarity, 0.0).astype(np.float64)
    _, column_of_row, _ = lap.lapjv(gain.max() - gain, extend_cost=True)
    pairs = np.column_stack([np.arange(len(column_of_row)), column_of_row])
    pairs = pairs[pairs[:, 1] >= 0]
    return pairs[allowed[pairs[:, 0], pairs[:, 1]]]
