"""Tracklets: stretches of poses that are one person's for sure, because two trackers think so.

One tracker follows the clip forwards, the other backwards. Where both hold on to a track of theirs from one frame to
the next, the two poses are hardly ever of two people; where either lets go or takes another pose, a tracklet ends. What
is kept of a tracklet is bounded, however long it is: how it begins and how it ends.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from posetrail.poses import confident_keypoints
from tracker.association.stabilisation import StillPicture, moved, zoom
from tracker.frames import PoseFrame

ENDS = 12  # poses kept of each end of a tracklet: how somebody moves is told by fewer
_SHAPE_POSES = 3  # the body's shape at an end is the mean of so many
_MIN_SCORE = 0.2  # sum of the joints' scores: with less, the box tells where somebody is
_MIN_SIZE_PX = 4.0


@dataclass(frozen=True, eq=False)
class Tracklets:
    """Parallel arrays, one row per tracklet in the order of their first poses; places in the still picture."""

    forward: np.ndarray  # (P,) int64 serial of the forward tracker's track; 0: it had none
    backward: np.ndarray  # (P,) int64 the same of the backward tracker
    first: np.ndarray  # (P,) int64 frame of the first pose, counted from 0
    last: np.ndarray  # (P,) int64 frame of the last pose; there is one in every frame between
    starts: np.ndarray  # (P, ENDS, 4) time_s, x, y, body size of the first poses, then NaN
    ends: np.ndarray  # (P, ENDS, 4) the same of the last poses, NaN before
    first_joints: np.ndarray  # (P, K, 2) at the start, pixels from the place; NaN where missing
    last_joints: np.ndarray  # (P, K, 2) at the end
    appearance: np.ndarray  # (P, E) float32 mean of the poses' appearance, unit length or zeros
    evidence: np.ndarray  # (P,) that it is somebody: the sum over its poses

    def __len__(self) -> int:
        return len(self.forward)


@dataclass(eq=False)
class _Tracklet:
    """A tracklet while it grows."""

    serials: tuple[int, int]
    first: int
    last: int = 0
    starts: list[np.ndarray] = field(default_factory=list)
    ends: deque[np.ndarray] = field(default_factory=lambda: deque(maxlen=ENDS))
    first_joints: list[np.ndarray] = field(default_factory=list)
    last_joints: deque[np.ndarray] = field(default_factory=lambda: deque(maxlen=_SHAPE_POSES))
    appearance: np.ndarray | float = 0.0
    evidence: float = 0.0


class TrackletRecorder:
    """Cuts followed frames into tracklets, one frame at a time."""

    def __init__(self, min_match_joint_score: float) -> None:
        self._match_joint_score = min_match_joint_score
        self._still = StillPicture()
        self._frames = 0
        self._pieces = 0
        self._growing: dict[tuple[int, int], tuple[int, _Tracklet]] = {}
        self._records = bytearray()  # of all tracklets, blank while they grow; arrays for each would take twice as much
        self._record = _record(0, 0)  # until the first frame tells how many joints there are

    def add(self, seen: PoseFrame, forward: np.ndarray, backward: np.ndarray, evidence: np.ndarray) -> np.ndarray:
        """The tracklet (N,) that each pose of the next frame belongs to, -1 for nobody's.

        Args:
            seen: the frame.
            forward: (N,) serials of the forward tracker, 0 for nobody.
            backward: (N,) serials of the backward tracker.
            evidence: (N,) how much each pose says that it is somebody.
        """
        if self._frames == 0:
            self._record = _record(seen.poses.keypoints.shape[1], seen.appearance.shape[1])
        measured, joints = self._measure(seen)
        tracklets = np.full(len(forward), -1)
        growing = {}
        for row, serials in enumerate(zip(forward.tolist(), backward.tolist(), strict=True)):
            if serials == (0, 0):
                continue
            number, tracklet = self._growing.pop(serials, (self._pieces, None))
            if tracklet is None:
                tracklet = _Tracklet(serials, self._frames)
                self._pieces += 1
                self._records += bytes(self._record.itemsize)
            growing[serials] = number, tracklet
            tracklets[row] = number
            tracklet.last = self._frames
            if len(tracklet.starts) < ENDS:
                tracklet.starts.append(measured[row])
            if len(tracklet.first_joints) < _SHAPE_POSES:
                tracklet.first_joints.append(joints[row])
            tracklet.ends.append(measured[row])
            tracklet.last_joints.append(joints[row])
            tracklet.appearance = tracklet.appearance + seen.appearance[row]
            tracklet.evidence += float(evidence[row])
        self._end()
        self._growing = growing
        self._frames += 1
        return tracklets

    def tracklets(self) -> Tracklets:
        """All tracklets; nothing can be added afterwards."""
        self._end()
        records = np.frombuffer(self._records, self._record)
        return Tracklets(**{column.name: records[column.name] for column in fields(Tracklets)})

    def _end(self) -> None:
        """Write down the tracklets that have not grown."""
        for number, tracklet in self._growing.values():
            place = slice(number * self._record.itemsize, (number + 1) * self._record.itemsize)
            self._records[place] = np.array(_row(tracklet), self._record).tobytes()
        self._growing = {}

    def _measure(self, seen: PoseFrame) -> tuple[np.ndarray, np.ndarray]:
        """Time, place and size (N, 4) of everybody in the still picture, and their joints (N, K, 2) from the place.

        The place is the mean of the joints, weighted by their scores: joint by joint nothing is as steady.
        """
        poses = seen.poses
        to_still = self._still.add(seen.camera_motion)
        boxes = poses.boxes.astype(float)
        keypoints = confident_keypoints(poses, self._match_joint_score).astype(float)
        weights = np.where(np.isnan(keypoints[:, :, 0]), 0.0, poses.keypoint_scores)
        total = weights.sum(axis=1, keepdims=True)
        mean = np.einsum("nk,nkd->nd", weights, np.nan_to_num(keypoints)) / np.maximum(total, 1e-9)
        places = np.where(total > _MIN_SCORE, mean, (boxes[:, :2] + boxes[:, 2:]) / 2)
        sides = np.maximum(boxes[:, 2:] - boxes[:, :2], _MIN_SIZE_PX)
        sizes = np.sqrt(sides[:, 0] * sides[:, 1]) * zoom(to_still)
        times = np.full(len(poses), seen.time_s)
        joints = (keypoints - places[:, None]) @ to_still[:, :2].T
        return np.column_stack([times, moved(places, to_still), sizes]), joints


def _record(num_joints: int, appearance_size: int) -> np.dtype:
    """A row of Tracklets."""
    shapes = {
        **dict.fromkeys(("forward", "backward", "first", "last"), (np.int64, ())),
        **dict.fromkeys(("starts", "ends"), (np.float64, (ENDS, 4))),
        **dict.fromkeys(("first_joints", "last_joints"), (np.float64, (num_joints, 2))),
        "appearance": (np.float32, (appearance_size,)),
        "evidence": (np.float64, ()),
    }
    return np.dtype([(name, *kind) for name, kind in shapes.items()], align=True)


def _row(tracklet: _Tracklet) -> tuple[Any, ...]:
    """The fields of Tracklets."""
    starts, ends = np.full((2, ENDS, 4), np.nan)
    starts[: len(tracklet.starts)] = tracklet.starts
    ends[ENDS - len(tracklet.ends) :] = tracklet.ends
    appearance = np.asarray(tracklet.appearance)
    length = np.linalg.norm(appearance)
    shapes = (_mean_shape(np.array(each)) for each in (tracklet.first_joints, tracklet.last_joints))
    looks = appearance / (length or 1.0)
    return (*tracklet.serials, tracklet.first, tracklet.last, starts, ends, *shapes, looks, tracklet.evidence)


def _mean_shape(joints: np.ndarray) -> np.ndarray:
    """The mean (K, 2) of shapes (M, K, 2), over those that have the joint."""
    there = ~np.isnan(joints)
    count = there.sum(axis=0)
    return np.where(count > 0, np.where(there, joints, 0.0).sum(axis=0) / np.maximum(count, 1), np.nan)
