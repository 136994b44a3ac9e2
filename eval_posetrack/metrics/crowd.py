"""How crowded an image is, as CrowdPose measures it (Li et al., CVPR 2019): crowd index and its three levels.

The crowd index of an image is the mean over its people of the number of other people's joints in a person's box divided
by the number of the person's own joints in it, at most 1. Its files have it as `crowdIndex`.
"""

from __future__ import annotations

import numpy as np

LEVELS = ("easy", "medium", "hard")
_LIMITS = (0.1, 0.8)  # where medium and hard begin


def crowd_index(boxes: np.ndarray, keypoints: np.ndarray) -> float:
    """The crowd index of one image, 0..1; 0 without labelled people.

    Args:
        boxes: (N, 4) x1 y1 x2 y2 pixels.
        keypoints: (N, K, 2) pixels, NaN where not labelled.
    """
    with np.errstate(invalid="ignore"):
        places = keypoints[None]
        inside = ((places >= boxes[:, None, None, :2]) & (places <= boxes[:, None, None, 2:])).all(axis=3)
    counts = inside.sum(axis=2)  # (N, N): joints of person j in the box of person i
    own = np.diagonal(counts)
    others = counts.sum(axis=1) - own
    known = own > 0
    if not known.any():
        return 0.0
    return float(np.minimum(others[known] / own[known], 1).mean())


def crowd_levels(indices: np.ndarray) -> np.ndarray:
    """(I,) positions in LEVELS of crowd indices (I,): below 0.1 easy, below 0.8 medium, otherwise hard."""
    return np.digitize(indices, _LIMITS)
