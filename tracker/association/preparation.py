"""Prepares the poses of a frame for matching: which are duplicates, which may start tracks."""

from __future__ import annotations

from dataclasses import replace

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
        self._skeleton = skeleton

    def __call__(self, frame: PoseFrame) -> Candidates:
        """Prepare the next frame; its candidates have the joints of the body alone (`Skeleton.body`).

        Raises:
            ValueError: the number of joints is not that of the skeleton.
        """
        settings, poses = self._settings, frame.poses
        num_joints = poses.keypoints.shape[1]
        if self._skeleton is None:
            self._skeleton = skeleton_of_size(num_joints)
        if num_joints != len(self._skeleton):
            raise ValueError(f"poses: expected {len(self._skeleton)} joints, got {num_joints}")
        frame = _of_joints(frame, self._skeleton.body)
        poses, variances = frame.poses, (2 * body_sigmas(self._skeleton)) ** 2
        quality = self._scale.add(poses, frame.time_s)
        keypoints = confident_keypoints(poses, settings.min_match_joint_score).astype(float)
        boxes = _boxes(poses)
        usable = np.isfinite(boxes).all(axis=1)
        if settings.track_nms_oks < 1 and len(poses) > 1:
            usable &= ~duplicate_poses(keypoints, boxes, quality, variances, settings.track_nms_oks)
        confident = (quality >= self._scale.threshold(settings.new_track_score)) & ~poses.propagated
        evidence = self._scale.evidence(quality, settings.new_track_score)
        return Candidates(frame, keypoints, boxes, usable, confident, evidence, variances)


def body_sigmas(skeleton: Skeleton) -> np.ndarray:
    """OKS sigmas (B,) of the joints that candidates have."""
    return np.array(skeleton.oks_sigmas)[skeleton.body]


def _of_joints(frame: PoseFrame, joints: np.ndarray) -> PoseFrame:
    """The frame with only these joints of its poses."""
    if len(joints) == frame.poses.keypoints.shape[1]:
        return frame
    propagated = replace(frame.propagated, keypoints=frame.propagated.keypoints[:, joints])
    return replace(frame, poses=frame.poses.of_joints(joints), propagated=propagated)


def _boxes(poses: Poses) -> np.ndarray:
    """Boxes (N, 4) float64 of all poses; the box around the joints where a pose has none."""
    boxes = poses.boxes.astype(float)
    known = np.isfinite(boxes).all(axis=1)
    return boxes if known.all() else np.where(known[:, None], boxes, keypoint_boxes(poses.keypoints))
