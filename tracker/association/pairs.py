"""Who may go with whom, how alike they are, and who goes with whom: plausible pairs, likeness, an assignment."""

from __future__ import annotations

import numpy as np

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


def box_overlap(boxes: np.ndarray, seen_boxes: np.ndarray) -> np.ndarray:
    """IoU (P,) of pairs of boxes (P, 4), row by row."""
    sides = np.minimum(boxes[:, 2:], seen_boxes[:, 2:]) - np.maximum(boxes[:, :2], seen_boxes[:, :2])
    sides = np.maximum(sides, 0)
    shared = sides[:, 0] * sides[:, 1]
    one, other = boxes[:, 2:] - boxes[:, :2], seen_boxes[:, 2:] - seen_boxes[:, :2]
    either = one[:, 0] * one[:, 1] + other[:, 0] * other[:, 1] - shared
    return shared / np.where(either > 0, either, np.inf)
