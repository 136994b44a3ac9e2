"""Who may go with whom, how alike they are, and who goes with whom: plausible pairs, likeness, an assignment."""

from __future__ import annotations

import numpy as np

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


def joint_similarity(off: np.ndarray, areas: np.ndarray, variances: np.ndarray) -> np.ndarray:
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
