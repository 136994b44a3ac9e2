"""Tracklets to people: which tracklet goes on as which, decided for the whole clip at once.

Every pair of an earlier and a later tracklet is weighed: how much likelier is it that somebody goes on from the one to
the other than that somebody else begins? Where the earlier tracklet leads is compared with where the later one comes
from, with both velocities, and as uncertain as the gap makes them (motion.py's model, run forwards from the one and
backwards from the other); bodies are compared by shape, size and looks; and each of the two trackers that made the
tracklets has a vote. A tracklet has at most one successor and one predecessor, so the best set of links is an
assignment, which is the min-cost flow of Zhang, Li and Nevatia (CVPR 2008) without its network. Then it is done again,
with the motion of each tracklet told also by what it was linked to; a few rounds are enough.

The numbers below are natural logarithms of odds unless they say otherwise; the result depends on none of them steeply.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import min_weight_full_bipartite_matching

from posetrail.similarity import joint_similarity, mean_joint_similarity
from tracker.association.motion import wandered
from tracker.association.tracklets import ENDS, Tracklets

_ROUNDS = 3
_VOTE = 2.0  # for the link that a tracker made
_SPEED = 2.0  # body sizes per second: spread of the velocities people take up
_VELOCITY_MEMORY_S = 1.0
_PLACE_NOISE = 0.06  # body sizes
_TAIL = 4.0  # degrees of freedom of Student's t: people do turn, and networks do err
_SHAPE, _USUAL_OKS, _SHAPE_MEMORY_S = 3.0, 0.5, 1.0  # bodies this much alike say nothing; poses change with time
_UNKNOWN_BODY, _UNKNOWN_BODY_S = 3.0, 0.5  # boxes alone: after longer gaps, only motion that fits well is believed
_JOINT_NOISE = 0.02  # body sizes, beyond OKS' own
_SIZE_SPREAD = 0.3  # of the logarithm of the size: boxes change with poses
_SIZE, _USUAL_SIZE, _LARGEST_SIZE = 1.0, 0.5, 3.0
_LOOKS, _USUAL_LOOKS = 8.0, 0.6  # cosine of two people's appearance
_MIN_SHARED = 3  # joints
_NEAR, _FAST = 2.0, 6.0  # body sizes, and per second: farther apart nobody is compared ...
_HOPE = 1.0  # ... nor whose motion and best bodies do not add up to 0 with this: later rounds tell motion better
_PAIRS_AT_A_TIME = 20_000  # bounds the memory that weighing them takes, about a kilobyte each


def link(tracklets: Tracklets, joint_sigmas: np.ndarray, max_gap_s: float) -> np.ndarray:
    """The person (P,) that each tracklet belongs to, counted from 0 in order of their first tracklets.

    Tracklets of a person never overlap in time.

    Args:
        tracklets: in order of their first poses.
        joint_sigmas: (K,) the skeleton's OKS sigmas.
        max_gap_s: nobody is taken up again after longer, in seconds.
    """
    successors = np.full(len(tracklets), -1)
    if len(tracklets):
        pairs = _candidates(tracklets, max_gap_s)
        bodies = _by_blocks(lambda some: _evidence_of_bodies(tracklets, some, joint_sigmas), pairs)
        known = _votes(_next_of_tracks(tracklets), pairs) + bodies
        for _ in range(_ROUNDS):
            successors = _assign(len(tracklets), pairs, known + _evidence_in_context(tracklets, pairs, successors))
    people = np.arange(len(tracklets))
    for tracklet in np.flatnonzero(successors >= 0):  # the tracklets of a person come in order of time
        people[successors[tracklet]] = people[tracklet]
    return np.unique(people, return_inverse=True)[1]


@dataclass(frozen=True, eq=False)
class _Pairs:
    """An earlier and a later tracklet each (L,)."""

    earlier: np.ndarray  # rows of the tracklets
    later: np.ndarray
    gap_s: np.ndarray  # from the last pose of the one to the first pose of the other

    def __getitem__(self, rows: np.ndarray | slice) -> _Pairs:
        return _Pairs(self.earlier[rows], self.later[rows], self.gap_s[rows])


def _by_blocks(weigh: Callable[[_Pairs], np.ndarray], pairs: _Pairs) -> np.ndarray:
    """What `weigh` says of each pair (L,), asked for some of them at a time."""
    starts = range(0, max(len(pairs.gap_s), 1), _PAIRS_AT_A_TIME)
    return np.concatenate([weigh(pairs[start : start + _PAIRS_AT_A_TIME]) for start in starts])


def _candidates(tracklets: Tracklets, max_gap_s: float) -> _Pairs:
    """All pairs that may be worth a link, near enough in time and place; few for each tracklet."""
    began, ended = tracklets.starts[:, 0], tracklets.ends[:, -1]
    by_end = np.argsort(tracklets.last, kind="stable")
    first = np.searchsorted(ended[by_end, 0], began[:, 0] - max_gap_s - 1e-9)
    count = np.maximum(np.searchsorted(tracklets.last[by_end], tracklets.first) - first, 0)
    leading, coming = _moving(tracklets.ends), _moving(_turned(tracklets.starts))
    following = _next_of_tracks(tracklets)
    best = _SHAPE * (1 - _USUAL_OKS) + _LOOKS * (1 - _USUAL_LOOKS) * bool(tracklets.appearance.any())
    parts = []
    block_of_piece = np.cumsum(count) // _PAIRS_AT_A_TIME
    for block in range(block_of_piece[-1] + 1):
        rows = np.flatnonzero(block_of_piece == block)
        later = np.repeat(rows, count[rows])
        within = np.arange(len(later)) - np.repeat(np.cumsum(count[rows]) - count[rows], count[rows])
        earlier = by_end[np.repeat(first[rows], count[rows]) + within]
        pairs = _Pairs(earlier, later, began[later, 0] - ended[earlier, 0])
        apart = np.abs(began[later, 1:3] - ended[earlier, 1:3]).max(axis=1)
        size = np.maximum(began[later, 3], ended[earlier, 3])
        votes = _votes(following, pairs)
        near = (apart < size * (_NEAR + _FAST * pairs.gap_s)) | (votes > 0)
        pairs, votes = pairs[near], votes[near]
        hope = votes + _evidence_of_motion(pairs, leading, coming, np.zeros((len(votes), 2)))
        parts.append(pairs[hope + best + _HOPE > 0])
    return _Pairs(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(_Pairs)))


def _next_of_tracks(tracklets: Tracklets) -> np.ndarray:
    """The next tracklet (2, P) of each one's track, as the forward tracker says and as the backward one; -1 for
    none."""
    following = np.full((2, len(tracklets)), -1)
    for next_piece, serials in zip(following, (tracklets.forward, tracklets.backward), strict=True):
        order = np.argsort(serials, kind="stable")
        order = order[serials[order] > 0]
        goes_on = serials[order[1:]] == serials[order[:-1]]
        next_piece[order[:-1][goes_on]] = order[1:][goes_on]
    return following


def _votes(following: np.ndarray, pairs: _Pairs) -> np.ndarray:
    """What the two trackers say of each pair (L,): whether the later tracklet is the next of the earlier one's
    track."""
    return _VOTE * (following[:, pairs.earlier] == pairs.later).sum(axis=0)


def _mean_off(tracklets: Tracklets, pairs: _Pairs) -> np.ndarray:
    """The mean difference (L, 2) of the joints that both have, each from its place: other joints, other places."""
    off = tracklets.first_joints[pairs.later] - tracklets.last_joints[pairs.earlier]
    there = ~np.isnan(off)
    count = there.sum(axis=1)
    mean = np.where(there, off, 0.0).sum(axis=1) / np.maximum(count, 1)
    return np.where(count >= _MIN_SHARED, mean, 0.0)


def _evidence_of_bodies(tracklets: Tracklets, pairs: _Pairs, joint_sigmas: np.ndarray) -> np.ndarray:
    """What shape and looks say of each pair (L,)."""
    size = np.sqrt(tracklets.ends[pairs.earlier, -1, 3] * tracklets.starts[pairs.later, 0, 3])
    off = tracklets.first_joints[pairs.later] - tracklets.last_joints[pairs.earlier]
    off = off - _mean_off(tracklets, pairs)[:, None]
    spread = (2 * joint_sigmas) ** 2 + _JOINT_NOISE**2
    oks = mean_joint_similarity(joint_similarity(off, size**2, spread))
    by_shape = _SHAPE * (oks - _USUAL_OKS) * np.exp(-pairs.gap_s / _SHAPE_MEMORY_S)
    unknown = -_UNKNOWN_BODY * (1 - np.exp(-pairs.gap_s / _UNKNOWN_BODY_S))
    evidence = np.where(np.isnan(oks), unknown, by_shape)
    looks = [tracklets.appearance[each] for each in (pairs.earlier, pairs.later)]
    known = looks[0].any(axis=1) & looks[1].any(axis=1)
    return evidence + np.where(known, _LOOKS * (np.einsum("le,le->l", *looks) - _USUAL_LOOKS), 0.0)


@dataclass(frozen=True, eq=False)
class _Motion:
    """Where somebody is (M,), how they move, and how sure that is; variances count in body sizes."""

    place: np.ndarray  # (M, 2) pixels of the still picture
    velocity: np.ndarray  # (M, 2) pixels per second
    place_var: np.ndarray  # (M,)
    cov: np.ndarray  # (M,) of place and velocity
    velocity_var: np.ndarray  # (M,)
    size: np.ndarray  # (M,) pixels

    def __getitem__(self, rows: np.ndarray) -> _Motion:
        return _Motion(*(value[rows] for value in vars(self).values()))

    def after(self, elapsed_s: np.ndarray) -> _Motion:
        """The same people so much later (M,): an Ornstein-Uhlenbeck process in the velocity, as in motion.py."""
        kept, reach, grown = wandered(elapsed_s, _VELOCITY_MEMORY_S, _SPEED)
        return _Motion(
            self.place + reach[:, None] * self.velocity,
            kept[:, None] * self.velocity,
            self.place_var + 2 * reach * self.cov + reach**2 * self.velocity_var + grown[0],
            kept * (self.cov + reach * self.velocity_var) + grown[1],
            kept**2 * self.velocity_var + grown[2],
            self.size,
        )

    def seen_at(self, places: np.ndarray) -> _Motion:
        """Corrected by where they were seen (M, 2); what is far off counts as noisier (Student's t)."""
        off = places - self.place
        noise = _PLACE_NOISE**2
        squared = (off**2).sum(axis=1) / self.size**2 / (self.place_var + noise)
        total = self.place_var + noise * np.maximum(1.0, (_TAIL + squared) / (_TAIL + 2))
        to_place, to_velocity = self.place_var / total, self.cov / total
        return replace(
            self,
            place=self.place + to_place[:, None] * off,
            velocity=self.velocity + to_velocity[:, None] * off,
            place_var=self.place_var * (1 - to_place),
            cov=self.cov * (1 - to_place),
            velocity_var=self.velocity_var - to_velocity * self.cov,
        )


def _moving(seen: np.ndarray) -> _Motion:
    """How people move at the last of their poses (M, ENDS, 4), times rising, NaN before the first one."""
    first = np.isfinite(seen[:, :, 0]).argmax(axis=1)
    times, places = seen[:, :, 0], seen[:, :, 1:3]
    none = np.zeros(len(seen))
    motion = _Motion(
        place=places[np.arange(len(seen)), first],
        velocity=np.zeros((len(seen), 2)),
        place_var=none + _PLACE_NOISE**2,
        cov=none,
        velocity_var=none + _SPEED**2,
        size=np.exp(np.nanmedian(np.log(seen[:, :, 3]), axis=1)),
    )
    for k in range(1, ENDS):
        going = (k > first)[:, None]
        later = motion.after(times[:, k] - times[:, k - 1]).seen_at(places[:, k])
        pairs = zip(vars(later).values(), vars(motion).values(), strict=True)
        motion = _Motion(*(np.where(going[:, 0] if new.ndim == 1 else going, new, old) for new, old in pairs))
    return motion


def _turned(starts: np.ndarray) -> np.ndarray:
    """Starts of tracklets (P, ENDS, 4) as ends, for somebody who sees time run backwards."""
    return starts[:, ::-1] * np.array([-1.0, 1.0, 1.0, 1.0])


def _evidence_of_motion(pairs: _Pairs, leading: _Motion, coming: _Motion, off: np.ndarray) -> np.ndarray:
    """What motion and size say of each pair (L,): where the earlier leads, against where the later comes from.

    Args:
        pairs: (L,).
        leading: (P,) how people move at the ends of all tracklets.
        coming: (P,) how they move at the starts, seen backwards.
        off: (L, 2) by how much the later ones' places lie beside the earlier ones'.
    """
    ahead, back = leading[pairs.earlier].after(pairs.gap_s), coming[pairs.later]
    size = np.sqrt(ahead.size * back.size)[:, None]
    place_off = (back.place - ahead.place + off) / size
    velocity_off = (-back.velocity - ahead.velocity) / size
    place_var, velocity_var = ahead.place_var + back.place_var, ahead.velocity_var + back.velocity_var
    cov = ahead.cov - back.cov  # seen backwards, velocities have the other sign
    det = np.maximum(place_var * velocity_var - cov**2, 1e-12)
    squared = velocity_var * (place_off**2).sum(axis=1) + place_var * (velocity_off**2).sum(axis=1)
    squared = (squared - 2 * cov * (place_off * velocity_off).sum(axis=1)) / det
    # Against somebody new: anywhere within a body size or so, at any speed.
    evidence = -(_TAIL + 4) / 2 * np.log1p(squared / _TAIL) - np.log(det / (2 * _SPEED**2))
    growth = np.log(back.size / ahead.size) / _SIZE_SPREAD
    return evidence - _SIZE * np.minimum(growth**2 / 2 - _USUAL_SIZE, _LARGEST_SIZE)


def _evidence_in_context(tracklets: Tracklets, pairs: _Pairs, successors: np.ndarray) -> np.ndarray:
    """What motion and size say of each pair (L,), short tracklets being continued by those they are linked to."""
    ends, starts = _with_context(tracklets, successors)
    leading, coming = _moving(ends), _moving(_turned(starts))
    del ends, starts
    return _by_blocks(lambda some: _evidence_of_motion(some, leading, coming, _mean_off(tracklets, some)), pairs)


def _with_context(tracklets: Tracklets, successors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ends and starts (P, ENDS, 4) of all tracklets, short ones continued by the tracklets they are linked to."""
    ends, starts = tracklets.ends.copy(), tracklets.starts.copy()
    counts = np.minimum(tracklets.last - tracklets.first + 1, ENDS).tolist()
    linked = np.flatnonzero(successors >= 0)
    for tracklet in linked.tolist():  # in order of time: what came before is complete
        after = successors[tracklet]
        if (n := counts[after]) < ENDS:
            ends[after, : ENDS - n] = ends[tracklet, n:]
    for tracklet in linked[::-1].tolist():
        if (n := counts[tracklet]) < ENDS:
            starts[tracklet, n:] = starts[successors[tracklet], : ENDS - n]
    return ends, starts


def _assign(num_pieces: int, pairs: _Pairs, gain: np.ndarray) -> np.ndarray:
    """The successor (P,) of each tracklet, -1 for none: the greatest sum of gains (L,), none of them negative."""
    successors = np.full(num_pieces, -1)
    good = gain > 0
    if not good.any():
        return successors
    rows, row = np.unique(pairs.earlier[good], return_inverse=True)
    columns, column = np.unique(pairs.later[good], return_inverse=True)
    # Every earlier tracklet may also end for good, at no gain: a column of its own. A cost of 0 would be no entry.
    most = gain[good].max() + 1
    cost = np.concatenate([most - gain[good], np.full(len(rows), most)])
    ending = np.arange(len(rows))
    places = np.concatenate([row, ending]), np.concatenate([column, len(columns) + ending])
    costs = coo_array((cost, places), shape=(len(rows), len(columns) + len(rows))).tocsr()
    chosen_row, chosen_column = min_weight_full_bipartite_matching(costs)
    goes_on = chosen_column < len(columns)
    successors[rows[chosen_row[goes_on]]] = columns[chosen_column[goes_on]]
    return successors
