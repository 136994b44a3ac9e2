"""What inference hands to association: one frame's poses, and those that optical flow propagated into it."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

import numpy as np

from posetrail.poses import Poses, Rows, check_array, check_same_length


@dataclass(frozen=True, eq=False)
class PropagatedPoses(Rows):
    """People of earlier frames, their joints moved into this frame by optical flow."""

    source_frames: np.ndarray  # (M,) int64, index of the frame each was seen in
    source_rows: np.ndarray  # (M,) int64, its row among that frame's poses
    keypoints: np.ndarray  # (M, K, 2) float32 x y, pixels of this frame; NaN where flow lost the joint

    def __post_init__(self) -> None:
        check_array(self, "source_frames", np.int64, ("M",))
        check_array(self, "source_rows", np.int64, ("M",))
        check_array(self, "keypoints", np.float32, ("M", "K", 2))
        check_same_length(self, **{f.name: len(getattr(self, f.name)) for f in fields(self)})

    @classmethod
    def empty(cls, num_joints: int) -> PropagatedPoses:
        """Nobody, of a skeleton with this many joints."""
        return cls(np.zeros(0), np.zeros(0), np.zeros((0, num_joints, 2)))


@dataclass(frozen=True, eq=False)
class PoseFrame:
    """Everything seen in one frame; following needs nothing else of it."""

    index: int  # counts the frames of the video from 0
    time_s: float  # true presentation time
    name: str  # the frame's file name, or one made from its index
    poses: Poses
    propagated: PropagatedPoses
    camera: np.ndarray = field(default_factory=lambda: np.eye(2, 3))
    """(2, 3) float64: moves points of the scene that stand still from their pixels in the frame seen before this one to
    their pixels in this one; the identity in the first frame and where it is not known."""
    appearance: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    """(N, E) float32, a unit vector for each pose, or zeros where nothing could be said of it; E = 0 without."""

    def __post_init__(self) -> None:
        check_array(self, "camera", np.float64, (2, 3))
        if np.shape(self.appearance)[1] == 0:
            object.__setattr__(self, "appearance", np.zeros((len(self.poses), 0), np.float32))
        check_array(self, "appearance", np.float32, ("N", "E"))
        check_same_length(self, poses=len(self.poses), appearance=len(self.appearance))
