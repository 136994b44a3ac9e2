"""Matches the people that a bottom-up network found in a frame with given boxes."""

from __future__ import annotations

import numpy as np

from posetrail.poses import Poses
from posetrail.similarity import box_iou

# A propagated box is drawn around joints moved by optical flow, so it never equals the box of the person exactly.
_MIN_IOU = 0.3


def people_in_boxes(people: Poses, boxes: np.ndarray) -> Poses:
    """For each box, the person whose own box overlaps it most.

    Args:
        people: the people found in one frame.
        boxes: (N, 4) x1 y1 x2 y2 pixels; those that are not finite match no one.

    Returns:
        N poses with the given boxes and scores of 1; all joints are missing where no person's box has an IoU of at
        least 0.3 with the given one. A person may be returned for several boxes.
    """
    N, K = len(boxes), people.keypoints.shape[1]
    keypoints, scores = np.full((N, K, 2), np.nan), np.zeros((N, K))
    if len(people) and N:
        with np.errstate(invalid="ignore"):
            iou = box_iou(boxes, people.boxes)
        best = iou.argmax(axis=1)
        matched = iou[np.arange(N), best] >= _MIN_IOU
        keypoints[matched], scores[matched] = people.keypoints[best[matched]], people.keypoint_scores[best[matched]]
    return Poses(keypoints, scores, np.reshape(boxes, (N, 4)), np.ones(N), np.zeros(N))
