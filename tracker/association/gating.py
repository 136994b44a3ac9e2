"""Gating: which tracks and poses are near enough to be compared at all."""

from __future__ import annotations

import numpy as np

_GATE_STD = 3.0  # standard deviations of a track's position ...
_GATE_BODY_SIZES = 0.2  # ... plus body sizes: boxes farther apart than both together are not compared


def gated_pairs(
    track_boxes: np.ndarray, sizes: np.ndarray, position_std: np.ndarray, pose_boxes: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the tracks (P,) and of the poses (P,) whose boxes are near each other.

    Args:
        track_boxes: (T, 4) pixels, predicted.
        sizes: (T,) pixels, body sizes.
        position_std: (T,) body sizes: standard deviation of the tracks' positions.
        pose_boxes: (N, 4) pixels.
    """
    reach = (sizes * (_GATE_BODY_SIZES + _GATE_STD * position_std))[:, None]
    near = track_boxes[:, 0:1] - reach <= pose_boxes[:, 2]
    near &= track_boxes[:, 2:3] + reach >= pose_boxes[:, 0]
    near &= track_boxes[:, 1:2] - reach <= pose_boxes[:, 3]
    near &= track_boxes[:, 3:4] + reach >= pose_boxes[:, 1]
    rows, columns = np.nonzero(near)
    return rows, columns
