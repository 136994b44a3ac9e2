"""Tracked synthetic sequences with everything that is wrong with their tracks, for `benchmarks.suspects`."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np

from benchmarks.sequences import Sequence, sequences
from posetrail.skeletons import COCO_17
from tracker.association.offline import OfflineTracks, offline_tracks
from tracker.association.suspect_poses import LoggedPoses, logged_poses
from tracker.association.suspect_tracks import Chains
from tracker.frames import PoseFrame, PropagatedPoses
from tracker.settings import AssociationSettings

LASTING = 5  # poses of one person on either side of a lasting transfer
_BAD_JOINT = 0.06  # of the body's height


@dataclass(frozen=True, eq=False)
class Transfer:
    """An id that goes over from one person to another for good."""

    track: int  # id
    first: int  # position of the last frame with the one person
    last: int  # position of the first frame with the other


@dataclass(frozen=True, eq=False)
class Sample:
    """A sequence, its tracks by offline association without smoothing, and its ground truth."""

    sequence: Sequence
    tracks: OfflineTracks

    @property
    def name(self) -> str:
        """The name of the sequence."""
        return self.sequence.name

    @property
    def num_frames(self) -> int:
        """The number of frames."""
        return len(self.sequence.frames)

    @cached_property
    def poses(self) -> LoggedPoses:
        """All poses."""
        return logged_poses(_frames(self.sequence), len(COCO_17), AssociationSettings().min_match_joint_score)

    @cached_property
    def chains(self) -> Chains:
        """The tracks."""
        return Chains(self.poses, self.tracks.tracks.astype(np.int64), (2 * np.array(COCO_17.oks_sigmas)) ** 2)

    @cached_property
    def owners(self) -> np.ndarray:
        """The person (M,) of each pose, -1 for none."""
        return np.concatenate([*self.sequence.owners, np.zeros(0, int)])

    @cached_property
    def transfers(self) -> list[Transfer]:
        """All lasting transfers: runs of fewer than five poses of another person, and poses of none, do not count."""
        chains, found = self.chains, []
        for first, last in zip(chains.bounds[:-1].tolist(), chains.bounds[1:].tolist(), strict=True):
            places = first + np.flatnonzero(self.owners[chains.order[first:last]] >= 0)
            owner = self.owners[chains.order[places]]
            begins = np.flatnonzero(np.diff(owner, prepend=-1))
            ends = np.append(begins[1:], len(owner))
            runs = [(b, e) for b, e in zip(begins.tolist(), ends.tolist(), strict=False) if e - b >= LASTING]
            for (begin, end), (next_begin, _) in pairwise(runs):
                if owner[begin] != owner[next_begin]:
                    at = chains.positions[places[[end - 1, next_begin]]].tolist()
                    found.append(Transfer(int(chains.track_ids[first]), *at))
        return found

    @cached_property
    def wrong_links(self) -> np.ndarray:
        """Whether (L,) each link joins poses of two people, for good or not."""
        owner = self.owners[self.chains.order]
        before, after = owner[self.chains.links], owner[self.chains.links + 1]
        return (before >= 0) & (after >= 0) & (before != after)

    def broken(self, places: np.ndarray, *, births: bool) -> np.ndarray:
        """Whether (P,) the person of the first poses of a track had another id before, or of the last ones after.

        People who were out of view in between do not count: without re-identification they get a new id.
        """
        chains, owner = self.chains, self.owners[self.chains.order]
        people = self.sequence.people
        if people is None:
            raise ValueError("expected a sequence of a synthetic world")
        wrong = np.zeros(len(places), bool)
        for k, place in enumerate(places.tolist()):
            track = chains.track[place]
            near = owner[place : place + LASTING] if births else owner[max(place - LASTING + 1, 0) : place + 1]
            near = near[near >= 0]
            if len(near):
                person = np.bincount(near).argmax()
                theirs = (owner == person) & (chains.track != track)
                apart = (chains.positions[theirs] - chains.positions[place]) * (-1 if births else 1)
                apart = apart[apart > 0]
                if len(apart):
                    nearest = int(apart.min())
                    now = int(chains.positions[place])
                    first, last = (now - nearest, now) if births else (now, now + nearest)
                    shown = people.frames[(people.ids == person) & (people.frames > first) & (people.frames < last)]
                    wrong[k] = len(shown) == nearest - 1
        return wrong

    @cached_property
    def true_joints(self) -> np.ndarray:
        """The true joints (T, K, 2) of the tracked poses; NaN for poses of no person."""
        people = self.sequence.people
        if people is None:
            raise ValueError("expected a sequence of a synthetic world")
        keys = people.frames.astype(np.int64) * 10_000 + people.ids
        order = np.argsort(keys)
        mine = self.chains.positions * 10_000 + self.owners[self.chains.order]
        row = order[np.minimum(np.searchsorted(keys[order], mine), len(order) - 1)]
        known = keys[row] == mine
        return np.where(known[:, None, None], people.keypoints[row], np.nan)

    @cached_property
    def heights(self) -> np.ndarray:
        """The height (T,) in pixels of each tracked person, as of the joints of a standing body; NaN for none."""
        people = self.sequence.people
        if people is None:
            raise ValueError("expected a sequence of a synthetic world")
        height = {(int(f), int(i)): h for f, i, h in zip(people.frames, people.ids, people.heights, strict=True)}
        owner = self.owners[self.chains.order]
        return np.array(
            [height.get(key, np.nan) for key in zip(self.chains.positions.tolist(), owner.tolist(), strict=True)]
        )

    @cached_property
    def bad_joints(self) -> np.ndarray:
        """(T, K) 1 where a joint is off by more than 6 % of the body's height, 0 where not, NaN where unknown."""
        off = np.linalg.norm(self.poses.keypoints[self.chains.order] - self.true_joints, axis=2)
        return np.where(np.isfinite(off), off > _BAD_JOINT * self.heights[:, None], np.nan)


def samples(suite: str, seed: int, level: str, keep: Path | None = None) -> Iterator[Sample]:
    """The tracked sequences of a suite and seed.

    Args:
        suite: of `benchmarks.sequences`.
        seed: of the suite.
        level: of the noise, "easy" or "hard".
        keep: a folder in which the sequences are kept, so that another run is faster.
    """
    path = keep / f"{suite}_{level}_{seed}.pickle" if keep else None
    if path and path.is_file():
        yield from pickle.loads(path.read_bytes())
        return
    made = [
        Sample(sequence, offline_tracks(_frames(sequence), AssociationSettings(), COCO_17))
        for sequence in sequences(suite, seed, level=level)
    ]
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pickle.dumps(made))
    yield from made


def _frames(sequence: Sequence) -> list[PoseFrame]:
    """The frames as a pose log holds them; the camera's motion is not known."""
    nothing = PropagatedPoses.empty(len(COCO_17))
    return [PoseFrame(k, time_s, "", poses, nothing) for k, (poses, time_s) in enumerate(sequence.frames)]
