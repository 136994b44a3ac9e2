"""One system of pixels for a live source whose resolution changes: that of its first frame.

A frame of another size is scaled to fit, in the middle, with its aspect kept. The networks see it as it came.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from posetrail.poses import Poses
from tracker.frames import PoseFrame


@dataclass(frozen=True)
class Fitting:
    """Where the pixels of a frame lie in the first frame: x -> scale * x + shift, whole numbers are centres."""

    scale: np.ndarray  # (2,) of x and y; they differ by the rounding of the size
    shift: np.ndarray  # (2,)

    @classmethod
    def of(cls, size: tuple[int, int], first: tuple[int, int]) -> Fitting:
        """From frames of one size (height, width) to the first one's."""
        by = min(first[0] / size[0], first[1] / size[1])
        fitted = [max(1, round(side * by)) for side in size]
        scale = np.array([fitted[1] / size[1], fitted[0] / size[0]])
        corner = np.array([(first[1] - fitted[1]) // 2, (first[0] - fitted[0]) // 2])
        return cls(scale, corner + (scale - 1) / 2)

    def points(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 2) in pixels of the first frame."""
        return points * self.scale + self.shift

    def poses(self, poses: Poses) -> Poses:
        """Poses in pixels of the first frame."""
        boxes = self.points(poses.boxes.reshape(-1, 2, 2)).reshape(-1, 4)
        return replace(poses, keypoints=self.points(poses.keypoints), boxes=boxes)

    def frame(self, frame: PoseFrame) -> PoseFrame:
        """A frame's poses, propagated poses and camera motion in pixels of the first frame."""
        linear, shift = frame.camera_motion[:, :2], frame.camera_motion[:, 2]
        linear = self.scale[:, None] * linear / self.scale
        motion = np.column_stack([linear, self.scale * shift + self.shift - linear @ self.shift])
        propagated = replace(frame.propagated, keypoints=self.points(frame.propagated.keypoints))
        return replace(frame, poses=self.poses(frame.poses), propagated=propagated, camera_motion=motion)
