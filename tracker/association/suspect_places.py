"""Flags of one track within a few frames are one place: a person who looks there sees all of them.

A link that could be exchanged with another track is a place of both tracks. Flags of identities and flags of joints
are kept apart, because they are corrected in different ways.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

NEAR_FRAMES = 6
"""Flags of one track that are at most this many frames apart are one place."""
OF_JOINTS = frozenset({"joint", "flip"})


@dataclass(frozen=True, kw_only=True)
class Flag:
    """One doubtful thing, in rows of the pose log and positions of frames."""

    kind: str
    doubt: float
    first: int  # position of the first frame concerned
    last: int  # and of the last one
    tracks: tuple[int, ...]  # ids of the tracks that a person sees there, the flagged one first
    poses: tuple[int, ...]  # rows of the pose log
    candidates: tuple[int, ...] = ()
    parts: dict[str, float]
    reason: str


def merged(flags: Iterable[Flag]) -> list[Flag]:
    """The places of all flags, most doubtful first: each is its most doubtful flag, extended by the others' frames.

    The doubts of other kinds that were merged into a place are kept in its parts.
    """
    places: list[Flag] = []
    taken: dict[tuple[bool, int, int], list[int]] = {}  # places by family, track and block of frames
    for flag in sorted(flags, key=lambda each: (-each.doubt, each.first, each.last, each.kind, each.poses)):
        family = flag.kind in OF_JOINTS
        first, last = (flag.first - NEAR_FRAMES) // NEAR_FRAMES, (flag.last + NEAR_FRAMES) // NEAR_FRAMES
        near = {
            place
            for block in range(first, last + 1)
            for place in taken.get((family, flag.tracks[0], block), ())
            if places[place].first - NEAR_FRAMES <= flag.last and flag.first <= places[place].last + NEAR_FRAMES
        }
        if near:
            place = min(near)
            places[place] = _with(places[place], flag)
            continue
        for track in flag.tracks:
            for block in range(flag.first // NEAR_FRAMES, flag.last // NEAR_FRAMES + 1):
                taken.setdefault((family, track, block), []).append(len(places))
        places.append(flag)
    return places


def _with(place: Flag, flag: Flag) -> Flag:
    """The place with another, less doubtful flag."""
    parts = place.parts
    if flag.kind != place.kind and flag.kind not in parts:
        parts = {**parts, flag.kind: flag.doubt}
    if flag.tracks[0] != place.tracks[0]:
        return replace(place, parts=parts)
    first, last = min(place.first, flag.first), max(place.last, flag.last)
    return replace(place, parts=parts, first=first, last=last)
