"""Tracklets: runs of consecutive poses that two trackers, one forward and one backward in time, give to one track each.

Where both trackers continue a track of theirs from one frame to the next, the two poses are hardly ever of two people.
A tracklet ends where either tracker loses its track or takes another pose. Only the first and last poses of a tracklet
are kept, so memory does not grow with its length.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from tracker.association.candidates import Candidates
from tracker.association.stabilisation import Stabiliser, transformed, zoom

ENDS = 12
"""Poses kept of each end of a tracklet; velocity is estimated from fewer."""
_SHAPE_POSES = 3  # the body's shape at an end is the mean of so many poses
_MIN_JOINT_WEIGHT = 0.2  # sum of the joints' scores; with less, the position is the centre of the box
_MIN_SIZE_PX = 4.0


@dataclass(frozen=True, eq=False)
class Tracklets:
    """Parallel arrays, one row per tracklet in order of their first poses; camera-stabilised coordinates."""

    forward: np.ndarray  # (P,) int64 serial of the forward tracker's track; 0: none
    backward: np.ndarray  # (P,) int64 serial of the backward tracker's track; 0: none
    first: np.ndarray  # (P,) int64 frame of the first pose, counted from 0
    last: np.ndarray  # (P,) int64 frame of the last pose; every frame between has one too
    starts: np.ndarray  # (P, ENDS, 4) time_s, x, y, body size of the first poses, then NaN
    ends: np.ndarray  # (P, ENDS, 4) the same of the last poses, NaN before
    first_joints: np.ndarray  # (P, K, 2) at the start, pixels from the position; NaN where missing
    last_joints: np.ndarray  # (P, K, 2) at the end
    appearance: np.ndarray  # (P, E) float32 mean of the poses' embeddings, of unit length, or zeros
    evidence: np.ndarray  # (P,) sum over the poses' evidence for a person

    def __len__(self) -> int:
        return len(self.forward)


@dataclass(eq=False)
class _GrowingTracklet:
    """A tracklet that the last frame has a pose of."""

    serials: tuple[int, int]  # of the forward and the backward tracker
    first: int
    last: int = 0
    starts: list[np.ndarray] = field(default_factory=list)
    ends: deque[np.ndarray] = field(default_factory=lambda: deque(maxlen=ENDS))
    first_joints: list[np.ndarray] = field(default_factory=list)
    last_joints: deque[np.ndarray] = field(default_factory=lambda: deque(maxlen=_SHAPE_POSES))
    appearance: np.ndarray | float = 0.0
    evidence: float = 0.0

    def add(
        self, frame: int, measured: np.ndarray, joints: np.ndarray, appearance: np.ndarray, evidence: float
    ) -> None:
        """Append a pose: time, position and size (4,), joints (K, 2), embedding (E,)."""
        self.last = frame
        if len(self.starts) < ENDS:
            self.starts.append(measured)
        if len(self.first_joints) < _SHAPE_POSES:
            self.first_joints.append(joints)
        self.ends.append(measured)
        self.last_joints.append(joints)
        self.appearance = self.appearance + appearance
        self.evidence += evidence

    def row(self) -> tuple[Any, ...]:
        """The fields of `Tracklets`, in order."""
        starts, ends = np.full((2, ENDS, 4), np.nan)
        starts[: len(self.starts)] = self.starts
        ends[ENDS - len(self.ends) :] = self.ends
        shapes = (_mean_shape(np.array(each)) for each in (self.first_joints, self.last_joints))
        total = np.asarray(self.appearance)
        appearance = total / (np.linalg.norm(total) or 1.0)
        return (*self.serials, self.first, self.last, starts, ends, *shapes, appearance, self.evidence)


class TrackletRecorder:
    """Builds tracklets from the tracks of both trackers, frame by frame."""

    def __init__(self) -> None:
        self._stabiliser = Stabiliser()
        self._num_frames = 0
        self._num_tracklets = 0
        self._growing: dict[tuple[int, int], tuple[int, _GrowingTracklet]] = {}
        self._records = bytearray()  # one record per tracklet, zeros while it grows; arrays would take twice as much
        self._record = _record_type(0, 0)  # until the first frame gives the number of joints

    def add(self, candidates: Candidates, forward: np.ndarray, backward: np.ndarray) -> np.ndarray:
        """The tracklet (N,) of each pose of the next frame, -1 for poses that neither tracker assigned.

        Args:
            candidates: the poses of the frame.
            forward: (N,) serials of the forward tracker's tracks, 0 for none.
            backward: (N,) serials of the backward tracker's tracks, 0 for none.
        """
        frame, evidence = candidates.frame, candidates.evidence
        if self._num_frames == 0:
            self._record = _record_type(frame.poses.keypoints.shape[1], frame.appearance.shape[1])
        measured, joints = self._measure(candidates)
        tracklets = np.full(len(forward), -1)
        growing = {}
        for row, serials in enumerate(zip(forward.tolist(), backward.tolist(), strict=True)):
            if serials == (0, 0):
                continue
            number, tracklet = self._growing.pop(serials, (self._num_tracklets, None))
            if tracklet is None:
                tracklet = _GrowingTracklet(serials, self._num_frames)
                self._num_tracklets += 1
                self._records += bytes(self._record.itemsize)
            growing[serials] = number, tracklet
            tracklets[row] = number
            tracklet.add(self._num_frames, measured[row], joints[row], frame.appearance[row], float(evidence[row]))
        self._finish_growing()
        self._growing = growing
        self._num_frames += 1
        return tracklets

    def tracklets(self) -> Tracklets:
        """All tracklets; no frames can be added afterwards."""
        self._finish_growing()
        records = np.frombuffer(self._records, self._record)
        return Tracklets(**{column.name: records[column.name] for column in fields(Tracklets)})

    def _finish_growing(self) -> None:
        """Write the records of the tracklets in `_growing`, which have no pose in the newest frame."""
        for number, tracklet in self._growing.values():
            place = slice(number * self._record.itemsize, (number + 1) * self._record.itemsize)
            self._records[place] = np.array(tracklet.row(), self._record).tobytes()
        self._growing = {}

    def _measure(self, candidates: Candidates) -> tuple[np.ndarray, np.ndarray]:
        """Stabilised time, position and size (N, 4) of all poses, and their joints (N, K, 2) from the position.

        The position is the mean of the joints, weighted by their scores: it is less noisy than any single joint.
        """
        frame, boxes, keypoints = candidates.frame, candidates.boxes, candidates.keypoints
        poses = frame.poses
        to_first = self._stabiliser.add(frame.camera_motion)
        weights = np.where(np.isnan(keypoints[:, :, 0]), 0.0, poses.keypoint_scores)
        total = weights.sum(axis=1, keepdims=True)
        mean = np.einsum("nk,nkd->nd", weights, np.nan_to_num(keypoints)) / np.maximum(total, 1e-9)
        positions = np.where(total > _MIN_JOINT_WEIGHT, mean, (boxes[:, :2] + boxes[:, 2:]) / 2)
        sides = np.maximum(boxes[:, 2:] - boxes[:, :2], _MIN_SIZE_PX)
        sizes = np.sqrt(sides[:, 0] * sides[:, 1]) * zoom(to_first)
        times = np.full(len(poses), frame.time_s)
        joints = (keypoints - positions[:, None]) @ to_first[:, :2].T
        return np.column_stack([times, transformed(positions, to_first), sizes]), joints


def _record_type(num_joints: int, appearance_size: int) -> np.dtype:
    """The type of a row of `Tracklets`."""
    shapes = {
        **dict.fromkeys(("forward", "backward", "first", "last"), (np.int64, ())),
        **dict.fromkeys(("starts", "ends"), (np.float64, (ENDS, 4))),
        **dict.fromkeys(("first_joints", "last_joints"), (np.float64, (num_joints, 2))),
        "appearance": (np.float32, (appearance_size,)),
        "evidence": (np.float64, ()),
    }
    return np.dtype([(name, *kind) for name, kind in shapes.items()], align=True)


def _mean_shape(joints: np.ndarray) -> np.ndarray:
    """The mean (K, 2) of shapes (M, K, 2), each joint over the shapes that have it."""
    present = ~np.isnan(joints)
    count = present.sum(axis=0)
    return np.where(count > 0, np.where(present, joints, 0.0).sum(axis=0) / np.maximum(count, 1), np.nan)
