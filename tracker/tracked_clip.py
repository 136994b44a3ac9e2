"""All tracked poses of a clip in flat arrays: what the viewer, reports and measures over whole tracks work on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from posetrail.poses import Poses, TrackedPoses, check_array, check_same_length
from tracker.frames import TrackedFrame

_INTERPOLATED = -1  # of `TrackedClip.pose_rows`

ARMS, LEGS, FACE, OTHER = 1, 2, 4, 8
"""Bits of `TrackedClip.edits`: left and right of these joints are exchanged."""
JOINTS, ADDED = 16, 32
"""Bits of `TrackedClip.edits`: joints were moved or hidden; the pose was added."""


class PoseName(NamedTuple):
    """What names a pose for good: its frame and its row there. Track ids change when ids are assigned again."""

    frame: int  # number of the frame in its video
    row: int  # among the poses of the frame in the pose log; below -1: added by correction number -1 - row


@dataclass(frozen=True, eq=False)
class TrackedClip:
    """The frames of a clip, F of them, and their tracked poses, T in all, frame by frame.

    Frames are addressed by their position 0..F-1; `frame_indices` are the numbers that files show, which differ from
    the positions where a run has a start or a stride.

    Raises:
        ValueError: fields differ in length, or `begins` does not divide the poses into F frames.
    """

    frame_indices: np.ndarray  # (F,) int64: number of the frame in its video, ascending
    times_s: np.ndarray  # (F,) float64 presentation times
    frame_names: tuple[str, ...]  # F file names
    begins: np.ndarray  # (F + 1,) int64: the poses of frame k are the rows begins[k] to begins[k + 1]
    poses: Poses  # T rows
    track_ids: np.ndarray  # (T,) int64
    interpolated: np.ndarray  # (T,) bool
    pose_rows: np.ndarray  # (T,) int64 row in the frame's pose log; -1 where interpolated; below -1: see `PoseName`
    names: Mapping[int, str] = field(default_factory=dict)  # names of people, by track id
    edits: np.ndarray = field(default_factory=lambda: np.zeros(0))  # (T,) uint8 what was corrected by hand: bits above

    def __post_init__(self) -> None:
        check_array(self, "frame_indices", np.int64, ("F",))
        check_array(self, "times_s", np.float64, ("F",))
        check_array(self, "begins", np.int64, ("F + 1",))
        check_array(self, "track_ids", np.int64, ("T",))
        check_array(self, "interpolated", np.bool_, ("T",))
        check_array(self, "pose_rows", np.int64, ("T",))
        if np.size(self.edits) == 0:
            object.__setattr__(self, "edits", np.zeros(len(self.track_ids)))
        check_array(self, "edits", np.uint8, ("T",))
        rows = {name: len(getattr(self, name)) for name in ("poses", "track_ids", "interpolated", "pose_rows", "edits")}
        check_same_length(self, **rows)
        check_same_length(self, times_s=len(self.times_s), frame_indices=len(self), frame_names=len(self.frame_names))
        ends = len(self.begins) and self.begins[[0, -1]].tolist()
        if len(self.begins) != len(self) + 1 or ends != [0, len(self.poses)] or (np.diff(self.begins) < 0).any():
            raise ValueError(f"TrackedClip.begins: expected {len(self) + 1} ascending rows from 0 to {len(self.poses)}")

    def __len__(self) -> int:
        """The number of frames."""
        return len(self.frame_indices)

    @property
    def positions(self) -> np.ndarray:
        """The position (T,) of the frame of each pose."""
        return np.repeat(np.arange(len(self)), np.diff(self.begins))

    @property
    def frame_of_pose(self) -> np.ndarray:
        """The number (T,) in its video of the frame of each pose."""
        return np.repeat(self.frame_indices, np.diff(self.begins))

    def people(self, position: int) -> TrackedPoses:
        """The tracked poses of one frame."""
        rows = slice(self.begins[position], self.begins[position + 1])
        return TrackedPoses(self.poses[rows], self.track_ids[rows], self.interpolated[rows], self.pose_rows[rows])

    def frames(self) -> Iterator[TrackedFrame]:
        """The frames in order, without images."""
        for k, name in enumerate(self.frame_names):
            index, time_s = int(self.frame_indices[k]), float(self.times_s[k])
            yield TrackedFrame(index, time_s, name, self.people(k), names=self.names)


def tracked_clip(frames: Iterable[TrackedFrame], num_joints: int) -> TrackedClip:
    """Gather tracked frames, of a skeleton with this many joints, in arrays."""
    indices, times, names, people = [], [], [], [TrackedPoses.empty(num_joints)]
    for frame in frames:
        indices.append(frame.index)
        times.append(frame.time_s)
        names.append(frame.name)
        people.append(frame.people)
    return TrackedClip(
        np.array(indices, np.int64),
        np.array(times, np.float64),
        tuple(names),
        np.cumsum([len(each) for each in people]),
        Poses.concatenate([each.poses for each in people]),
        np.concatenate([each.track_ids for each in people]),
        np.concatenate([each.interpolated for each in people]),
        np.concatenate([each.pose_rows for each in people]),
    )


def rows_of_same_poses(clip: TrackedClip, other: TrackedClip) -> np.ndarray:
    """The row (T,) in `other` of each pose of `clip`, -1 where it has none.

    Both are of the same frames and people, whose track ids may be numbered differently. Interpolated poses have no row
    in the pose log, and are the same if frame and person are.
    """
    rows = np.full(len(clip.track_ids), -1)
    logged = {key: row for row, key in enumerate(_places(other)) if key[1] != _INTERPOLATED}
    for row, key in enumerate(_places(clip)):
        rows[row] = logged.get(key, -1)
    known = rows >= 0
    ids = dict(zip(other.track_ids[rows[known]].tolist(), clip.track_ids[known].tolist(), strict=True))
    between = np.flatnonzero(other.pose_rows == _INTERPOLATED).tolist()
    positions, other_positions = clip.positions.tolist(), other.positions.tolist()
    people = {(other_positions[row], ids.get(int(other.track_ids[row]))): row for row in between}
    for row in np.flatnonzero(clip.pose_rows == _INTERPOLATED).tolist():
        rows[row] = people.get((positions[row], int(clip.track_ids[row])), -1)
    return rows


def _places(clip: TrackedClip) -> list[tuple[int, int]]:
    """Frame and row in the pose log of each pose."""
    return list(zip(clip.positions.tolist(), clip.pose_rows.tolist(), strict=True))
