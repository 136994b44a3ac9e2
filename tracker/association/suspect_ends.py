"""Doubtful births and ends: a track that begins or ends away from the border of the image, with candidates to join.

The person of such a track was often tracked before, or is tracked afterwards, under another id. Candidates are the
tracks that were nearby within seconds, best first: by the log odds of a link to them (suspect_tracks.py), less those of
the link of theirs that it would replace.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from posetrail.similarity import box_area, box_intersection
from tracker.association.suspect_tracks import MAX_GAP_S, Chains
from tracker.association.suspect_weights import Parts

_MAX_CANDIDATES = 3
_BEST, _WORST = 6.0, -8.0  # log odds
_MAX_AWAY = 1.0  # body sizes from the border; farther away is as good
_MAX_POSES = 30.0
_TRACKS_AT_A_TIME = 500


@dataclass(frozen=True, eq=False)
class Ends:
    """First or last poses of tracks that neither begin nor end with the clip: E of them."""

    places: np.ndarray  # (E,) in the chains
    parts: Parts
    candidates: list[np.ndarray]  # of each: places of other tracks, best first


def measured_ends(chains: Chains, size: tuple[int, int], *, births: bool) -> Ends:
    """Measure the first poses of all tracks (births), or the last ones.

    Args:
        chains: of the clip.
        size: width and height of the image in pixels.
        births: the first poses; else the last ones.
    """
    last_frame = len(chains.poses.times_s) - 1
    places = chains.bounds[:-1] if births else chains.bounds[1:] - 1
    places = places[(chains.positions[places] > 0) if births else (chains.positions[places] < last_frame)]
    parts = [
        _candidates(chains, places[k : k + _TRACKS_AT_A_TIME], births) for k in range(0, len(places), _TRACKS_AT_A_TIME)
    ]
    row = np.concatenate([each[0] + k * _TRACKS_AT_A_TIME for k, each in enumerate(parts)] or [np.zeros(0, int)])
    others, values = (np.concatenate([each[n] for each in parts] or [np.zeros(0)]) for n in (1, 2))
    best, candidates = np.full(len(places), _WORST), []
    order = np.lexsort((others, -values, row))
    bounds = np.searchsorted(row[order], np.arange(len(places) + 1))
    for k in range(len(places)):
        chosen = order[bounds[k] : bounds[k + 1]][:_MAX_CANDIDATES]
        candidates.append(others[chosen].astype(int))
        best[k] = values[chosen[0]] if len(chosen) else _WORST
    poses = chains.order[places]
    number = np.diff(chains.bounds)[chains.track[places]]
    return Ends(
        places,
        {
            "join": np.clip(best, _WORST, _BEST),
            "away": np.clip(_border_distance(chains, poses, size), 0.0, _MAX_AWAY),
            "covered": _covered(chains, poses),
            "poses": np.log(np.minimum(number, _MAX_POSES)),
            "score": chains.poses.scores[poses] / chains.typical_score,
        },
        candidates,
    )


def _candidates(chains: Chains, places: np.ndarray, births: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows (P,) of `places`, places (P,) of other tracks and log odds (P,) of joining them."""
    times, positions = chains.times_s, chains.positions
    first, last = chains.bounds[:-1], chains.bounds[1:] - 1
    at = times[places][:, None]
    if births:
        in_time = (positions[first] < positions[places][:, None]) & (times[last] >= at - MAX_GAP_S)
    else:
        in_time = (positions[last] > positions[places][:, None]) & (times[first] <= at + MAX_GAP_S)
    in_time[np.arange(len(places)), chains.track[places]] = False
    row, track = np.nonzero(in_time)
    cut = positions[places[row]]
    other = chains.first_from(track, cut) - 1 if births else chains.first_from(track, cut + 1)
    near = chains.are_near(other, places[row]) if births else chains.are_near(places[row], other)
    row, other = row[near], other[near]
    values = (chains.evidence(other, places[row]) if births else chains.evidence(places[row], other)).sum(axis=0)
    linked = (other < last[chains.track[other]]) if births else (other > first[chains.track[other]])
    ahead = other[linked] if births else other[linked] - 1
    values[linked] -= chains.evidence(ahead, ahead + 1).sum(axis=0)
    return row, other, values


def _border_distance(chains: Chains, poses: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The distance (P,) in body sizes from the box of each pose to the border of the image."""
    boxes = chains.poses.boxes[poses]
    distance = np.minimum(boxes[:, :2], np.array(size) - boxes[:, 2:]).min(axis=1, initial=np.inf)
    return distance / chains.poses.sizes[poses]


def _covered(chains: Chains, poses: np.ndarray) -> np.ndarray:
    """The largest share (P,) of the box of each pose that one other tracked pose of its frame covers."""
    boxes, begins, positions = chains.poses.boxes, chains.poses.begins, chains.poses.positions
    covered = np.zeros(len(poses))
    for k, pose in enumerate(poses.tolist()):
        others = np.arange(begins[positions[pose]], begins[positions[pose] + 1])
        others = others[(others != pose) & (chains.ids[others] >= 0)]
        area = box_area(boxes[[pose]])[0]
        if len(others) and area > 0:
            covered[k] = box_intersection(boxes[[pose]], boxes[others]).max() / area
    return covered
