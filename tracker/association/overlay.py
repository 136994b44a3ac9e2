"""Corrections laid over the tracks of a clip: ids, names and joints as they state, everything else as it is.

The tracks are taken apart where a statement says so, and put together where another one does; the poses of a person are
a chain, each later than the one before, so no id comes twice in a frame. Chains with the same name are one person.
What the tracks honour already stays unchanged: to lay the same corrections over the result again changes nothing.
Time grows with the poses by array operations only, and with the square of the corrections by loops.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from posetrail.skeletons import Skeleton
from tracker.association.corrections import Operation
from tracker.association.edited_poses import corrected_poses, exchanged_parts, keys_of, with_added_poses
from tracker.association.statements import Statements, statements
from tracker.tracked_clip import TrackedClip

_NOTHING = -1  # no place, no person


def corrected(clip: TrackedClip, operations: Mapping[int, Operation], skeleton: Skeleton) -> TrackedClip:
    """The clip with corrections laid over its tracks.

    Args:
        clip: tracks of the poses that the operations name.
        operations: those not undone, by number, as `corrections.effective` returns them.
        skeleton: of the poses.

    Raises:
        ValueError: a joint is none of the skeleton.
    """
    if not operations and not clip.names:
        return clip
    said = statements(operations, skeleton)
    clip = with_added_poses(clip, said, skeleton)
    ids, names = _identities(clip, said)
    kept = ids != _NOTHING
    edits, poses = corrected_poses(clip.poses, keys_of(clip), clip.edits, exchanged_parts(clip, said), said, skeleton)
    if not kept.all():
        counts = np.bincount(clip.positions[kept], minlength=len(clip))
        begins = np.concatenate([[0], np.cumsum(counts)])
        clip = replace(
            clip,
            begins=begins,
            poses=poses[kept],
            track_ids=ids[kept],
            interpolated=clip.interpolated[kept],
            pose_rows=clip.pose_rows[kept],
            edits=edits[kept],
        )
        return replace(clip, names=names)
    return replace(clip, poses=poses, track_ids=ids, edits=edits, names=names)


def with_ids_in_order(clip: TrackedClip) -> TrackedClip:
    """The clip with ids that count from 1 in order of appearance."""
    ids, first = np.unique(clip.track_ids, return_index=True)
    number = np.empty(len(ids), np.int64)
    number[np.argsort(first, kind="stable")] = np.arange(1, len(ids) + 1)
    names = {int(number[np.searchsorted(ids, track_id)]): name for track_id, name in clip.names.items()}
    renumbered = number[np.searchsorted(ids, clip.track_ids)] if len(ids) else clip.track_ids
    return replace(clip, track_ids=renumbered, names=names)


@dataclass(eq=False)
class _Sequence:
    """All poses in the order of track and time; `places` are positions in this order, S of them."""

    order: np.ndarray  # (S,) row of the clip
    frames: np.ndarray  # (S,) numbers of the frames
    track_ids: np.ndarray  # (S,)
    measured: np.ndarray  # (S,) bool: neither interpolated nor without name
    keys: np.ndarray  # (S,) ascending only within a track
    track_starts: np.ndarray  # places at which tracks begin, and S at the end

    @classmethod
    def of(cls, clip: TrackedClip) -> _Sequence:
        order = np.lexsort((clip.positions, clip.track_ids))
        track_ids = clip.track_ids[order]
        changes = np.flatnonzero(np.diff(track_ids)) + 1
        starts = np.concatenate([[0] if len(order) else [], changes, [len(order)]]).astype(np.int64)
        return cls(order, clip.frame_of_pose[order], track_ids, ~clip.interpolated[order], keys_of(clip)[order], starts)

    def places_of(self, keys: list[int]) -> dict[int, int]:
        """The places of poses with these names, for those that there are."""
        wanted = np.unique(np.array(keys, np.int64))
        found = np.flatnonzero(np.isin(self.keys, wanted))
        return dict(zip(self.keys[found].tolist(), found.tolist(), strict=True))


def _identities(clip: TrackedClip, said: Statements) -> tuple[np.ndarray, dict[int, str]]:
    """The id (T,) of each pose, -1 for poses left out, and the names of people by id."""
    sequence = _Sequence.of(clip)
    chains = _Chains(sequence, said)
    person_of_chain, names = chains.people()
    segment = np.repeat(np.arange(len(chains.starts) - 1), np.diff(chains.starts))
    persons = person_of_chain[chains.chain_of_segment[segment]]
    persons[~chains.between_measured()] = _NOTHING
    persons = _without_gaps(persons, sequence, said)
    persons, number = _without_collisions(persons, sequence, said, len(names))
    persons[np.isin(sequence.keys, said.removed)] = _NOTHING
    new_ids = _ids(persons, number, sequence, said)
    ids = np.full(len(sequence.order), _NOTHING)
    ids[sequence.order] = np.append(new_ids, _NOTHING)[persons]
    left = np.bincount(persons[persons >= 0], minlength=number) > 0
    present = set(new_ids[left].tolist())
    named = {int(new_ids[person]): name for person, name in enumerate(names) if name}
    return ids, {track_id: name for track_id, name in sorted(named.items()) if track_id in present}


class _Chains:
    """Segments of tracks between cuts, and the chains that statements make of them."""

    def __init__(self, sequence: _Sequence, said: Statements) -> None:
        self._sequence, self._said = sequence, said
        self._cuts: set[int] = set()
        mentioned = [pose for pair in (*said.links.items(), *said.apart) for pose in pair]
        place = sequence.places_of([*mentioned, *said.names])
        self._links = [(place[a], place[b]) for a, b in said.links.items() if a in place and b in place]
        self._apart = [(place[a], place[b]) for a, b in said.apart if a in place and b in place]
        self._anchors = {place[pose]: name for pose, (name, _) in said.names.items() if pose in place}
        self.starts = sequence.track_starts
        while self._cut_segments() or self._cut_chains():
            pass

    def _segment(self, place: int) -> int:
        return int(np.searchsorted(self.starts, place, side="right")) - 1

    def _cut(self, place: int) -> bool:
        """Begin a segment here; returns False if one begins here already."""
        at = int(np.searchsorted(self.starts, place))
        if self.starts[at] == place:
            return False
        self._cuts.add(place)
        self.starts = np.insert(self.starts, at, place)
        return True

    def _cut_segments(self) -> bool:
        """Cut the tracks where links and pairs apart ask for it; returns whether anything was cut."""
        changed = False
        for earlier, later in self._links:
            if self._segment(earlier) != self._segment(later):
                cut = self._cut(earlier + 1)
                changed |= self._cut(later) | cut
        for earlier, later in self._apart:
            if self._segment(earlier) == self._segment(later):
                changed |= self._cut(later)
        return changed

    def _cut_chains(self) -> bool:
        """Link the segments, and cut chains with poses of two people; returns whether anything was cut."""
        following = np.full(len(self.starts) - 1, _NOTHING)
        for earlier, later in self._links:
            if (first := self._segment(earlier)) != (second := self._segment(later)):
                following[first] = second
        self._following = following
        chain = np.full(len(following), _NOTHING)
        heads = np.setdiff1d(np.arange(len(following)), following)
        for number, segment in enumerate(heads.tolist()):
            while segment != _NOTHING:
                chain[segment] = number
                segment = int(following[segment])
        self.chain_of_segment, self.num_chains = chain, len(heads)
        return any(map(self._cut_apart, self._apart)) or self._cut_names()

    def _cut_apart(self, pair: tuple[int, int]) -> bool:
        """Cut two poses of different people that other links join."""
        earlier, later = (self.chain_of_segment[self._segment(place)] for place in pair)
        if earlier != later or self._is_same_name(pair):
            return False
        return self._cut(pair[1]) or self._cut(pair[0] + 1)

    def _is_same_name(self, pair: tuple[int, int]) -> bool:
        first, second = (self._anchors.get(place) for place in pair)
        return first is not None and first == second

    def _cut_names(self) -> bool:
        """Cut chains between poses of different names."""
        by_chain: dict[int, list[int]] = defaultdict(list)
        for place in self._anchors:
            by_chain[int(self.chain_of_segment[self._segment(place)])].append(place)
        changed = False
        for places in by_chain.values():
            places.sort(key=lambda place: self._sequence.frames[place])
            for earlier, later in pairwise(places):
                if self._anchors[earlier] != self._anchors[later]:
                    changed |= self._cut_between(earlier, later)
        return changed

    def _cut_between(self, earlier: int, later: int) -> bool:
        """Cut a chain at its longest gap between two poses, but at no stated link unless there is nothing else."""
        segments = [self._segment(earlier)]
        while segments[-1] != self._segment(later):
            segments.append(int(self._following[segments[-1]]))
        best_gap, best = 0, _NOTHING
        for segment in segments:
            low, high = max(self.starts[segment], earlier if segment == segments[0] else 0), self.starts[segment + 1]
            high = min(high, later + 1) if segment == segments[-1] else high
            places = low + np.flatnonzero(self._sequence.measured[low:high])
            gaps = np.diff(self._sequence.frames[places])
            if len(gaps) and gaps.max() >= best_gap:
                widest = len(gaps) - 1 - int(np.argmax(gaps[::-1]))
                best_gap, best = gaps[widest], int(places[widest + 1])
        if best != _NOTHING:
            return self._cut(best)
        self._links = [link for link in self._links if link[1] != later]  # stated poses alone: the later name counts
        return True

    def between_measured(self) -> np.ndarray:
        """Whether (S,) a pose is left that is measured, or lies between two measured poses of its segment."""
        measured = self._sequence.measured & ~np.isin(self._sequence.keys, self._said.removed)
        segment_starts = np.repeat(self.starts[:-1], np.diff(self.starts))
        segment_ends = np.repeat(self.starts[1:], np.diff(self.starts))
        places = np.arange(len(measured))
        last = np.maximum.accumulate(np.where(measured, places, _NOTHING)) if len(places) else places
        following = np.where(measured, places, len(places))
        following = np.minimum.accumulate(following[::-1])[::-1] if len(places) else places
        return (last >= segment_starts) & (following < segment_ends)

    def people(self) -> tuple[np.ndarray, list[str]]:
        """The person of each chain, and the name of each person, empty for none."""
        person, names = np.arange(self.num_chains), [""] * self.num_chains
        first_of_name: dict[str, int] = {}
        for place, name in self._anchors.items():
            chain = int(self.chain_of_segment[self._segment(place)])
            person[chain] = first_of_name.setdefault(name, chain)
            names[person[chain]] = name
        return person, names


def _without_gaps(persons: np.ndarray, sequence: _Sequence, said: Statements) -> np.ndarray:
    """Persons (S,) without interpolated poses where a person was removed."""
    if not said.gaps:
        return persons
    place = sequence.places_of([pose for *_, around in said.gaps for pose in around])
    for first, last, around in said.gaps:
        people = {int(persons[place[pose]]) for pose in around if pose in place}
        inside = ~sequence.measured & (sequence.frames >= first) & (sequence.frames <= last)
        persons[inside & np.isin(persons, list(people))] = _NOTHING
    return persons


def _without_collisions(
    persons: np.ndarray, sequence: _Sequence, said: Statements, number: int
) -> tuple[np.ndarray, int]:
    """Persons (S,) that come once in each frame; only people of several chains, by their name, can come twice.

    A measured pose wins against an interpolated one, then the one nearer to a pose that was named. Others become new
    people, one for each of their segments.
    """
    ranks = np.sort(persons * (int(sequence.frames.max(initial=0)) + 1) + sequence.frames)
    if not ((np.diff(ranks) == 0) & (ranks[1:] >= 0)).any():
        return persons, number
    order = np.lexsort((sequence.frames, persons))
    same = (np.diff(persons[order]) == 0) & (np.diff(sequence.frames[order]) == 0) & (persons[order][1:] >= 0)
    if not same.any():
        return persons, number
    anchors = np.array(sorted(sequence.places_of(list(said.names)).values()), np.int64)
    for person in np.unique(persons[order[1:][same]]).tolist():
        places = np.flatnonzero(persons == person)
        own = anchors[persons[anchors] == person]
        distance = np.full(len(places), np.inf)
        for anchor in own.tolist():
            within = sequence.track_ids[places] == sequence.track_ids[anchor]
            away = np.abs(sequence.frames[places] - sequence.frames[anchor])
            distance = np.where(within, np.minimum(distance, away), distance)
        ranked = np.lexsort((places, distance, ~sequence.measured[places], sequence.frames[places]))
        frames = sequence.frames[places[ranked]]
        losers = places[ranked[1:][np.diff(frames) == 0]]
        persons[losers[~sequence.measured[losers]]] = _NOTHING
        losers = losers[sequence.measured[losers]]
        for track in np.unique(sequence.track_ids[losers]).tolist():
            persons[losers[sequence.track_ids[losers] == track]] = number
            number += 1
    return persons, number


def _ids(persons: np.ndarray, number: int, sequence: _Sequence, said: Statements) -> np.ndarray:
    """The id of each person: that of the track in which it begins, for the first person that begins there.

    Where a swap leaves a person without id, it takes the one that the swap left over. Others get new ids, in the order
    of the corrections that made them.
    """
    used = np.flatnonzero((persons >= 0) & sequence.measured)
    first = np.full(number, len(sequence.order))  # row of the clip of the first pose of each person
    np.minimum.at(first, persons[used], sequence.order[used])
    people = np.flatnonzero(first < len(sequence.order))
    place_of_row = np.empty(len(sequence.order), np.int64)
    place_of_row[sequence.order] = np.arange(len(sequence.order))
    heads = place_of_row[first[people]]
    ids = np.full(number, _NOTHING)
    free = int(sequence.track_ids.max(initial=0)) + 1
    claimed: set[int] = set()
    later: list[tuple[int, int, int, int]] = []
    number_of = {pair[1]: operation for pair, operation in said.apart.items()}
    for at in np.argsort(sequence.order[heads], kind="stable").tolist():
        track, key = int(sequence.track_ids[heads[at]]), int(sequence.keys[heads[at]])
        if track not in claimed:
            claimed.add(track)
            ids[people[at]] = track
        else:
            later.append((number_of.get(key, 0), int(sequence.order[heads[at]]), int(people[at]), key))
    partners = sequence.places_of([said.swapped[key] for *_, key in later if key in said.swapped])
    for *_, person, key in sorted(later):
        partner = partners.get(said.swapped.get(key, _NOTHING))
        left_over = _NOTHING if partner is None else int(sequence.track_ids[partner])
        if left_over == _NOTHING or left_over in claimed:
            left_over, free = free, free + 1
        claimed.add(left_over)
        ids[person] = left_over
    return ids
