"""Duplicate poses: several poses of one person in a frame, and poses that mix the joints of two people.

Both are found by OKS and left out, so that they do not start tracks of their own.
"""

from __future__ import annotations

import numpy as np

from posetrail.similarity import box_area, box_iou, joint_similarity, mean_joint_similarity

_DUPLICATE_BOX_IOU = 0.7  # poses without shared joints are duplicates from this IoU of their boxes on ...
_EXPLAINED_BOX_IOU = 0.4  # ... and poses without joints are explained by a tracked person from this IoU on
_MIN_BOX_IOU = 0.5  # below it two poses are of two people, whatever their joints: one may have taken the other's


def duplicate_poses(
    keypoints: np.ndarray, boxes: np.ndarray, quality: np.ndarray, joint_variances: np.ndarray, max_oks: float
) -> np.ndarray:
    """Poses (N,) bool whose OKS with a better pose of the frame is above `max_oks`.

    The smaller of the two boxes gives the area of the OKS.

    Args:
        keypoints: (N, K, 2) pixels, NaN where missing.
        boxes: (N, 4) pixels.
        quality: (N,) the higher one is better; of equal ones the lower row is.
        joint_variances: (K,) (2 sigma)^2 of each joint.
        max_oks: 0..1.
    """
    duplicate = np.zeros(len(boxes), bool)
    iou = box_iou(boxes, boxes)
    worse, better = np.nonzero(iou > _MIN_BOX_IOU)
    difference = quality[worse] - quality[better]
    pairs = (difference < 0) | ((difference == 0) & (worse > better))
    worse, better = worse[pairs], better[pairs]
    if len(worse):
        areas = box_area(boxes)
        offsets, smaller = keypoints[worse] - keypoints[better], np.minimum(areas[worse], areas[better])
        oks = mean_joint_similarity(joint_similarity(offsets, smaller, joint_variances))
        same = np.where(np.isnan(oks), iou[worse, better] > _DUPLICATE_BOX_IOU, oks > max_oks)
        duplicate[worse[same]] = True
    return duplicate


def explained_poses(
    keypoints: np.ndarray,
    boxes: np.ndarray,
    tracked_keypoints: np.ndarray,
    tracked_boxes: np.ndarray,
    joint_variances: np.ndarray,
    min_oks: float,
) -> np.ndarray:
    """Poses (N,) bool whose joints tracked poses of the same frame explain.

    For each joint the most similar tracked pose counts, so a pose that takes its joints from two people is explained
    too. It is explained if the mean over its joints reaches `min_oks`.

    Args:
        keypoints: (N, K, 2) pixels, NaN where missing.
        boxes: (N, 4) pixels.
        tracked_keypoints: (M, K, 2) pixels, of the poses that belong to tracks.
        tracked_boxes: (M, 4) pixels, of the same poses.
        joint_variances: (K,) (2 sigma)^2 of each joint.
        min_oks: 0..1.
    """
    if not len(boxes) or not len(tracked_boxes):
        return np.zeros(len(boxes), bool)
    similarity = joint_similarity(keypoints[:, None] - tracked_keypoints, box_area(tracked_boxes), joint_variances)
    best = np.where(np.isnan(similarity), 0.0, similarity).max(axis=1)  # (N, K)
    has_joint = ~np.isnan(keypoints[:, :, 0])
    mean = best.sum(axis=1) / np.maximum(has_joint.sum(axis=1), 1)
    iou = box_iou(boxes, tracked_boxes).max(axis=1)
    return np.where(has_joint.any(axis=1), mean >= min_oks, iou >= _EXPLAINED_BOX_IOU)
