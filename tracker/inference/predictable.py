"""People whose joints optical flow predicts well need not be estimated in every frame.

A person is predictable whose confident joints were all estimated near where optical flow had moved them. In the next
frames that the detector does not search, their joints are moved by optical flow and kept, at most MAX_RESTS times in a
row. The next estimate is compared with where flow has moved the joints until then. What is predictable follows from the
pose log alone, so that resumed runs continue with the same decisions.
"""

from __future__ import annotations

import numpy as np

from posetrail.poses import Poses
from posetrail.similarity import box_area, box_iou
from tracker.frames import PoseFrame

MAX_RESTS = 2  # consecutive frames without an estimate
_MIN_SCORE = 0.3  # joints with a lower score are not compared
_MAX_MOTION = 0.15  # of a joint between two frames, relative to the square root of the box area
_MIN_IOU = 0.5  # of the boxes of a person in consecutive frames
_MIN_QUALITY = 0.4


class Predictable:
    """Tells which people of the last frame may be kept without an estimate.

    Args:
        max_error: distance of an estimated joint from its prediction, relative to the square root of the box area; 0:
            no one is predictable.
        body: indices (B,) of the joints that are compared.
    """

    def __init__(self, max_error: float, body: np.ndarray) -> None:
        self._max_error, self._body = max_error, body
        self._last: PoseFrame | None = None
        self._rests = np.zeros(0, int)  # of each person of the last frame: frames left without an estimate

    def remember(self, frame: PoseFrame) -> None:
        """Take in the result of a frame; call it for every frame in order."""
        if self._max_error > 0:
            self._rests = self._rests_left(frame)
            self._last = frame

    def _rests_left(self, frame: PoseFrame) -> np.ndarray:
        poses = frame.poses
        left = np.zeros(len(poses), int)
        if self._last is None:
            return left
        newest = frame.propagated.from_frame(self._last.index)
        predicted, sources = newest.keypoints, newest.source_rows
        if not len(sources):
            return left
        kept = _is_equal(poses.keypoints, predicted) & poses.propagated[:, None]
        before = self._last.poses[sources]
        overlap = box_iou(poses.boxes, before.boxes)
        best = overlap.argmax(axis=1)
        rows = np.arange(len(poses))
        is_same = (overlap[rows, best] >= _MIN_IOU) & (poses.of_joints(self._body).quality >= _MIN_QUALITY)
        is_near = self._is_near(poses, predicted[best], self._max_error)
        left[is_same & is_near] = MAX_RESTS
        rested = kept.any(axis=1)
        left[rested] = self._rests[sources[kept.argmax(axis=1)[rested]]] - 1
        return left

    def rested(self, last: Poses, rows: np.ndarray, moved: np.ndarray) -> tuple[np.ndarray, Poses]:
        """Which people need no estimate in this frame, and their poses.

        Args:
            last: poses (M) of people of the last frame.
            rows: (M,) their rows in it.
            moved: (M, K, 2) their joints, moved into this frame; NaN where their scores are low.

        Returns:
            (M,) bool, and the poses of those: joints that have not been moved follow the median of the others.
        """
        if self._last is None or not len(rows):
            return np.zeros(len(rows), bool), last[[]]
        rests = (self._rests[rows] > 0) & self._is_near(last, moved, _MAX_MOTION)
        people, joints = last[rests], moved[rests]
        if not len(people):
            return rests, people
        shifts = np.nanmedian(joints - people.keypoints, axis=1)  # (R, 2)
        missing = ~np.isfinite(joints)
        joints = np.where(missing, people.keypoints + shifts[:, None], joints)
        return rests, Poses(
            joints,
            people.keypoint_scores,
            people.boxes + np.tile(shifts, (1, 2)),
            people.scores,
            np.ones(len(people), bool),
        )

    def _is_near(self, poses: Poses, others: np.ndarray, limit: float) -> np.ndarray:
        return _is_near(poses.of_joints(self._body), others[:, self._body], limit)


def _is_near(poses: Poses, others: np.ndarray, limit: float) -> np.ndarray:
    """Whether the confident joints of poses (N) are near those of others (N, K, 2): (N,) bool.

    Args:
        poses: with the confident joints.
        others: pixels; NaN is not near.
        limit: of the distance, relative to the square root of the box area.
    """
    distances = np.linalg.norm(poses.keypoints - others, axis=2)
    confident = poses.keypoint_scores >= _MIN_SCORE
    with np.errstate(invalid="ignore"):
        near = distances <= limit * np.sqrt(box_area(poses.boxes))[:, None]
    return np.asarray((near | ~confident).all(axis=1) & confident.any(axis=1))


def _is_equal(keypoints: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Which poses (N, K, 2) have exactly the joints of predicted ones (M, K, 2) that are not NaN: (N, M) bool."""
    present = np.isfinite(predicted).all(axis=2)
    equal = (keypoints[:, None] == predicted).all(axis=3)
    return np.asarray((equal | ~present).all(axis=2) & present.any(axis=1))
