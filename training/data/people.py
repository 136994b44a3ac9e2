"""What the readers do alike with the joints and boxes of people."""

from __future__ import annotations

import numpy as np

from eval_posetrack.formats.columns import Records
from posetrail.similarity import grown_boxes, keypoint_boxes

_MARGIN = 0.15  # of a box around joints, as published for PoseTrack (Xiao, Wu, Wei 2018)


def visibility_of(people: Records, keypoints: np.ndarray, flags: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions with NaN where the flag is 0, and the flags.

    Args:
        people: the records, for error messages.
        keypoints: (N, K, 2) pixels.
        flags: (N, K) 0, 1 or 2.

    Raises:
        InputError: a labelled joint has no position.
    """
    labelled = flags > 0
    broken = (labelled & ~np.isfinite(keypoints).all(axis=2)).any(axis=1)
    if broken.any():
        people.fail(int(broken.argmax()), "keypoints", "a position for each labelled joint")
    return np.where(labelled[:, :, None], keypoints, np.nan), flags


def boxes_around(keypoints: np.ndarray) -> np.ndarray:
    """Boxes (N, 4) around labelled joints (N, K, 2), 15 % longer and wider; NaN without a labelled joint."""
    return grown_boxes(keypoint_boxes(keypoints), _MARGIN)


def annotated_boxes(boxes: np.ndarray, keypoints: np.ndarray) -> np.ndarray:
    """Boxes (N, 4) of people, around their joints where a file gives none: at NaN, or all four numbers 0.

    A box of zeros stays where no joint is labelled.
    """
    around = boxes_around(keypoints)
    missing = np.isnan(boxes).any(axis=1) | ((boxes == 0).all(axis=1) & np.isfinite(around).all(axis=1))
    return np.where(missing[:, None], around, boxes)


def head_sizes_of(lengths: np.ndarray) -> np.ndarray:
    """Head sizes (N,) for PCKh: NaN, not known, where a head has no length, as in boxes of zeros."""
    return np.where(lengths > 0, lengths, np.nan)
