"""Hands and faces are added to the poses of a frame when its people are final.

Detection, propagation by optical flow and pose NMS work with the joints of the body alone, which are the first ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from posetrail.frame import Frame
from posetrail.protocols import PartEstimator
from tracker.frames import PoseFrame


def with_parts(inferred: Iterable[tuple[Frame, PoseFrame]], parts: PartEstimator) -> Iterator[tuple[Frame, PoseFrame]]:
    """Frames whose poses have the joints of hands and faces too; in propagated poses, those are missing."""
    num_joints = len(parts.skeleton)
    for frame, result in inferred:
        (poses,) = parts([frame], [result.poses])
        moved = result.propagated.keypoints
        missing = np.full((len(moved), num_joints - moved.shape[1], 2), np.nan, np.float32)
        propagated = replace(result.propagated, keypoints=np.concatenate([moved, missing], axis=1))
        yield frame, replace(result, poses=poses, propagated=propagated)


def bodies_of(known: Iterable[PoseFrame], num_joints: int) -> Iterator[PoseFrame]:
    """Frames of a pose log with the first joints alone, those of the body."""
    joints = np.arange(num_joints)
    for frame in known:
        propagated = replace(frame.propagated, keypoints=frame.propagated.keypoints[:, joints])
        yield replace(frame, poses=frame.poses.of_joints(joints), propagated=propagated)
