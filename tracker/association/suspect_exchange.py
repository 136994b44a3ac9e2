"""Exchanges: whether a link of a track would fit better if it went over to another track."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracker.association.suspect_tracks import MAX_GAP_S, Chains

_LINKS_AT_A_TIME = 2_000


@dataclass(frozen=True, eq=False)
class Exchanges:
    """For each of some links (L,): the other track that it could be exchanged with best."""

    gain: np.ndarray  # (L,) by how much the log odds of all links concerned would rise; -inf where there is none
    partner: np.ndarray  # (L,) place of the other track's pose after the link, or its last one before it; -1


def best_exchanges(chains: Chains, links: np.ndarray, own: np.ndarray) -> Exchanges:
    """The best exchange of each link: the track up to it goes on as another one, and the other one as this.

    Where the other track ended before the link, or begins after it, only one half is exchanged: as many people appear
    and leave as before, so the log odds stay comparable.

    Args:
        chains: of the clip.
        links: (L,) places; the link goes to the next place.
        own: (L,) log odds of the links as they are.
    """
    gain, partner = np.full(len(links), -np.inf), np.full(len(links), -1)
    in_time = np.argsort(chains.positions[links], kind="stable")  # so that a block concerns few tracks
    for start in range(0, len(links), _LINKS_AT_A_TIME):
        block = in_time[start : start + _LINKS_AT_A_TIME]
        for cut in (chains.positions[links[block] + 1], chains.positions[links[block]] + 1):
            row, other_gain, other = _exchanges_at(chains, links[block], own[block], cut)
            order = np.argsort(other_gain, kind="stable")  # of several for one link the last one written is the best
            row, other_gain, other = block[row[order]], other_gain[order], other[order]
            better = other_gain > gain[row]
            gain[row[better]], partner[row[better]] = other_gain[better], other[better]
    return Exchanges(gain, partner)


def _exchanges_at(
    chains: Chains, links: np.ndarray, own: np.ndarray, cut: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All exchanges before the frames `cut` (L,): row of the link (P,), gain (P,), place of the other track (P,)."""
    first, last = chains.bounds[:-1], chains.bounds[1:] - 1
    times = chains.times_s
    a, b = links, links + 1
    begin_s, end_s = times[a] + MAX_GAP_S, times[b] - MAX_GAP_S
    tracks = np.flatnonzero((times[first] <= begin_s.max()) & (times[last] >= end_s.min()))
    row, column = np.nonzero((times[first[tracks]] <= begin_s[:, None]) & (times[last[tracks]] >= end_s[:, None]))
    track = tracks[column]
    others = track != chains.track[a[row]]
    row, track = row[others], track[others]
    after = chains.first_from(track, cut[row])
    before = after - 1
    goes_on, came = after <= last[track], before >= first[track]
    after, before = np.minimum(after, last[track]), np.maximum(before, first[track])
    a, b = a[row], b[row]
    takes = goes_on & chains.are_near(a, after)  # this track could go on as the other one
    gives = came & chains.are_near(before, b)  # the other track could go on as this one
    chosen = (takes & gives) | (takes & ~came) | (gives & ~goes_on)
    row, a, b, after, before = row[chosen], a[chosen], b[chosen], after[chosen], before[chosen]
    takes, gives, both = goes_on[chosen], came[chosen], (goes_on & came)[chosen]
    value = np.zeros(len(row))
    value[takes] += chains.evidence(a[takes], after[takes]).sum(axis=0)
    value[gives] += chains.evidence(before[gives], b[gives]).sum(axis=0)
    value[both] -= chains.evidence(before[both], after[both]).sum(axis=0)
    return row, value - own[row], np.where(takes, after, before)
