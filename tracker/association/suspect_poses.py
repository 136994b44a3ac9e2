"""The poses of a clip and their tracks in flat arrays, as the measures of doubt read them.

The poses are those of the pose log, neither smoothed nor interpolated: smoothing hides the errors that are looked for.
Memory: about 300 bytes per pose of 17 joints.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from posetrail.poses import confident_keypoints
from posetrail.similarity import keypoint_boxes
from tracker.association.stabilisation import Stabiliser
from tracker.frames import PoseFrame

_MIN_JOINT_WEIGHT = 0.2  # sum of the joints' scores; with less, the position is the centre of the box
_MIN_SIZE_PX = 4.0


@dataclass(frozen=True, eq=False)
class LoggedPoses:
    """The F frames of a pose log and their M poses, frame by frame."""

    frame_indices: np.ndarray  # (F,) int64, number of the frame in its video
    times_s: np.ndarray  # (F,) presentation times
    begins: np.ndarray  # (F + 1,) int64: the poses of frame k are the rows begins[k] to begins[k + 1]
    to_first: np.ndarray  # (F, 2, 3) maps pixels of a frame to camera-stabilised pixels
    keypoints: np.ndarray  # (M, K, 2) float32 pixels, NaN where missing
    joint_scores: np.ndarray  # (M, K) float32, 0 where missing
    boxes: np.ndarray  # (M, 4) float32 pixels, around the joints where a pose has none
    scores: np.ndarray  # (M,) float32

    def __len__(self) -> int:
        return len(self.scores)

    @cached_property
    def positions(self) -> np.ndarray:
        """The position 0..F-1 of the frame of each pose (M,)."""
        return np.repeat(np.arange(len(self.times_s)), np.diff(self.begins))

    @cached_property
    def frames(self) -> np.ndarray:
        """The number (M,) of the frame of each pose in its video."""
        return self.frame_indices[self.positions]

    @cached_property
    def rows(self) -> np.ndarray:
        """The row (M,) of each pose among the poses of its frame."""
        return np.arange(len(self)) - self.begins[self.positions]

    @cached_property
    def sizes(self) -> np.ndarray:
        """Body sizes (M,) in pixels: the square root of the area of the box."""
        sides = np.maximum(self.boxes[:, 2:] - self.boxes[:, :2], _MIN_SIZE_PX).astype(float)
        return np.sqrt(sides[:, 0] * sides[:, 1])

    @cached_property
    def centres(self) -> np.ndarray:
        """Positions (M, 2) of the bodies in pixels: the mean of the joints, weighted by their scores."""
        weights = np.where(np.isnan(self.keypoints[:, :, 0]), 0.0, self.joint_scores)
        total = weights.sum(axis=1, keepdims=True)
        mean = np.einsum("mk,mkd->md", weights, np.nan_to_num(self.keypoints)) / np.maximum(total, 1e-9)
        middle = (self.boxes[:, :2] + self.boxes[:, 2:]) / 2.0
        return np.where(total > _MIN_JOINT_WEIGHT, mean, middle)

    @cached_property
    def stabilised(self) -> np.ndarray:
        """`centres` (M, 2) in camera-stabilised pixels."""
        motion = self.to_first[self.positions]
        return np.einsum("mij,mj->mi", motion[:, :, :2], self.centres) + motion[:, :, 2]

    @cached_property
    def stabilised_sizes(self) -> np.ndarray:
        """`sizes` (M,) in camera-stabilised pixels."""
        zoom = np.sqrt(np.abs(np.linalg.det(self.to_first[:, :, :2])))
        return self.sizes * zoom[self.positions]

    def shapes(self, poses: np.ndarray) -> np.ndarray:
        """The joints (..., K, 2) of these poses (...) from their centres, in body sizes; NaN where missing."""
        offsets = self.keypoints[poses] - self.centres[poses][..., None, :]
        return offsets / self.sizes[poses][..., None, None]

    def name(self, pose: int) -> tuple[int, int]:
        """The frame and row by which this pose is named."""
        return int(self.frames[pose]), int(self.rows[pose])


def logged_poses(frames: Iterable[PoseFrame], num_joints: int, min_joint_score: float) -> LoggedPoses:
    """Gather the poses of a log; joints below `min_joint_score` count as missing."""
    stabiliser = Stabiliser()
    indices, times, counts, to_first = [], [], [0], []
    keypoints = [np.zeros((0, num_joints, 2), np.float32)]
    joint_scores, boxes = [np.zeros((0, num_joints), np.float32)], [np.zeros((0, 4), np.float32)]
    scores = [np.zeros(0, np.float32)]
    for frame in frames:
        poses = frame.poses
        indices.append(frame.index)
        times.append(frame.time_s)
        counts.append(len(poses))
        to_first.append(stabiliser.add(frame.camera_motion))
        joints = confident_keypoints(poses, min_joint_score)
        known = np.isfinite(poses.boxes).all(axis=1)
        keypoints.append(joints)
        joint_scores.append(np.where(np.isnan(joints[:, :, 0]), 0, poses.keypoint_scores).astype(np.float32))
        boxes.append(poses.boxes if known.all() else np.where(known[:, None], poses.boxes, keypoint_boxes(joints)))
        scores.append(poses.scores)
    return LoggedPoses(
        np.array(indices, np.int64),
        np.array(times, np.float64),
        np.cumsum(counts),
        np.array(to_first, np.float64).reshape(-1, 2, 3),
        np.concatenate(keypoints),
        np.concatenate(joint_scores),
        np.concatenate(boxes),
        np.concatenate(scores),
    )
