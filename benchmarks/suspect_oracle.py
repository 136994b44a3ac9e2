"""A person who knows the truth and corrects the places that they are shown: what the looks are worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import linear_sum_assignment

from tracker.association.suspect_places import Flag

_POSES = 5  # by so many poses the person of a track is known


@dataclass(eq=False)
class Edited:
    """The ids of the poses of a sequence, changed in place."""

    ids: np.ndarray  # (M,) int64, -1 for none
    owners: np.ndarray  # (M,) person of each pose, -1 for none
    positions: np.ndarray  # (M,) of its frame

    def copy(self) -> Edited:
        """The same with ids of its own."""
        return replace(self, ids=self.ids.copy())

    def correct(self, place: Flag) -> None:
        """Correct what is wrong at a place, unless fewer poses would have the right id then."""
        before, right = self.ids.copy(), right_poses(self)
        self._change(place)
        if right_poses(self) < right:
            self.ids = before

    def _change(self, place: Flag) -> None:
        """Change the ids as a person who looks at a place would.

        The person whom a track shows after the place gets the id under which they were seen last before it, and the
        track of that id goes on as this one: an exchange of two ids from one frame on, or a join. Where a track ends,
        it is joined with the next track of its person. The poses of duplicates are removed.
        """
        if place.kind == "duplicate":
            for track in {int(self.ids[pose]) for pose in place.poses} - {-1}:
                theirs = (self.ids == track) & (self.positions >= place.first) & (self.positions <= place.last)
                if (self.owners[theirs] < 0).mean() > 0.5:
                    self.ids[theirs] = -1
            return
        pose = place.poses[-1]  # the first pose after a link, the first or last pose of a track
        track, frame = int(self.ids[pose]), int(self.positions[pose])
        if track < 0:
            return
        if place.kind == "end":
            person = self._person(track, 0, frame)
            later = np.flatnonzero((self.owners == person) & (self.positions > frame) & (self.ids >= 0))
            if person >= 0 and len(later):
                self._exchange(track, int(self.ids[later[0]]), int(self.positions[later[0]]))
            return
        person = self._person(track, frame, len(self.positions))
        earlier = np.flatnonzero((self.owners == person) & (self.positions < frame) & (self.ids >= 0))
        if person >= 0 and len(earlier):
            self._exchange(track, int(self.ids[earlier[-1]]), frame)

    def _person(self, track: int, first: int, last: int) -> int:
        """The person of most of the poses of a track that are nearest to the place; -1 if unknown."""
        poses = (self.ids == track) & (self.owners >= 0) & (self.positions >= first) & (self.positions <= last)
        owners = self.owners[poses]
        owners = owners[-_POSES:] if first == 0 else owners[:_POSES]
        return int(np.bincount(owners).argmax()) if len(owners) else -1

    def _exchange(self, track: int, other: int, frame: int) -> None:
        from_here = self.positions >= frame
        mine, theirs = (self.ids == track) & from_here, (self.ids == other) & from_here
        self.ids[mine], self.ids[theirs] = other, track


def idf1(every: Sequence[Edited]) -> float:
    """IDF1 of poses (Ristani et al., ECCVW 2016): each person has one id, chosen so that most poses are right."""
    total = sum((each.ids >= 0).sum() + (each.owners >= 0).sum() for each in every)
    return 2 * sum(map(right_poses, every)) / max(float(total), 1.0)


def right_poses(edited: Edited) -> int:
    """The number of poses that have the id of their person."""
    both = (edited.ids >= 0) & (edited.owners >= 0)
    if not both.any():
        return 0
    _, tracks = np.unique(edited.ids[both], return_inverse=True)
    _, people = np.unique(edited.owners[both], return_inverse=True)
    together = np.zeros((people.max() + 1, tracks.max() + 1), int)
    np.add.at(together, (people, tracks), 1)
    return int(together[linear_sum_assignment(together, maximize=True)].sum())
