"""Requests of a person, in terms of what is shown, as corrections, which name poses for good.

A request is JSON: an object with `op` and its arguments, in which a pose is [position of the frame, index of the person
there]. The correction names the poses whose identity it states: a swap, for example, the last poses before the exchange
and the first ones after it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from posetrail.errors import InputError, unknown_name
from posetrail.skeletons import Skeleton
from tracker.association.corrections import (
    Add,
    Checked,
    Fine,
    Flip,
    Gap,
    Hide,
    Move,
    Name,
    Operation,
    PoseSpans,
    Relink,
    Remove,
    checked_name,
    checked_part,
    checked_px,
)
from tracker.association.shown import Person, Shown
from tracker.association.statements import Statements
from tracker.tracked_clip import PoseName, TrackedClip

_PARTS = {"all": "all joints", "arms": "the arms", "legs": "the legs", "face": "the face"}
_SCOPES = ("here", "onwards", "track")


@dataclass(frozen=True, kw_only=True)
class Effect:
    """What a correction changes."""

    text: str  # one line
    first_frame: int  # numbers in the video
    last_frame: int
    poses: int  # number of poses that change
    track_ids: tuple[int, ...]  # ids, before the change, of the people concerned


def grounded(
    request: Mapping[str, Any], clip: TrackedClip, said: Statements, skeleton: Skeleton
) -> tuple[Operation, Effect]:
    """The correction that a request asks for, and what it changes.

    Args:
        request: see the module; `undo` is not among them, because it is about corrections, not poses.
        clip: as it is shown, corrected.
        said: what the corrections so far state.
        skeleton: of the poses.

    Raises:
        InputError: the request cannot be met; one line.
    """
    known = {
        "swap": _swap,
        "join": _join,
        "split": _split,
        "name": _name,
        "remove": _remove,
        "move": _move_or_hide,
        "hide": _move_or_hide,
        "flip": _flip,
        "add": _add,
        "fine": _fine,
        "checked": _checked,
    }
    op = request.get("op")
    if not isinstance(op, str) or op not in known:
        raise unknown_name("operation", str(op)[:40], (*known, "undo"))
    return known[op](request, Shown(clip, said, skeleton))


def _links(poses: list[PoseName | None]) -> list[tuple[PoseName, PoseName]]:
    """The pairs of consecutive poses, without those that are missing."""
    return list(pairwise(pose for pose in poses if pose))


def _renamed(anchors: Mapping[PoseName, str], first: int, last: int, name_of_other: str) -> dict[PoseName, str]:
    """New names of poses in frames `first` to `last` that have the name of their person's other poses too."""
    kept = {name for pose, name in anchors.items() if not first <= pose.frame <= last}
    return {pose: name_of_other for pose, name in anchors.items() if first <= pose.frame <= last and name in kept}


def _swap(request: Mapping[str, Any], shown: Shown) -> tuple[Operation, Effect]:
    row = shown.row(request, "a")
    a, b, frame = shown.person(row), shown.person(shown.row(request, "b")), shown.frame(row)
    if a.track_id == b.track_id:
        raise InputError(f"swap: expected two people, got {a} twice; select another pose")
    only_here = bool(request.get("only_here", False))
    last = frame if only_here else int(max(a.frames[-1], b.frames[-1]))
    parts = [[each.last_before(frame), each.first_from(frame)] for each in (a, b)]
    if only_here:
        parts = [[each.last_before(frame), each.at(frame), each.first_from(frame + 1)] for each in (a, b)]
    if parts[0][1] is None and parts[1][1] is None:
        raise InputError(f"swap: {a} and {b} have no measured pose in frame {frame}; choose another frame")
    exchanged = [[ours[0], theirs[1], *ours[2:]] for ours, theirs in (parts, parts[::-1])]
    anchors = shown.anchors(a), shown.anchors(b)
    heads = [{name for pose, name in each.items() if not frame <= pose.frame <= last} for each in anchors]
    names = _renamed(anchors[0], frame, last, min(heads[1], default=""))
    names |= _renamed(anchors[1], frame, last, min(heads[0], default=""))
    operation = Relink(
        op="swap",
        links=tuple(link for each in exchanged for link in _links(each)),
        apart=tuple(pair for each in parts for pair in pairwise(each) if pair[0] and pair[1]),  # type: ignore[misc]
        names=tuple(names.items()),
    )
    counts = [int(((each.frames >= frame) & (each.frames <= last)).sum()) for each in (a, b)]
    number = f"2 x {counts[0]}" if counts[0] == counts[1] else f"{counts[0]} and {counts[1]}"
    where = f"in frame {frame} only" if only_here else f"from frame {frame} to the end"
    who = f"{a} and {b} exchange" if a.name or b.name else f"ids {a.track_id} and {b.track_id} exchange"
    return operation, Effect(
        text=f"{who} {where}: {number} poses",
        first_frame=frame,
        last_frame=last,
        poses=sum(counts),
        track_ids=(a.track_id, b.track_id),
    )


def _join(request: Mapping[str, Any], shown: Shown) -> tuple[Operation, Effect]:
    a, b = (shown.person(shown.row(request, name)) for name in ("a", "b"))
    if a.track_id == b.track_id:
        raise InputError(f"join: expected two people, got {a} twice; select another pose")
    _refuse_shared_frames("join", a, b)
    poses = sorted(
        (each.pose(k), owner) for owner, each in enumerate((a, b)) for k in np.flatnonzero(each.measured).tolist()
    )
    links = tuple((earlier, later) for (earlier, one), (later, other) in pairwise(poses) if one != other)
    anchors = shown.anchors(b)
    keeps = a.name or b.name
    names = {pose: keeps for pose, name in anchors.items() if name != keeps}
    survivor, other = (a, b) if a.frames[0] <= b.frames[0] else (b, a)
    return Relink(op="join", links=links, names=tuple(names.items())), Effect(
        text=f"{other} becomes {survivor}: {_poses(len(other.rows))}, {_frames(other.frames)}",
        first_frame=int(other.frames[0]),
        last_frame=int(other.frames[-1]),
        poses=len(other.rows),
        track_ids=(a.track_id, b.track_id),
    )


def _refuse_shared_frames(op: str, a: Person, b: Person) -> None:
    shared = np.intersect1d(a.frames[a.measured], b.frames[b.measured])
    if len(shared):
        raise InputError(
            f"{op}: {a} and {b} are both in {len(shared)} frame{'s' * (len(shared) > 1)}, the first is {shared[0]}; "
            "they cannot be one person; split or remove one of them first"
        )


def _split(request: Mapping[str, Any], shown: Shown) -> tuple[Operation, Effect]:
    row = shown.row(request, "pose")
    person, frame = shown.person(row), shown.frame(row)
    before, after = person.last_before(frame), person.first_from(frame)
    if before is None or after is None:
        raise InputError(f"split: {person} has no measured pose {'after' if before else 'before'} frame {frame}")
    names = _renamed(shown.anchors(person), frame, int(person.frames[-1]), "")
    later = person.frames[person.frames >= frame]
    return Relink(op="split", apart=((before, after),), names=tuple(names.items())), Effect(
        text=f"{person} ends before frame {frame}; from there on it is another person: {_poses(len(later))}",
        first_frame=frame,
        last_frame=int(later[-1]),
        poses=len(later),
        track_ids=(person.track_id,),
    )


def _name(request: Mapping[str, Any], shown: Shown) -> tuple[Operation, Effect]:
    row = shown.row(request, "pose")
    person = shown.person(row)
    try:
        name = checked_name(request.get("name"))
    except ValueError as error:
        raise InputError(str(error)) from None
    others = [track_id for track_id, other in shown.clip.names.items() if other == name and name]
    same = [shown.person_of(track_id) for track_id in others if track_id != person.track_id]
    for each in same:
        _refuse_shared_frames("name", each, person)
    nearest = np.flatnonzero(person.measured)
    if not len(nearest):
        raise InputError(f"name: {person} has no measured pose; select another one")
    anchor = nearest[np.argmin(np.abs(person.rows[nearest] - row))]
    poses = (
        tuple(dict.fromkeys([person.pose(int(anchor)), *shown.anchors(person)])) if name else (*shown.anchors(person),)
    )
    if not name and not poses:
        raise InputError(f"name: {person} has no name")
    text = f"{person} is named '{name}'" if name else f"{person} loses its name"
    text = f"{person} becomes {same[0]}" if same else text
    return Name(poses=poses, name=name), Effect(
        text=f"{text}: {_poses(len(person.rows))}, {_frames(person.frames)}",
        first_frame=int(person.frames[0]),
        last_frame=int(person.frames[-1]),
        poses=len(person.rows),
        track_ids=(person.track_id, *(each.track_id for each in same)),
    )


def _remove(request: Mapping[str, Any], shown: Shown) -> tuple[Operation, Effect]:
    row, scope = shown.row(request, "pose"), request.get("scope", "here")
    if scope not in _SCOPES:
        raise unknown_name("scope", str(scope)[:40], _SCOPES)
    person, frame = shown.person(row), shown.frame(row)
    first = int(person.frames[0]) if scope == "track" else frame
    last = frame if scope == "here" else int(person.frames[-1])
    inside = (person.frames >= first) & (person.frames <= last)
    poses = PoseSpans.of(person.frames[inside & person.measured], person.pose_rows[inside & person.measured])
    gap = Gap(first=first, last=last, before=person.last_before(first), after=person.first_from(last + 1))
    number = int(inside.sum())
    where = {"here": f"in frame {frame}", "onwards": f"from frame {frame} to the end", "track": "from first to last"}
    return Remove(poses=poses, gaps=(gap,)), Effect(
        text=f"{person} is removed {where[scope]}: {_poses(number)}, {_frames(person.frames[inside])}",
        first_frame=first,
        last_frame=last,
        poses=number,
        track_ids=(person.track_id,),
    )


def _move_or_hide(request: Mapping[str, Any], shown: Shown) -> tuple[Operation, Effect]:
    row, joint = shown.row(request, "pose"), shown.joint(request)
    person, frame, hides = shown.person(row), shown.frame(row), request["op"] == "hide"
    xy = None if hides else _place(request.get("xy"))
    text = f"{joint.replace('_', ' ')} of {person} in frame {frame} " + (
        "is hidden" if xy is None else f"is put at x {xy[0]:.1f}, y {xy[1]:.1f}"
    )
    effect = Effect(text=text, first_frame=frame, last_frame=frame, poses=1, track_ids=(person.track_id,))
    pose = person.at(frame)
    if pose is None:  # interpolated: from now on it is a pose of its own
        return _measured_pose(shown, person, row, {joint: xy}), effect
    return (Hide(pose=pose, joint=joint) if xy is None else Move(pose=pose, joint=joint, xy=xy)), effect


def _measured_pose(
    shown: Shown, person: Person, row: int, changed: Mapping[str, tuple[float, float] | None]
) -> Operation:
    """An interpolated pose, with some joints moved or hidden, as an added one."""
    poses, frame = shown.clip.poses, shown.frame(row)
    joints = {}
    for k, name in enumerate(shown.skeleton.joints):
        if np.isfinite(poses.keypoints[row, k]).all():
            x, y = poses.keypoints[row, k].tolist()
            joints[name] = (name, x, y, float(np.clip(poses.keypoint_scores[row, k], 0, 1)))
    for name, xy in changed.items():
        joints.pop(name, None)
        if xy is not None:
            joints[name] = (name, *xy, 1.0)
    if not joints:
        raise InputError("hide: expected a pose with more than one joint; remove the pose instead")
    return Add(
        frame=frame,
        joints=tuple(joints.values()),
        before=person.last_before(frame),
        after=person.first_from(frame + 1),
    )


def _place(value: Any) -> tuple[float, float]:
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        raise InputError(f"expected [x, y] in pixels, got {str(value)[:40]}")
    try:
        return checked_px(value[0]), checked_px(value[1])
    except ValueError as error:
        raise InputError(str(error)) from None


def _flip(request: Mapping[str, Any], shown: Shown) -> tuple[Operation, Effect]:
    row = shown.row(request, "pose")
    person, frame = shown.person(row), shown.frame(row)
    to = shown.position(request, "to") if request.get("to") is not None else frame
    first, last = min(frame, to), max(frame, to)
    try:
        part = checked_part(request.get("part", "all"))
    except ValueError as error:
        raise InputError(str(error)) from None
    inside = person.measured & (person.frames >= first) & (person.frames <= last)
    if not inside.any():
        raise InputError(f"flip: {person} has no measured pose in frames {first} to {last}; choose others")
    number = int(inside.sum())
    return Flip(poses=PoseSpans.of(person.frames[inside], person.pose_rows[inside]), part=part), Effect(
        text=f"left and right of {_PARTS[part]} of {person} are exchanged: {_poses(number)}, "
        f"{_frames(person.frames[inside])}",
        first_frame=first,
        last_frame=last,
        poses=number,
        track_ids=(person.track_id,),
    )


def _add(request: Mapping[str, Any], shown: Shown) -> tuple[Operation, Effect]:
    frame = shown.position(request, "frame")
    joints = request.get("joints")
    if not isinstance(joints, dict) or not joints:
        raise InputError(f"joints: expected [x, y] by name of the joint, got {str(joints)[:40]}")
    placed = tuple((shown.joint({"joint": name}), *_place(xy), 1.0) for name, xy in joints.items())
    if request.get("like") is None:
        text, before, after = f"a new person is added in frame {frame}", None, None
        ids: tuple[int, ...] = ()
    else:
        person = shown.person(shown.row(request, "like"))
        if person.at(frame):
            raise InputError(f"add: {person} has a pose in frame {frame} already; move its joints instead")
        before, after = person.last_before(frame), person.first_from(frame)
        text, ids = f"a pose of {person} is added in frame {frame}", (person.track_id,)
    add = Add(frame=frame, joints=placed, before=before, after=after)
    return add, Effect(text=text, first_frame=frame, last_frame=frame, poses=1, track_ids=ids)


def _fine(request: Mapping[str, Any], shown: Shown) -> tuple[Operation, Effect]:
    suspect = request.get("suspect")
    if not isinstance(suspect, str) or not 0 < len(suspect) <= 1000 or not suspect.isprintable():
        raise InputError(f"suspect: expected the id of a suspect, got {str(suspect)[:40]!r}")
    frames = shown.clip.frame_indices
    number = suspect.partition(":")[2].partition(".")[0]
    first = last = int(number) if number.isdecimal() and len(number) < 16 else int(frames[0]) if len(frames) else 0
    effect = Effect(text=f"{suspect} is no error", first_frame=first, last_frame=last, poses=0, track_ids=())
    return Fine(suspect=suspect), effect


def _checked(request: Mapping[str, Any], shown: Shown) -> tuple[Operation, Effect]:
    first, last = sorted((shown.position(request, "from"), shown.position(request, "to")))
    return Checked(first=first, last=last), Effect(
        text=f"frames {first} to {last} are checked", first_frame=first, last_frame=last, poses=0, track_ids=()
    )


def _poses(number: int) -> str:
    return f"{number} pose{'s' * (number != 1)}"


def _frames(frames: np.ndarray) -> str:
    first, last = int(frames[0]), int(frames[-1])
    return f"frame {first}" if first == last else f"frames {first} to {last}"
