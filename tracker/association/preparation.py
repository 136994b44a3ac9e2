"""Prepares the poses of a frame for matching: which are duplicates, which may start tracks."""

from __future__ import annotations

import numpy as np

from posetrail.poses import Poses, confident_keypoints
from posetrail.similarity import keypoint_boxes
from posetrail.skeletons import Skeleton, skeleton_of_size
from tracker.association.candidates import Candidates
from tracker.association.duplicates import duplicate_poses
from tracker.association.score_scale import ScoreScale
from tracker.frames import PoseFrame
from tracker.settings import AssociationSettings


class Preparation:
    """Prepares frame by frame; scores are calibrated to those of the frames so far.

    Args:
        settings: thresholds.
        skeleton: of the poses; chosen by their number of joints if not given.
    """

    def __init__(self, settings: AssociationSettings, skeleton: Skeleton | None) -> None:
        self._settings = settings
        self._scale = ScoreScale(adapt=settings.calibrate_scores)
        self._joint_variances = None if skeleton is None else _joint_variances(skeleton)

    def __call__(self, frame: PoseFrame) -> Candidates:
        """Prepare the next frame.

        Raises:
            ValueError: the number of joints is not that of the skeleton.
        """
        settings, poses = self._settings, frame.poses
        num_joints = poses.keypoints.shape[1]
        if self._joint_variances is None:
            self._joint_variances = _joint_variances(skeleton_of_size(num_joints))
        if num_joints != len(self._joint_variances):
            raise ValueError(f"poses: expected {len(self._joint_variances)} joints, got {num_joints}")
        quality = self._scale.add(poses, frame.time_s)
        keypoints = confident_keypoints(poses, settings.min_match_joint_score).astype(float)
        boxes = _boxes(poses)
        usable = np.isfinite(boxes).all(axis=1)
        if settings.track_nms_oks < 1 and len(poses) > 1:
            usable &= ~duplicate_poses(keypoints, boxes, quality, self._joint_variances, settings.track_nms_oks)
        confident = (quality >= self._scale.threshold(settings.new_track_score)) & ~poses.propagated
        evidence = self._scale.evidence(quality, settings.new_track_score)
        return Candidates(frame, keypoints, boxes, usable, confident, evidence, self._joint_variances)


def _joint_variances(skeleton: Skeleton) -> np.ndarray:
    return (2 * np.array(skeleton.oks_sigmas)) ** 2


def _boxes(poses: Poses) -> np.ndarray:
    """Boxes (N, 4) float64 of all poses; the box around the joints where a pose has none."""
    boxes = poses.boxes.astype(float)
    known = np.isfinite(boxes).all(axis=1)
    return boxes if known.all() else np.where(known[:, None], boxes, keypoint_boxes(poses.keypoints))
