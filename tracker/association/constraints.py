"""Corrections as constraints of offline linking: which tracklets are one person, and which are not.

Poses that statements link, or that have one name, form a group. Groups of different names, and those with poses that
are stated apart, must not share a track. A tracklet is cut before a pose of such a group, and before and after a link
that it does not follow. The stages after linking keep what is stated as far as they can; the overlay (overlay.py) sees
to the rest.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from tracker.association.statements import Statements

_FIRST_NEW_SERIAL = 2**30  # serials of trackers are smaller


class Constraints:
    """Constraints of one association; frames are added in order."""

    def __init__(self, said: Statements) -> None:
        self._said = said
        self._group = _groups(said)
        self._apart: dict[int, set[int]] = defaultdict(set)
        for one, other in self._pairs_apart():
            if one != other:
                self._apart[one].add(other)
                self._apart[other].add(one)
        self._ends = set(said.links)
        self._pinned = set(said.pinned.tolist())
        self._next_serial = _FIRST_NEW_SERIAL
        self._renamed: tuple[dict[int, int], dict[int, int]] = ({}, {})
        self._last: dict[tuple[int, int], int] = {}  # serials -> the last pose with both
        self._seen: dict[tuple[int, int], set[int]] = defaultdict(set)  # serials -> groups of their tracklet
        self._tracklet_of_pose: dict[int, int] = {}  # stated poses
        self._poses_of_tracklet: dict[int, list[int]] = defaultdict(list)

    def _pairs_apart(self) -> list[tuple[int, int]]:
        """Pairs of groups that are different people."""
        pairs = [(self._group[one], self._group[other]) for one, other in self._said.apart]
        group_of_name = {name: self._group[pose] for pose, (name, _) in self._said.names.items()}
        groups = list(dict.fromkeys(group_of_name.values()))
        return pairs + [(one, other) for i, one in enumerate(groups) for other in groups[:i]]

    def serials(self, keys: np.ndarray, forward: np.ndarray, backward: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The serials (N,) of both trackers in the next frame; new ones where a tracklet is cut.

        A stated pose that neither tracker has given a track gets a serial of its own.
        """
        new = forward.copy(), backward.copy()
        last, seen = {}, defaultdict(set)
        for row, key in enumerate(keys.tolist()):
            pair = int(forward[row]), int(backward[row])
            if pair == (0, 0):
                if key in self._pinned:
                    new[0][row] = self._new_serial()
                continue
            if self._is_cut(pair, key):
                for renamed, serial in zip(self._renamed, pair, strict=True):
                    renamed[serial] = self._new_serial()
            elif pair in self._last:
                seen[pair] = self._seen[pair]
            last[pair] = key
            if key in self._group:
                seen[pair] = seen[pair] | {self._group[key]}
            for each, renamed, serial in zip(new, self._renamed, pair, strict=True):
                each[row] = renamed.get(serial, serial) if serial else 0
        self._last, self._seen = last, seen
        return new

    def _is_cut(self, pair: tuple[int, int], key: int) -> bool:
        """Whether the pose must not continue the tracklet of these serials."""
        if (before := self._last.get(pair)) is None:
            return False
        if self._said.links.get(before, key) != key or self._said.sources.get(key, before) != before:
            return True
        group = self._group.get(key)
        return group is not None and bool(self._apart[group] & self._seen[pair])

    def _new_serial(self) -> int:
        self._next_serial += 1
        return self._next_serial

    def record(self, keys: np.ndarray, tracklets: np.ndarray) -> None:
        """Record which tracklets (N,) the poses of a frame belong to."""
        for key, tracklet in zip(keys.tolist(), tracklets.tolist(), strict=True):
            if key in self._pinned and tracklet >= 0:
                self._tracklet_of_pose[key] = tracklet
                self._poses_of_tracklet[tracklet].append(key)

    def stated_links(self) -> list[tuple[int, int]]:
        """Pairs of tracklets of which the second follows the first."""
        place = self._tracklet_of_pose
        links = [(place[a], place[b]) for a, b in self._said.links.items() if a in place and b in place]
        return sorted({(earlier, later) for earlier, later in links if earlier != later})

    def groups(self, tracklet: int) -> set[int]:
        """The groups of a tracklet's poses."""
        return {self._group[pose] for pose in self._poses_of_tracklet.get(tracklet, ()) if pose in self._group}

    def are_apart(self, groups: set[int], others: set[int]) -> bool:
        """Whether two sets of groups hold different people."""
        return any(self._apart[group] & others for group in groups if group in self._apart)

    def stated(self, num_tracklets: int) -> np.ndarray:
        """Whether (P,) something is stated about a pose of each tracklet."""
        stated = np.zeros(num_tracklets, bool)
        stated[list(self._poses_of_tracklet)] = True
        return stated

    def forbidden(self, earlier: np.ndarray, later: np.ndarray) -> np.ndarray:
        """Whether (L,) a link of two tracklets would join different people, or contradict a stated link."""
        result = np.zeros(len(earlier), bool)
        links = self.stated_links()
        following, before = dict(links), {second: first for first, second in links}
        groups = {tracklet: self.groups(tracklet) for tracklet in self._poses_of_tracklet}
        candidates = np.isin(earlier, list(groups)) | np.isin(later, list(groups))
        for k in np.flatnonzero(candidates).tolist():
            first, second = int(earlier[k]), int(later[k])
            result[k] = (
                following.get(first, second) != second
                or before.get(second, first) != first
                or self.are_apart(groups.get(first, set()), groups.get(second, set()))
            )
        return result

    def one_person(self, tracks: np.ndarray, first: np.ndarray, last: np.ndarray) -> np.ndarray:
        """The tracks (P,) of tracklets after those with poses of one group were joined, where they do not overlap.

        Args:
            tracks: (P,) of each tracklet.
            first: (P,) frame of each tracklet's first pose.
            last: (P,) of the last one.
        """
        tracks = tracks.copy()
        of_group: dict[int, int] = {}
        for tracklet in sorted(self._poses_of_tracklet, key=lambda each: int(first[each])):
            for group in self.groups(tracklet):
                one, other = of_group.setdefault(group, int(tracks[tracklet])), int(tracks[tracklet])
                if one == other:
                    continue
                parts, others = np.flatnonzero(tracks == one), np.flatnonzero(tracks == other)
                both = np.concatenate([parts, others])
                order = both[np.argsort(first[both], kind="stable")]
                overlap = (last[order[:-1]] >= first[order[1:]]).any()
                if not overlap and not self.are_apart(self._all_groups(parts), self._all_groups(others)):
                    tracks[others] = one
                    of_group = {each: one if track == other else track for each, track in of_group.items()}
        return tracks

    def _all_groups(self, tracklets: np.ndarray) -> set[int]:
        return {group for tracklet in tracklets.tolist() for group in self.groups(tracklet)}


def _groups(said: Statements) -> dict[int, int]:
    """The group of every pose that is linked, apart from another, or named: one of its poses."""
    parent: dict[int, int] = {}

    def root(pose: int) -> int:
        parent.setdefault(pose, pose)
        while parent[pose] != pose:
            parent[pose] = pose = parent[parent[pose]]
        return pose

    for earlier, later in said.links.items():
        parent[root(later)] = root(earlier)
    first_of_name: dict[str, int] = {}
    for pose, (name, _) in said.names.items():
        parent[root(pose)] = root(first_of_name.setdefault(name, pose))
    for one, other in said.apart:
        root(one), root(other)
    return {pose: root(pose) for pose in list(parent)}
