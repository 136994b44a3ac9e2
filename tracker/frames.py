"""The types that travel between the stages: frames with poses, poses moved by optical flow, frames with tracks.

`tracker.inference` makes `PoseFrame`s, `tracker.io` writes them to the pose log and reads them back, and
`tracker.association` gives them track ids. Importing this module loads numpy and nothing larger.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TypeAlias

import numpy as np

from posetrail.frame import Image
from posetrail.poses import Poses, Rows, TrackedPoses, check_array, check_same_length


@dataclass(frozen=True, eq=False)
class PropagatedPoses(Rows):
    """Poses of earlier frames whose joints optical flow has moved into this frame."""

    source_frames: np.ndarray  # (M,) int64, index of the frame in which the pose was estimated
    source_rows: np.ndarray  # (M,) int64, row of the pose in that frame
    keypoints: np.ndarray  # (M, K, 2) float32 x y, pixels of this frame; NaN where optical flow lost the joint

    def __post_init__(self) -> None:
        check_array(self, "source_frames", np.int64, ("M",))
        check_array(self, "source_rows", np.int64, ("M",))
        check_array(self, "keypoints", np.float32, ("M", "K", 2))
        check_same_length(self, **{f.name: len(getattr(self, f.name)) for f in fields(self)})

    @classmethod
    def empty(cls, num_joints: int) -> PropagatedPoses:
        """No poses, of a skeleton with this many joints."""
        return cls(np.zeros(0), np.zeros(0), np.zeros((0, num_joints, 2)))

    def from_frame(self, index: int) -> PropagatedPoses:
        """Those that were estimated in the frame of this index."""
        return self[self.source_frames == index]


@dataclass(frozen=True, eq=False)
class PoseFrame:
    """The poses of one frame and everything else that association needs from its pixels."""

    index: int  # counts the frames of the video from 0
    time_s: float  # presentation time
    name: str  # the frame's file name, or one made from its index
    poses: Poses
    propagated: PropagatedPoses
    camera_motion: np.ndarray = field(default_factory=lambda: np.eye(2, 3))
    """(2, 3) float64 similarity transform that maps points of the static background from their pixels in the previously
    processed frame to their pixels in this one; the identity in the first frame and where the motion is unknown."""
    appearance: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    """(N, E) float32 appearance embedding of each pose, of unit length, or zeros where there is none; E = 0 if no
    embedder ran."""

    def __post_init__(self) -> None:
        check_array(self, "camera_motion", np.float64, (2, 3))
        if np.shape(self.appearance)[1] == 0:
            object.__setattr__(self, "appearance", np.zeros((len(self.poses), 0), np.float32))
        check_array(self, "appearance", np.float32, ("N", "E"))
        check_same_length(self, poses=len(self.poses), appearance=len(self.appearance))


@dataclass(frozen=True, eq=False)
class TrackedFrame:
    """One frame with its tracked poses: what the writers save and what `tracker.track` yields."""

    index: int  # counts the frames of the video from 0
    time_s: float  # presentation time
    name: str  # the frame's file name, or one made from its index
    people: TrackedPoses
    image: Image | None = None  # (H, W, 3) uint8 RGB where it is at hand; no writer needs it
    names: Mapping[int, str] = field(default_factory=dict)
    """Names of the clip's people, by track id; the same in every frame."""


FrameWithTracks: TypeAlias = tuple[PoseFrame, TrackedPoses]
"""A frame of the pose log and the tracked poses that association made of it."""
