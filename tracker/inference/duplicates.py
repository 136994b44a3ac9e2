"""Pose NMS: one pose remains of several poses of one person in a frame."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from posetrail.nms import merge_poses, nms
from posetrail.poses import Poses, confident_keypoints
from posetrail.similarity import box_area, oks
from tracker.settings import InferenceSettings


def without_duplicates(poses: Poses, body: np.ndarray, sigmas: np.ndarray, settings: InferenceSettings) -> Poses:
    """The poses without duplicates, in the order of their rows, by the kind of pose NMS that the settings name.

    Args:
        poses: of one frame.
        body: (B,) the joints that are compared, and merged by parametric pose NMS.
        sigmas: (B,) their OKS sigmas.
        settings: of inference.
    """
    if settings.pose_nms == "parametric":
        return _merged(poses, body)
    bodies = poses.of_joints(body)
    confident = confident_keypoints(bodies, settings.min_propagated_joint_score)
    similarity = oks(confident, confident, box_area(poses.boxes), sigmas)
    # The OKS of the smaller person of a pair counts, so that a large box does not remove a small neighbour.
    similarity = np.minimum(similarity, similarity.T)
    return poses[np.sort(nms(similarity, bodies.quality, settings.pose_nms_oks))]


def _merged(poses: Poses, body: np.ndarray) -> Poses:
    """The poses after parametric pose NMS; boxes, scores and other joints are those of the pose that stays."""
    bodies = poses.of_joints(body)
    rows, merged, merged_scores = merge_poses(bodies.keypoints, bodies.keypoint_scores, poses.boxes)
    order = np.argsort(rows)
    kept = poses[rows[order]]
    keypoints, scores = kept.keypoints.copy(), kept.keypoint_scores.copy()
    keypoints[:, body], scores[:, body] = merged[order], merged_scores[order]
    return replace(kept, keypoints=keypoints, keypoint_scores=scores)
