"""Second looks at the same person, and merged poses: recognised by what they overlap, not left to become somebody."""

from __future__ import annotations

import numpy as np

from posetrail.similarity import box_area, box_iou, joint_similarity, mean_joint_similarity

_TWICE_BOX_IOU = 0.7  # without joints: boxes so alike are one person's ...
_EXPLAINED_BOX_IOU = (
    0.4  # ... and beside somebody followed already this much says as much as `new_track_max_oks` of joints
)
_MIN_BOX_IOU = 0.5  # boxes less alike are two people's, whatever the joints say: one may have taken the other's


def duplicate_poses(
    keypoints: np.ndarray, boxes: np.ndarray, quality: np.ndarray, joint_var: np.ndarray, max_oks: float
) -> np.ndarray:
    """Poses (N,) bool that are more like a better pose of the same frame than `max_oks`, as the smaller one measures.

    Args:
        keypoints: (N, K, 2) pixels, NaN where missing.
        boxes: (N, 4) pixels.
        quality: (N,) which of two is the better; of equals the one in the lower row.
        joint_var: (K,) squared spread of the joints in units of a person's size.
        max_oks: 0..1.
    """
    twice = np.zeros(len(boxes), bool)
    overlap = box_iou(boxes, boxes)
    worse, better = np.nonzero(overlap > _MIN_BOX_IOU)
    first = quality[worse] - quality[better]
    pairs = (first < 0) | ((first == 0) & (worse > better))
    worse, better = worse[pairs], better[pairs]
    if len(worse):
        areas = box_area(boxes)
        likeness = joint_similarity(
            keypoints[worse] - keypoints[better], np.minimum(areas[worse], areas[better]), joint_var
        )
        alike = mean_joint_similarity(likeness)
        same = np.where(np.isnan(alike), overlap[worse, better] > _TWICE_BOX_IOU, alike > max_oks)
        twice[worse[same]] = True
    return twice


def explained(
    keypoints: np.ndarray,
    boxes: np.ndarray,
    by_keypoints: np.ndarray,
    by_boxes: np.ndarray,
    joint_var: np.ndarray,
    limit: float,
) -> np.ndarray:
    """Poses (N,) bool whose joints are, in the mean, more like those of other people than `limit`.

    Each joint may be explained by another person: so a pose that took its joints from two people is found, too.

    Args:
        keypoints: (N, K, 2) pixels, NaN where missing.
        boxes: (N, 4) pixels.
        by_keypoints: (M, K, 2) the others'.
        by_boxes: (M, 4) the others'.
        joint_var: (K,) squared spread of the joints in units of a person's size.
        limit: 0..1.
    """
    if not len(boxes) or not len(by_boxes):
        return np.zeros(len(boxes), bool)
    off = keypoints[:, None] - by_keypoints
    likeness = joint_similarity(off, box_area(by_boxes), joint_var)  # (N, M, K)
    have = ~np.isnan(keypoints[:, :, 0])
    joints = np.where(np.isnan(likeness), 0.0, likeness).max(axis=1).sum(axis=1) / np.maximum(have.sum(axis=1), 1)
    overlap = box_iou(boxes, by_boxes).max(axis=1)
    return np.where(have.any(axis=1), joints >= limit, overlap >= _EXPLAINED_BOX_IOU)
