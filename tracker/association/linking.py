"""Offline linking: which tracklet continues which, decided for the whole clip at once.

For every pair of an earlier and a later tracklet the log odds are estimated that the later one continues the earlier
one rather than starts a new person. Besides the length of the gap, three things contribute: where the motion of both
leads across it (tracklet_motion.py); the shape, size and appearance of their bodies; and whether the forward or the
backward tracker continued its track from one to the other.

A tracklet has at most one successor and one predecessor, so the best set of links is an assignment. It is the
min-cost flow of Zhang, Li, Nevatia (CVPR 2008) without its flow network. It is solved several times: from the second
time on, the motion of short tracklets is also estimated from the tracklets to which they are linked.

Numbers below are natural logarithms of odds unless noted; the result does not depend strongly on any of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Protocol

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import min_weight_full_bipartite_matching

from posetrail.similarity import joint_similarity, mean_joint_similarity
from tracker.association.tracklet_motion import Motion, motion_at_end, motion_at_start, motion_evidence
from tracker.association.tracklets import ENDS, Tracklets

_ROUNDS = 3
_VOTE = 2.0  # for a link that one of the trackers made
_PRIOR, _PRIOR_S = 1.0, 0.3  # people rarely leave and others appear within a few frames; decays with the gap
_SHAPE, _TYPICAL_OKS, _SHAPE_MEMORY_S = 3.0, 0.5, 1.0  # shapes of this OKS are no evidence; poses change with time
_NO_SHAPE, _NO_SHAPE_S = 3.0, 0.5  # against links of boxes alone: after longer gaps only precise motion outweighs it
_JOINT_NOISE = 0.02  # body sizes, in addition to the OKS sigmas
_APPEARANCE, _TYPICAL_COSINE = 8.0, 0.6  # embeddings of two people have about this cosine
_MIN_SHARED_JOINTS = 3
_NEAR, _FAST = 2.0, 6.0  # body sizes, and body sizes per second: tracklets farther apart are not compared ...
_MARGIN = 1.0  # ... nor those that need more than this on top of the best shape and appearance to be worth a link
_STATED = 1e4  # for a link that a person has stated: more than all others together
_PAIRS_AT_A_TIME = 20_000  # bounds the memory: estimating the odds of a pair takes about a kilobyte


class Constraints(Protocol):
    """What a person has stated about tracklets: see constraints.py."""

    def stated_links(self) -> list[tuple[int, int]]:
        """Pairs of tracklets of which the second follows the first."""

    def forbidden(self, earlier: np.ndarray, later: np.ndarray) -> np.ndarray:
        """Whether (L,) a link of two tracklets would join different people, or contradict a stated link."""

    def groups(self, tracklet: int) -> set[int]:
        """The groups of a tracklet's poses, each of one person."""

    def are_apart(self, groups: set[int], others: set[int]) -> bool:
        """Whether two sets of groups hold different people."""

    def one_person(self, tracks: np.ndarray, first: np.ndarray, last: np.ndarray) -> np.ndarray:
        """The tracks (P,) after those of one person were joined."""


def link(
    tracklets: Tracklets, joint_sigmas: np.ndarray, max_gap_s: float, constraints: Constraints | None = None
) -> np.ndarray:
    """The track (P,) that each tracklet belongs to, counted from 0 in order of their first tracklets.

    Tracklets of a track never overlap in time.

    Args:
        tracklets: in order of their first poses.
        joint_sigmas: (K,) the skeleton's OKS sigmas.
        max_gap_s: seconds; tracklets farther apart in time are not linked, unless a constraint asks for it.
        constraints: of a person who has corrected the clip; they hold.
    """
    successors = np.full(len(tracklets), -1)
    if len(tracklets):
        pairs = _candidates(tracklets, max_gap_s)
        if constraints:
            pairs = _constrained(tracklets, pairs, constraints)
        bodies = _in_blocks(lambda block: _body_evidence(tracklets, block, joint_sigmas), pairs)
        constant = _votes(_next_in_tracks(tracklets), pairs) + bodies + _prior(pairs)
        if constraints:
            constant = constant + _STATED * _are_among(pairs, constraints.stated_links())
        for _ in range(_ROUNDS):
            motion = _motion_evidence_in_context(tracklets, pairs, successors)
            successors = _best_links(len(tracklets), pairs, constant + motion)
        if constraints:
            successors = _cut_at_weakest(successors, pairs, constant + motion, constraints)
    tracks = np.arange(len(tracklets))
    for tracklet in np.flatnonzero(successors >= 0):  # in order of time, so the track of each is known already
        tracks[successors[tracklet]] = tracks[tracklet]
    if constraints:
        tracks = constraints.one_person(tracks, tracklets.first, tracklets.last)
    return np.unique(tracks, return_inverse=True)[1]


@dataclass(frozen=True, eq=False)
class _Pairs:
    """Pairs (L,) of an earlier and a later tracklet."""

    earlier: np.ndarray  # rows of the tracklets
    later: np.ndarray
    gap_s: np.ndarray  # from the last pose of the earlier one to the first pose of the later one

    def __getitem__(self, rows: np.ndarray | slice) -> _Pairs:
        return _Pairs(self.earlier[rows], self.later[rows], self.gap_s[rows])


def _in_blocks(evidence: Callable[[_Pairs], np.ndarray], pairs: _Pairs) -> np.ndarray:
    """`evidence` (L,) of all pairs, computed for a block of them at a time."""
    starts = range(0, max(len(pairs.gap_s), 1), _PAIRS_AT_A_TIME)
    return np.concatenate([evidence(pairs[start : start + _PAIRS_AT_A_TIME]) for start in starts])


def _candidates(tracklets: Tracklets, max_gap_s: float) -> _Pairs:
    """All pairs near enough in time and place to be worth a link; few for each tracklet."""
    end_motion, start_motion = motion_at_end(tracklets.ends), motion_at_start(tracklets.starts)
    next_in_tracks = _next_in_tracks(tracklets)
    best_body = _SHAPE * (1 - _TYPICAL_OKS) + _APPEARANCE * (1 - _TYPICAL_COSINE) * bool(tracklets.appearance.any())
    parts = []
    for pairs in _pairs_in_time(tracklets, max_gap_s):
        votes = _votes(next_in_tracks, pairs)
        kept = _are_near(tracklets, pairs) | (votes > 0)
        pairs, votes = pairs[kept], votes[kept]
        evidence = votes + _prior(pairs) + _motion_evidence(pairs, end_motion, start_motion, np.zeros((len(votes), 2)))
        parts.append(pairs[evidence + best_body + _MARGIN > 0])
    return _Pairs(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(_Pairs)))


def _constrained(tracklets: Tracklets, pairs: _Pairs, constraints: Constraints) -> _Pairs:
    """The pairs that corrections allow, and those that they state."""
    pairs = pairs[~constraints.forbidden(pairs.earlier, pairs.later)]
    stated = [(a, b) for a, b in constraints.stated_links() if tracklets.last[a] < tracklets.first[b]]
    missing = sorted(set(stated) - set(zip(pairs.earlier.tolist(), pairs.later.tolist(), strict=True)))
    earlier, later = np.array(missing, np.int64).reshape(-1, 2).T
    gap_s = tracklets.starts[later, 0, 0] - tracklets.ends[earlier, -1, 0]
    parts = (pairs.earlier, earlier), (pairs.later, later), (pairs.gap_s, gap_s)
    return _Pairs(*(np.concatenate(each) for each in parts))


def _are_among(pairs: _Pairs, links: list[tuple[int, int]]) -> np.ndarray:
    """Whether (L,) a pair is one of these links."""
    among = set(links)
    return np.array([pair in among for pair in zip(pairs.earlier.tolist(), pairs.later.tolist(), strict=True)], bool)


def _cut_at_weakest(
    successors: np.ndarray, pairs: _Pairs, evidence: np.ndarray, constraints: Constraints
) -> np.ndarray:
    """The successors (P,) without links that would make one track of different people: of those between the two
    tracklets in question the one of least evidence (L,) is cut."""
    of_pair = dict(zip(zip(pairs.earlier.tolist(), pairs.later.tolist(), strict=True), evidence.tolist(), strict=True))
    successors = successors.copy()
    for head in np.setdiff1d(np.arange(len(successors)), successors).tolist():
        chain: list[tuple[int, set[int]]] = []  # tracklets since the last cut, and the groups of each
        tracklet = head
        while tracklet >= 0:
            groups = constraints.groups(tracklet)
            chain.append((tracklet, groups))
            conflicts = [k for k, (_, others) in enumerate(chain[:-1]) if constraints.are_apart(groups, others)]
            if conflicts:
                links = [(one, other) for (one, _), (other, _) in pairwise(chain[conflicts[-1] :])]
                weakest = min(links, key=of_pair.__getitem__)
                successors[weakest[0]] = -1
                chain = chain[[each for each, _ in chain].index(weakest[1]) :]
            tracklet = int(successors[tracklet])
    return successors


def _pairs_in_time(tracklets: Tracklets, max_gap_s: float) -> Iterator[_Pairs]:
    """All pairs that do not overlap in time and are at most `max_gap_s` apart, a block at a time."""
    start_s, end_s = tracklets.starts[:, 0, 0], tracklets.ends[:, -1, 0]
    by_end = np.argsort(tracklets.last, kind="stable")
    first = np.searchsorted(end_s[by_end], start_s - max_gap_s - 1e-9)
    count = np.maximum(np.searchsorted(tracklets.last[by_end], tracklets.first) - first, 0)
    block_of_tracklet = np.cumsum(count) // _PAIRS_AT_A_TIME
    for block in range(block_of_tracklet[-1] + 1):
        rows = np.flatnonzero(block_of_tracklet == block)
        later = np.repeat(rows, count[rows])
        within = np.arange(len(later)) - np.repeat(np.cumsum(count[rows]) - count[rows], count[rows])
        earlier = by_end[np.repeat(first[rows], count[rows]) + within]
        yield _Pairs(earlier, later, start_s[later] - end_s[earlier])


def _are_near(tracklets: Tracklets, pairs: _Pairs) -> np.ndarray:
    """Whether (L,) a person could get from the end of the earlier tracklet to the start of the later one."""
    start, end = tracklets.starts[pairs.later, 0], tracklets.ends[pairs.earlier, -1]  # time_s, x, y, size
    distance = np.abs(start[:, 1:3] - end[:, 1:3]).max(axis=1)
    return distance < np.maximum(start[:, 3], end[:, 3]) * (_NEAR + _FAST * pairs.gap_s)


def _next_in_tracks(tracklets: Tracklets) -> np.ndarray:
    """The next tracklet (2, P) of the same track, for the forward and the backward tracker; -1 for none."""
    following = np.full((2, len(tracklets)), -1)
    for next_tracklet, serials in zip(following, (tracklets.forward, tracklets.backward), strict=True):
        order = np.argsort(serials, kind="stable")
        order = order[serials[order] > 0]
        continues = serials[order[1:]] == serials[order[:-1]]
        next_tracklet[order[:-1][continues]] = order[1:][continues]
    return following


def _votes(next_in_tracks: np.ndarray, pairs: _Pairs) -> np.ndarray:
    """Evidence (L,) of the two trackers: whether the later tracklet is the next one of the earlier one's track."""
    return _VOTE * (next_in_tracks[:, pairs.earlier] == pairs.later).sum(axis=0)


def _prior(pairs: _Pairs) -> np.ndarray:
    """Evidence (L,) of the gap's length alone."""
    return _PRIOR * np.exp(-pairs.gap_s / _PRIOR_S)


def _mean_offsets(tracklets: Tracklets, pairs: _Pairs) -> np.ndarray:
    """The mean difference (L, 2) of the shared joints, each from its position.

    The position is the mean of the visible joints, so it differs between tracklets that show other joints.
    """
    offsets = tracklets.first_joints[pairs.later] - tracklets.last_joints[pairs.earlier]
    shared = ~np.isnan(offsets)
    count = shared.sum(axis=1)
    mean = np.where(shared, offsets, 0.0).sum(axis=1) / np.maximum(count, 1)
    return np.where(count >= _MIN_SHARED_JOINTS, mean, 0.0)


def _body_evidence(tracklets: Tracklets, pairs: _Pairs, joint_sigmas: np.ndarray) -> np.ndarray:
    """Evidence (L,) of shape and appearance."""
    size = np.sqrt(tracklets.ends[pairs.earlier, -1, 3] * tracklets.starts[pairs.later, 0, 3])
    offsets = tracklets.first_joints[pairs.later] - tracklets.last_joints[pairs.earlier]
    offsets = offsets - _mean_offsets(tracklets, pairs)[:, None]
    oks = mean_joint_similarity(joint_similarity(offsets, size**2, (2 * joint_sigmas) ** 2 + _JOINT_NOISE**2))
    by_shape = _SHAPE * (oks - _TYPICAL_OKS) * np.exp(-pairs.gap_s / _SHAPE_MEMORY_S)
    without_shape = -_NO_SHAPE * (1 - np.exp(-pairs.gap_s / _NO_SHAPE_S))
    evidence = np.where(np.isnan(oks), without_shape, by_shape)
    appearances = [tracklets.appearance[each] for each in (pairs.earlier, pairs.later)]
    known = appearances[0].any(axis=1) & appearances[1].any(axis=1)
    cosine = np.einsum("le,le->l", *appearances)
    return evidence + np.where(known, _APPEARANCE * (cosine - _TYPICAL_COSINE), 0.0)


def _motion_evidence(pairs: _Pairs, end_motion: Motion, start_motion: Motion, offsets: np.ndarray) -> np.ndarray:
    """Evidence (L,) of motion and size, from the motion (P,) of all tracklets at their ends and at their starts."""
    return motion_evidence(end_motion[pairs.earlier], start_motion[pairs.later], pairs.gap_s, offsets)


def _motion_evidence_in_context(tracklets: Tracklets, pairs: _Pairs, successors: np.ndarray) -> np.ndarray:
    """Evidence (L,) of motion and size; short tracklets are extended by those to which they are linked."""
    ends, starts = _extended(tracklets, successors)
    end_motion, start_motion = motion_at_end(ends), motion_at_start(starts)
    del ends, starts

    def evidence(block: _Pairs) -> np.ndarray:
        return _motion_evidence(block, end_motion, start_motion, _mean_offsets(tracklets, block))

    return _in_blocks(evidence, pairs)


def _extended(tracklets: Tracklets, successors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ends and starts (P, ENDS, 4) of all tracklets, short ones extended by the poses of their neighbours."""
    ends, starts = tracklets.ends.copy(), tracklets.starts.copy()
    counts = np.minimum(tracklets.last - tracklets.first + 1, ENDS).tolist()
    linked = np.flatnonzero(successors >= 0)
    for tracklet in linked.tolist():  # in order of time: the earlier one is extended already
        successor = successors[tracklet]
        if (n := counts[successor]) < ENDS:
            ends[successor, : ENDS - n] = ends[tracklet, n:]
    for tracklet in linked[::-1].tolist():
        if (n := counts[tracklet]) < ENDS:
            starts[tracklet, n:] = starts[successors[tracklet], : ENDS - n]
    return ends, starts


def _best_links(num_tracklets: int, pairs: _Pairs, evidence: np.ndarray) -> np.ndarray:
    """The successor (P,) of each tracklet, -1 for none: the links with the greatest sum of positive evidence (L,)."""
    successors = np.full(num_tracklets, -1)
    good = evidence > 0
    if not good.any():
        return successors
    rows, row = np.unique(pairs.earlier[good], return_inverse=True)
    columns, column = np.unique(pairs.later[good], return_inverse=True)
    # Every earlier tracklet may stay without successor, at evidence 0: a column of its own. A cost of 0 would be no
    # entry of the sparse matrix, so all costs are above 0.
    highest = evidence[good].max() + 1
    cost = np.concatenate([highest - evidence[good], np.full(len(rows), highest)])
    without = np.arange(len(rows))
    places = np.concatenate([row, without]), np.concatenate([column, len(columns) + without])
    costs = coo_array((cost, places), shape=(len(rows), len(columns) + len(rows))).tocsr()
    chosen_row, chosen_column = min_weight_full_bipartite_matching(costs)
    continues = chosen_column < len(columns)
    successors[rows[chosen_row[continues]]] = columns[chosen_column[continues]]
    return successors
