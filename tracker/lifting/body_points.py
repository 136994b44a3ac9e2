"""The points of a body that angles are measured between, from the joints of any skeleton."""

from __future__ import annotations

import numpy as np

from posetrail.skeletons import Skeleton

_NAMES = {
    "toe": ("big_toe", "foot_index"),
    "hand": ("middle_1",),
}
"""Joints that a point may be, without their side; others are joints of their own name."""
_HAND = ("index", "pinky")  # BlazePose's knuckles, whose middle is the hand where there is no middle finger


class BodyPoints:
    """Points of one person by name and side.

    Points of a side are ankle, knee, hip, shoulder, elbow, wrist, heel, toe (the big one) and hand (the knuckle of the
    middle finger, or the middle of those of the index and little finger). Those of the middle are "hips" and
    "shoulders", each between the two sides, and "head": its top, or the middle of the ears where the skeleton has none.

    Args:
        keypoints: (T, K, 2 or 3), NaN where missing.
        skeleton: of the K joints.
    """

    def __init__(self, keypoints: np.ndarray, skeleton: Skeleton) -> None:
        self._keypoints = np.asarray(keypoints, float)
        self._skeleton = skeleton

    def has(self, side: str, *points: str) -> bool:
        """Whether the skeleton has all of these points."""
        return all(self._joints(side, point) for point in points)

    def at(self, side: str, point: str) -> np.ndarray:
        """Places (T, 2 or 3) of a point."""
        return self._keypoints[:, self._joints(side, point)].mean(axis=1)

    def vector(self, side: str, ends: tuple[str, str]) -> np.ndarray:
        """From one point to another (T, 2 or 3)."""
        return self.at(side, ends[1]) - self.at(side, ends[0])

    def has_middle(self, point: str) -> bool:
        """Whether the skeleton has "hips", "shoulders" or "head"."""
        return bool(self._middle_joints(point))

    def middle(self, point: str) -> np.ndarray:
        """Places (T, 2 or 3) of "hips", "shoulders" or "head"."""
        return self._keypoints[:, self._middle_joints(point)].mean(axis=1)

    def _joints(self, side: str, point: str) -> list[int]:
        joints = self._skeleton.joints
        for name in _NAMES.get(point, (point,)):
            if f"{side}_{name}" in joints:
                return [joints.index(f"{side}_{name}")]
        both = [f"{side}_{name}" for name in _HAND]
        return [joints.index(name) for name in both] if point == "hand" and set(both) <= set(joints) else []

    def _middle_joints(self, point: str) -> list[int]:
        joints = self._skeleton.joints
        if point == "head" and "head_top" in joints:
            return [joints.index("head_top")]
        both = [
            f"{side}_{ {'hips': 'hip', 'shoulders': 'shoulder', 'head': 'ear'}[point] }" for side in ("left", "right")
        ]
        return [joints.index(name) for name in both] if set(both) <= set(joints) else []
