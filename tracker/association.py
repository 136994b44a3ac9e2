"""Who may go with whom, how alike they are, and who goes with whom: plausible pairs, likeness, an assignment."""

from __future__ import annotations

import lap
import numpy as np

from tracker.settings import Assignment

_NOTHING = 1e-6  # less alike than this is not alike at all; sums of similarities must still tell the difference
_MIN_AREA_PX = 1.0
_REACH = 3.0  # standard deviations of somebody's place ...
_BODY_REACH = 0.5  # ... and body sizes: boxes farther apart than both together are not compared


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
    reach = (sizes * (_BODY_REACH + _REACH * place_std))[:, None]
    near = boxes[:, 0:1] - reach <= seen_boxes[:, 2]
    near &= boxes[:, 2:3] + reach >= seen_boxes[:, 0]
    near &= boxes[:, 1:2] - reach <= seen_boxes[:, 3]
    near &= boxes[:, 3:4] + reach >= seen_boxes[:, 1]
    rows, columns = np.nonzero(near)
    return rows, columns


def joint_likeness(off: np.ndarray, areas: np.ndarray, variances: np.ndarray) -> np.ndarray:
    """How near each joint is to the one expected, as OKS measures it (P, K), 0..1; NaN where either is missing.

    Args:
        off: (P, K, 2) pixels from one to the other; NaN where either is missing.
        areas: (P,) square pixels, of the person.
        variances: (K,) or (P, K) squared spread of the joints, in units of the area's root: (2 sigma)^2, and what the
            place is uncertain by.
    """
    squared = np.einsum("pkd,pkd->pk", off, off)
    return np.exp(squared / (-2 * np.maximum(areas, _MIN_AREA_PX)[:, None] * variances))


def weighted_oks(likeness: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """OKS (P,) of joints alike (P, K), each counting by its weight (P, K); NaN where nothing is shared."""
    shared = ~np.isnan(likeness)
    total = np.einsum("pk,pk->p", weights, shared)
    with np.errstate(invalid="ignore"):
        return np.einsum("pk,pk->p", weights, np.where(shared, likeness, 0.0)) / np.where(total > 0, total, np.nan)


def box_overlap(boxes: np.ndarray, seen_boxes: np.ndarray) -> np.ndarray:
    """IoU (P,) of pairs of boxes (P, 4), row by row."""
    sides = np.minimum(boxes[:, 2:], seen_boxes[:, 2:]) - np.maximum(boxes[:, :2], seen_boxes[:, :2])
    sides = np.maximum(sides, 0)
    shared = sides[:, 0] * sides[:, 1]
    one, other = boxes[:, 2:] - boxes[:, :2], seen_boxes[:, 2:] - seen_boxes[:, :2]
    either = one[:, 0] * one[:, 1] + other[:, 0] * other[:, 1] - shared
    return shared / np.where(either > 0, either, np.inf)


def associate(similarity: np.ndarray, min_similarity: float, assignment: Assignment) -> np.ndarray:
    """Pairs (P, 2) of row and column, each at most once, none less alike than `min_similarity`, in order of rows.

    Args:
        similarity: (T, N), 0..1.
        min_similarity: 0..1; pairs that are not alike at all are never made.
        assignment: "greedy" takes the most alike pair, then the next of what is left (Simple Baselines; ties go to
            the lower row, then column); "hungarian" finds the pairs that are most above `min_similarity` all together,
            so that nobody who is hardly like anyone makes others change places.
    """
    allowed = similarity >= max(min_similarity, _NOTHING)
    if not allowed.any():
        return np.zeros((0, 2), int)
    return _greedy(similarity, allowed) if assignment == "greedy" else _hungarian(similarity - min_similarity, allowed)


def _greedy(similarity: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    rows, columns = np.nonzero(allowed)
    order = np.argsort(-similarity[rows, columns], kind="stable")
    row_free, column_free = np.ones(similarity.shape[0], bool), np.ones(similarity.shape[1], bool)
    pairs: list[tuple[int, int]] = []
    for row, column in zip(rows[order], columns[order], strict=True):
        if row_free[row] and column_free[column]:
            row_free[row] = column_free[column] = False
            pairs.append((row, column))
    return np.array(sorted(pairs), int)


def _hungarian(gain: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """The greatest sum: a forbidden pair gains nothing, so none displaces an allowed one; it is left out at the end."""
    gain = np.where(allowed, gain + _NOTHING, 0.0).astype(np.float64)
    _, column_of_row, _ = lap.lapjv(gain.max() - gain, extend_cost=True)
    rows = np.flatnonzero(column_of_row >= 0)
    pairs = np.column_stack([rows, column_of_row[rows]])
    return pairs[allowed[pairs[:, 0], pairs[:, 1]]]
