"""What a person sees when they correct a clip: people and their poses, found by position and index."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from posetrail.errors import InputError, unknown_name
from posetrail.skeletons import Skeleton
from tracker.association.corrections import pose_keys
from tracker.association.statements import Statements
from tracker.tracked_clip import PoseName, TrackedClip


@dataclass(frozen=True, eq=False)
class Shown:
    """What a person sees when they enter a request."""

    clip: TrackedClip
    said: Statements
    skeleton: Skeleton

    def row(self, request: Mapping[str, Any], name: str) -> int:
        """The row in the clip of a pose in a request."""
        value = request.get(name)
        if isinstance(value, (list, tuple)) and len(value) == 2 and all(type(each) is int for each in value):
            position, index = value
            if 0 <= position < len(self.clip):
                begin, end = self.clip.begins[position : position + 2].tolist()
                if 0 <= index < end - begin:
                    return int(begin + index)
        raise InputError(f"{name}: expected [position, index] of a pose, got {str(value)[:40]}; reload the page")

    def person(self, row: int) -> Person:
        """The person of a pose."""
        return self.person_of(int(self.clip.track_ids[row]))

    def person_of(self, track_id: int) -> Person:
        """The person with this id."""
        rows = np.flatnonzero(self.clip.track_ids == track_id)
        positions = np.searchsorted(self.clip.begins, rows, side="right") - 1
        name = self.clip.names.get(track_id, "")
        measured = ~self.clip.interpolated[rows] & (self.clip.pose_rows[rows] != -1)
        return Person(track_id, name, rows, self.clip.frame_indices[positions], self.clip.pose_rows[rows], measured)

    def frame(self, row: int) -> int:
        """The number of the frame of a pose."""
        position = int(np.searchsorted(self.clip.begins, row, side="right")) - 1
        return int(self.clip.frame_indices[position])

    def position(self, request: Mapping[str, Any], name: str) -> int:
        """A position of a frame in a request, as the number of the frame."""
        value = request.get(name)
        if type(value) is not int or not 0 <= value < len(self.clip):
            raise InputError(f"{name}: expected the position of a frame, 0 to {len(self.clip) - 1}, got {value!r:.40}")
        return int(self.clip.frame_indices[value])

    def anchors(self, person: Person) -> dict[PoseName, str]:
        """The poses of a person that were named."""
        keys = pose_keys(person.frames, person.pose_rows)[person.measured]
        named = np.array(list(self.said.names), np.int64)
        poses = np.flatnonzero(person.measured)[np.isin(keys, named)]
        return {person.pose(k): self.said.names[int(pose_keys(*person.pose(k)))][0] for k in poses.tolist()}

    def joint(self, request: Mapping[str, Any]) -> str:
        """The joint in a request."""
        joint = request.get("joint")
        if not isinstance(joint, str) or joint not in self.skeleton.joints:
            raise unknown_name("joint", str(joint)[:40], self.skeleton.joints)
        return joint


@dataclass(frozen=True, eq=False)
class Person:
    """All poses of one person, in order of time: parallel arrays."""

    track_id: int
    name: str
    rows: np.ndarray  # (M,) of the clip
    frames: np.ndarray  # (M,) numbers
    pose_rows: np.ndarray  # (M,)
    measured: np.ndarray  # (M,) bool

    def __str__(self) -> str:
        return f"'{self.name}' (id {self.track_id})" if self.name else f"id {self.track_id}"

    def pose(self, k: int) -> PoseName:
        """The name of the k-th pose, which is measured."""
        return PoseName(int(self.frames[k]), int(self.pose_rows[k]))

    def last_before(self, frame: int) -> PoseName | None:
        """The last measured pose before a frame."""
        places = np.flatnonzero(self.measured & (self.frames < frame))
        return self.pose(int(places[-1])) if len(places) else None

    def first_from(self, frame: int) -> PoseName | None:
        """The first measured pose in a frame or after it."""
        places = np.flatnonzero(self.measured & (self.frames >= frame))
        return self.pose(int(places[0])) if len(places) else None

    def at(self, frame: int) -> PoseName | None:
        """The measured pose in a frame."""
        pose = self.first_from(frame)
        return pose if pose and pose.frame == frame else None
