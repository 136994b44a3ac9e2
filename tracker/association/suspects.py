"""Suspects: places of a tracked clip where something is probably wrong, found without ground truth.

Every place has one number, its doubt, which is comparable between kinds; the parts it is made of; and the reason in
words. The kinds:

- link: the track may go over to another person here (suspect_links.py);
- birth, end: the track begins or ends away from the border (suspect_ends.py);
- duplicate: two tracks coincide (suspect_duplicates.py);
- interpolated: the track has no poses for some time, and what fills the gap is a guess;
- joint, flip: joints are out of place, or left and right are exchanged (suspect_joints.py).

Nothing here knows the image. docs/concepts/suspects.md shows how many errors are found in how many looks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from posetrail.skeletons import Skeleton
from posetrail.wording import counted
from tracker.association.suspect_duplicates import measured_duplicates
from tracker.association.suspect_ends import measured_ends
from tracker.association.suspect_exchange import best_exchanges
from tracker.association.suspect_joints import joint_parts, joint_residuals, measured_flips
from tracker.association.suspect_links import measured_links
from tracker.association.suspect_places import NEAR_FRAMES, Flag, merged
from tracker.association.suspect_poses import LoggedPoses
from tracker.association.suspect_reasons import link_reason
from tracker.association.suspect_tracks import Chains
from tracker.association.suspect_weights import (
    BIRTH,
    DUPLICATE,
    END,
    FEWEST_JOINTS,
    FLIP,
    JOINT,
    LINK,
    LONG_GAP,
    LONG_GAP_S,
    MANY_JOINTS,
    MOST_JOINTS,
    Parts,
    doubt,
)

PoseName: TypeAlias = tuple[int, int]
"""A pose: number of its frame in the video, and row among the poses of that frame in the pose log."""

KINDS = ("link", "birth", "end", "duplicate", "interpolated", "joint", "flip")

LEAST: Mapping[str, float] = {
    "link": 0.005, "birth": 0.02, "end": 0.02, "duplicate": 0.2, "interpolated": 0.01, "joint": 0.5, "flip": 0.5,
}  # fmt: skip
"""Places of less doubt are not listed, by kind. The bound of links is low: few are wrong, and those cost much."""
_LONGEST_JOINTS_FRAMES = 30  # outliers of more frames are divided into several places
_MIN_GAP_FRAMES = 3  # frames without a pose, below which a gap is not worth a look


@dataclass(frozen=True, kw_only=True)
class Suspect:
    """One place to look at."""

    kind: str  # one of KINDS
    frame: int  # number in the video of the first frame to look at
    last_frame: int  # and of the last one
    poses: tuple[PoseName, ...]  # in question; for a link the last one before it and the first one after it
    candidates: tuple[PoseName, ...]  # poses of other tracks to exchange it or join it with, best first
    doubt: float  # 0..1, roughly the probability that something is wrong here
    parts: dict[str, float]  # what the doubt is made of
    reason: str  # one sentence
    suspect_id: str  # of kind and poses, so it stays the same as long as the poses do: "link:511.1-512.1"


def suspects(
    poses: LoggedPoses,
    ids: np.ndarray,
    forward: np.ndarray,
    backward: np.ndarray,
    skeleton: Skeleton,
    size: tuple[int, int],
) -> list[Suspect]:
    """The suspects of a clip, most doubtful first.

    Args:
        poses: of the pose log.
        ids: (M,) track of each pose, -1 for none.
        forward: (M,) serial of the track of a tracker that ran forward in time; 0: none.
        backward: (M,) the same of one that ran backward, as `OfflineTracks` has them.
        skeleton: of the poses.
        size: width and height of the image in pixels.
    """
    chains = Chains(poses, np.asarray(ids, np.int64), (2 * np.array(skeleton.oks_sigmas)) ** 2)
    flags = [*identity_flags(chains, forward, backward, size), *joint_flags(chains, skeleton)]
    return [_suspect(poses, flag) for flag in merged(flags)]


def identity_flags(
    chains: Chains,
    forward: np.ndarray,
    backward: np.ndarray,
    size: tuple[int, int],
    least: Mapping[str, float] = LEAST,
) -> list[Flag]:
    """Flags of links, births, ends, duplicates and gaps, in no order; arguments as of `suspects`."""
    if not len(chains.order):
        return []
    return [
        *_links(chains, forward, backward, least["link"]),
        *_ends(chains, size, least["birth"], births=True),
        *_ends(chains, size, least["end"], births=False),
        *_duplicates(chains, least["duplicate"]),
        *_gaps(chains, least["interpolated"]),
    ]


def joint_flags(chains: Chains, skeleton: Skeleton, least: Mapping[str, float] = LEAST) -> list[Flag]:
    """Flags of joints and flips, in no order."""
    if not len(chains.order):
        return []
    return [*_joints(chains, skeleton, least["joint"]), *_flips(chains, skeleton, least["flip"])]


def _suspect(poses: LoggedPoses, flag: Flag) -> Suspect:
    names = tuple(poses.name(pose) for pose in flag.poses)
    return Suspect(
        kind=flag.kind,
        frame=int(poses.frame_indices[flag.first]),
        last_frame=int(poses.frame_indices[flag.last]),
        poses=names,
        candidates=tuple(poses.name(pose) for pose in flag.candidates),
        doubt=round(flag.doubt, 4),
        parts={name: round(value, 4) for name, value in flag.parts.items()},
        reason=flag.reason,
        suspect_id=f"{flag.kind}:{'-'.join(f'{frame}.{row}' for frame, row in names)}",
    )


def _row(parts: Parts, row: int) -> dict[str, float]:
    return {name: float(values[row]) for name, values in parts.items()}


def _links(chains: Chains, forward: np.ndarray, backward: np.ndarray, least: float) -> Iterator[Flag]:
    links = chains.links
    evidence = chains.evidence(links, links + 1)
    exchanges = best_exchanges(chains, links, evidence.sum(axis=0))
    all_parts = measured_links(chains, evidence, exchanges.gain, forward, backward)
    doubts = doubt(all_parts, LINK)
    for k in np.flatnonzero(doubts >= least).tolist():
        a, partner = int(links[k]), int(exchanges.partner[k])
        parts = _row(all_parts, k)
        tracks: tuple[int, ...] = (int(chains.track_ids[a]),)
        candidates: tuple[int, ...] = ()
        if partner >= 0:
            candidates = (int(chains.order[partner]),)
            if abs(chains.positions[partner] - chains.positions[a]) <= NEAR_FRAMES:
                tracks = (*tracks, int(chains.track_ids[partner]))
        yield Flag(
            kind="link",
            doubt=float(doubts[k]),
            first=int(chains.positions[a]),
            last=int(chains.positions[a + 1]),
            tracks=tracks,
            poses=(int(chains.order[a]), int(chains.order[a + 1])),
            candidates=candidates,
            parts=parts,
            reason=link_reason(parts, chains.poses.frames[chains.order[a]], chains.poses.frames[chains.order[a + 1]]),
        )


def _ends(chains: Chains, size: tuple[int, int], least: float, *, births: bool) -> Iterator[Flag]:
    kind, verb = ("birth", "begins") if births else ("end", "ends")
    ends = measured_ends(chains, size, births=births)
    doubts = doubt(ends.parts, BIRTH if births else END)
    for k in np.flatnonzero(doubts >= least).tolist():
        place, others = int(ends.places[k]), ends.candidates[k]
        parts = _row(ends.parts, k)
        position = int(chains.positions[place])
        frame = int(chains.poses.frames[chains.order[place]])
        joining = f"the best of {counted(len(others), 'candidate')} to join has log odds {parts['join']:+.1f}"
        near = [
            int(chains.track_ids[each]) for each in others[:1] if abs(chains.positions[each] - position) <= NEAR_FRAMES
        ]
        yield Flag(
            kind=kind,
            doubt=float(doubts[k]),
            first=position,
            last=position,
            tracks=(int(chains.track_ids[place]), *near),
            poses=(int(chains.order[place]),),
            candidates=tuple(chains.order[others].tolist()),
            parts=parts,
            reason=f"The track {verb} in frame {frame}, {_away(parts['away'])} the border; "
            + (f"{joining}." if len(others) else "no track nearby could be joined."),
        )


def _away(distance: float) -> str:
    return "at" if distance <= 0.02 else f"{distance:.1f} body sizes from" if distance < 1 else "far from"


def _duplicates(chains: Chains, least: float) -> Iterator[Flag]:
    found = measured_duplicates(chains)
    doubts = doubt(found.parts, DUPLICATE)
    for k in np.flatnonzero(doubts >= least).tolist():
        first, last = found.first[k], found.last[k]
        parts = _row(found.parts, k)
        frames = int(chains.positions[last[0]] - chains.positions[first[0]]) + 1
        yield Flag(
            kind="duplicate",
            doubt=float(doubts[k]),
            first=int(chains.positions[first[0]]),
            last=int(chains.positions[last[0]]),
            tracks=tuple(chains.track_ids[first].tolist()),
            poses=tuple(chains.order[[*first, *last]].tolist()),
            parts=parts,
            reason=f"Two tracks coincide for {counted(frames, 'frame')} (OKS {parts['similarity']:.2f}).",
        )


def _gaps(chains: Chains, least: float) -> Iterator[Flag]:
    links = chains.links
    frames = chains.positions[links + 1] - chains.positions[links] - 1
    seconds = chains.times_s[links + 1] - chains.times_s[links]
    doubts = LONG_GAP * (1 - np.exp(-seconds / LONG_GAP_S))
    for k in np.flatnonzero((frames >= _MIN_GAP_FRAMES) & (doubts >= least)).tolist():
        a = int(links[k])
        yield Flag(
            kind="interpolated",
            doubt=float(doubts[k]),
            first=int(chains.positions[a]),
            last=int(chains.positions[a + 1]),
            tracks=(int(chains.track_ids[a]),),
            poses=(int(chains.order[a]), int(chains.order[a + 1])),
            parts={"frames": float(frames[k]), "seconds": float(seconds[k])},
            reason=f"The track has no pose for {counted(int(frames[k]), 'frame')} ({seconds[k]:.2f} s).",
        )


def _joints(chains: Chains, skeleton: Skeleton, least: float) -> Iterator[Flag]:
    residuals = joint_residuals(chains, skeleton)
    places, joints = np.nonzero(np.isfinite(residuals.distances))
    parts = joint_parts(residuals, places, joints)
    doubts = doubt(parts, JOINT)
    chosen = np.flatnonzero(doubts >= least)
    places, joints, doubts = places[chosen], joints[chosen], doubts[chosen]
    tracks, positions = chains.track_ids[places], chains.positions[places]
    begins = np.ones(len(chosen), bool)
    begins[1:] = (np.diff(tracks) != 0) | (np.diff(positions) > NEAR_FRAMES)
    begins[1:] |= np.diff(positions // _LONGEST_JOINTS_FRAMES) != 0
    starts = np.flatnonzero(begins)
    for start, end in zip(starts.tolist(), [*starts[1:].tolist(), len(chosen)], strict=False):
        worst = start + int(doubts[start:end].argmax())
        number, joint = end - start, skeleton.joints[int(joints[worst])]
        distance = float(residuals.distances[places[worst], joints[worst]])
        share = FEWEST_JOINTS + (MOST_JOINTS - FEWEST_JOINTS) * min(1.0, (number - 1) / (MANY_JOINTS - 1))
        frame = int(chains.poses.frames[chains.order[places[worst]]])
        where = {skeleton.joints[k]: int(n) for k, n in enumerate(np.bincount(joints[start:end])) if n}
        more = f"; {number} joints of this stretch are out of place: {_listed(where)}" if number > 1 else ""
        yield Flag(
            kind="joint",
            doubt=float(doubts[worst]) * share,
            first=int(positions[start]),
            last=int(positions[end - 1]),
            tracks=(int(tracks[worst]),),
            poses=(int(chains.order[places[worst]]),),
            parts={**_row(parts, int(chosen[worst])), **{name: float(n) for name, n in where.items()}},
            reason=f"In frame {frame} the {joint.replace('_', ' ')} is {distance:.2f} body sizes from where the "
            f"neighbouring frames have it{more}.",
        )


def _listed(where: dict[str, int]) -> str:
    most = sorted(where.items(), key=lambda each: (-each[1], each[0]))[:3]
    shown = ", ".join(f"{name.replace('_', ' ')} {number}" for name, number in most)
    others = len(where) - len(most)
    return f"{shown} and {counted(others, 'other joint')}" if others else shown


def _flips(chains: Chains, skeleton: Skeleton, least: float) -> Iterator[Flag]:
    flips = measured_flips(chains, skeleton)
    doubts = doubt(flips.parts, FLIP)
    for k in np.flatnonzero(doubts >= least).tolist():
        first, last = int(flips.first[k]), int(flips.last[k])
        yield Flag(
            kind="flip",
            doubt=float(doubts[k]),
            first=int(chains.positions[first]),
            last=int(chains.positions[last]),
            tracks=(int(chains.track_ids[first]),),
            poses=(int(chains.order[first]), int(chains.order[last])),
            parts=_row(flips.parts, k),
            reason=f"From frame {chains.poses.frames[chains.order[first]]} on, left and right {flips.limbs[k]} seem "
            f"exchanged for {counted(last - first + 1, 'pose')}: mirrored, they fit the poses around better by "
            f"{100 * flips.parts['advantage'][k]:.0f} %.",
        )
