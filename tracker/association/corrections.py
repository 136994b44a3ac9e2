"""Corrections of a clip's tracks: operations that name poses, and their JSON forms.

An operation states facts about poses, each named by its frame and its row in the pose log (`PoseName`), never by a
track id: ids change whenever they are assigned again. So operations can be laid over any tracks of the same poses
(overlay.py), and tracks that honour them already stay as they are. Requests of a person are translated into operations
by requests.py. To undo an operation is an operation too; undoing that one repeats the first.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal, TypeAlias, get_args

import numpy as np

from tracker.tracked_clip import PoseName

Part: TypeAlias = Literal["all", "arms", "legs", "face"]
"""Joints whose left and right a flip exchanges."""

LONGEST_NAME = 100
"""Characters of a person's name."""
_LARGEST_FRAME, _LARGEST_ROW = 2**40, 2**19
_LARGEST_PX = 1e9


@dataclass(frozen=True, kw_only=True)
class Relink:
    """Which pose of a person follows which: what `swap`, `join` and `split` state.

    `links`: the second pose is the next one of the person of the first. `apart`: the two are not the same person.
    `names`: names that poses get along with it, empty for none.
    """

    op: Literal["swap", "join", "split"]
    links: tuple[tuple[PoseName, PoseName], ...] = ()
    apart: tuple[tuple[PoseName, PoseName], ...] = ()
    names: tuple[tuple[PoseName, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Name:
    """The person of these poses has this name; empty: none."""

    op: ClassVar = "name"
    poses: tuple[PoseName, ...]
    name: str


@dataclass(frozen=True, kw_only=True)
class Gap:
    """Frames in which a person has no pose, interpolated ones included."""

    first: int  # number of the frame
    last: int
    before: PoseName | None  # the person's last pose before them
    after: PoseName | None


@dataclass(frozen=True, kw_only=True)
class Remove:
    """These poses belong to no person."""

    op: ClassVar = "remove"
    poses: PoseSpans
    gaps: tuple[Gap, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Move:
    """A joint lies here."""

    op: ClassVar = "move"
    pose: PoseName
    joint: str
    xy: tuple[float, float]  # pixels


@dataclass(frozen=True, kw_only=True)
class Hide:
    """A joint is not visible, or not known."""

    op: ClassVar = "hide"
    pose: PoseName
    joint: str


@dataclass(frozen=True, kw_only=True)
class Flip:
    """Left and right are exchanged in these poses."""

    op: ClassVar = "flip"
    poses: PoseSpans
    part: Part


@dataclass(frozen=True, kw_only=True)
class Add:
    """A pose that the pose log does not have."""

    op: ClassVar = "add"
    frame: int
    joints: tuple[tuple[str, float, float, float], ...]  # name, x, y in pixels, score
    before: PoseName | None = None  # the last pose of the same person before it
    after: PoseName | None = None


@dataclass(frozen=True, kw_only=True)
class Fine:
    """A suspect is no error."""

    op: ClassVar = "fine"
    suspect: str


@dataclass(frozen=True, kw_only=True)
class Checked:
    """A person has looked at these frames and found, or made, them right."""

    op: ClassVar = "checked"
    first: int
    last: int


@dataclass(frozen=True, kw_only=True)
class Undo:
    """The operation of this number is undone."""

    op: ClassVar = "undo"
    of: int


Operation: TypeAlias = Relink | Name | Remove | Move | Hide | Flip | Add | Fine | Checked | Undo

WITHOUT_EFFECT_ON_TRACKS = (Fine, Checked, Undo)
"""Operations that change no pose and no id themselves."""


@dataclass(frozen=True)
class PoseSpans:
    """Many poses in little space: runs of poses of the same row in evenly spaced frames."""

    runs: tuple[tuple[int, int, int, int], ...]  # first frame, row, number of frames, distance between two of them

    @classmethod
    def of(cls, frames: np.ndarray, rows: np.ndarray) -> PoseSpans:
        """The poses of these rows (M,) in these ascending frames (M,)."""
        if not len(frames):
            return cls(())
        steps = np.diff(frames)
        uneven = np.flatnonzero((np.diff(rows) != 0) | (np.diff(steps, prepend=steps[:1]) != 0)) + 1
        starts = np.concatenate([[0], uneven])
        counts = np.diff(np.append(starts, len(frames)))
        steps = np.append(steps, 1)
        columns = frames[starts], rows[starts], counts, np.where(counts > 1, steps[starts], 1)
        return cls(tuple(zip(*(column.tolist() for column in columns), strict=True)))

    def keys(self) -> np.ndarray:
        """The `pose_keys` of all poses."""
        parts = [pose_keys(first + step * np.arange(count), row) for first, row, count, step in self.runs]
        return np.concatenate(parts) if parts else np.zeros(0, np.int64)


def pose_keys(frames: Any, rows: Any) -> np.ndarray:
    """Names of poses as int64 numbers, ascending with the frame."""
    return np.asarray(frames, np.int64) * (2 * _LARGEST_ROW) + np.asarray(rows, np.int64) + _LARGEST_ROW


def pose_name(key: int) -> PoseName:
    """The pose with this key."""
    return PoseName(key // (2 * _LARGEST_ROW), key % (2 * _LARGEST_ROW) - _LARGEST_ROW)


def added_pose(number: int, add: Add) -> PoseName:
    """The name of a pose that the operation of this number added."""
    return PoseName(add.frame, -1 - number)


def are_undone(operations: Sequence[Operation]) -> list[bool]:
    """Whether each operation is undone; operations count from 1."""
    undone = [False] * len(operations)
    for number in range(len(operations), 0, -1):
        operation = operations[number - 1]
        if isinstance(operation, Undo) and not undone[number - 1] and 0 < operation.of < number:
            undone[operation.of - 1] = True
    return undone


def effective(operations: Sequence[Operation]) -> dict[int, Operation]:
    """The operations that are not undone and change poses or ids, by number."""
    return {
        number: operation
        for number, (operation, undone) in enumerate(zip(operations, are_undone(operations), strict=True), 1)
        if not undone and not isinstance(operation, WITHOUT_EFFECT_ON_TRACKS)
    }


# JSON -----------------------------------------------------------------------------------------------------------------


def to_json(operation: Operation) -> dict[str, Any]:
    """The operation as JSON holds it."""
    values = asdict(operation)
    values.pop("op", None)
    if isinstance(operation, Relink):
        values = {name: value for name, value in values.items() if value}
    if isinstance(operation, (Remove, Flip)):
        values["poses"] = [list(run[:2] if run[2] == 1 else run) for run in operation.poses.runs]
    if isinstance(operation, Add):
        values["joints"] = {name: list(place) for name, *place in operation.joints}
    return {"op": operation.op, **values}


def digest_of(operations: Mapping[int, Operation]) -> str:
    """A sha256 of operations, equal for equal ones; empty for none."""
    if not operations:
        return ""
    text = json.dumps([[number, to_json(operation)] for number, operation in operations.items()], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def from_json(values: Any) -> Operation:
    """The operation that `to_json` wrote; keys that it does not know are ignored.

    Raises:
        ValueError: a value is missing or wrong; one line.
    """
    if not isinstance(values, dict):
        raise ValueError(f"expected an operation, got {str(values)[:40]!r}")
    match values.get("op"):
        case "swap" | "join" | "split" as op:
            names = _list(values.get("names", []), "names")
            return Relink(
                op=op,
                links=tuple(_pair(each) for each in _list(values.get("links", []), "links")),
                apart=tuple(_pair(each) for each in _list(values.get("apart", []), "apart")),
                names=tuple((_pose(_two(each)[0]), checked_name(_two(each)[1])) for each in names),
            )
        case "name":
            poses = tuple(_pose(each) for each in _list(values.get("poses"), "poses"))
            return Name(poses=poses, name=checked_name(values.get("name")))
        case "remove":
            gaps = tuple(_gap(each) for each in _list(values.get("gaps", []), "gaps"))
            return Remove(poses=_spans(values.get("poses")), gaps=gaps)
        case "move":
            xy = _list(values.get("xy"), "xy")
            if len(xy) != 2:
                raise ValueError(f"xy: expected two numbers, got {str(xy)[:40]}")
            place = checked_px(xy[0]), checked_px(xy[1])
            return Move(pose=_pose(values.get("pose")), joint=_text(values.get("joint"), "joint"), xy=place)
        case "hide":
            return Hide(pose=_pose(values.get("pose")), joint=_text(values.get("joint"), "joint"))
        case "flip":
            return Flip(poses=_spans(values.get("poses")), part=checked_part(values.get("part")))
        case "add":
            return Add(
                frame=_count(values.get("frame"), "frame"),
                joints=_joints(values.get("joints")),
                before=_maybe_pose(values.get("before")),
                after=_maybe_pose(values.get("after")),
            )
        case "fine":
            return Fine(suspect=_text(values.get("suspect"), "suspect"))
        case "checked":
            return Checked(first=_count(values.get("first"), "first"), last=_count(values.get("last"), "last"))
        case "undo":
            return Undo(of=_count(values.get("of"), "of"))
        case other:
            raise ValueError(f"unknown operation {str(other)[:40]!r}")


def checked_name(value: Any) -> str:
    """A person's name without outer spaces; empty for none.

    Raises:
        ValueError: it is no text, too long, or has characters that cannot be printed.
    """
    if not isinstance(value, str):
        raise ValueError(f"name: expected text, got {str(value)[:40]!r}")
    name = value.strip()
    if len(name) > LONGEST_NAME or not name.isprintable():
        raise ValueError(f"name: expected up to {LONGEST_NAME} printable characters, got {name[:40]!r}")
    return name


def checked_px(value: Any) -> float:
    """A coordinate in pixels, as the float32 that poses hold.

    Raises:
        ValueError: it is no finite number.
    """
    if type(value) not in (int, float) or not math.isfinite(value) or abs(value) > _LARGEST_PX:
        raise ValueError(f"expected a coordinate in pixels, got {str(value)[:40]!r}")
    return float(np.float32(value))


def checked_part(value: Any) -> Part:
    """A part of the body.

    Raises:
        ValueError: it is none.
    """
    if value not in get_args(Part):
        raise ValueError(f"part: expected one of {', '.join(get_args(Part))}, got {str(value)[:40]!r}")
    part: Part = value
    return part


def _list(value: Any, name: str) -> list[Any]:
    if not isinstance(value, (list, tuple)):
        raise ValueError(f"{name}: expected a list, got {str(value)[:40]!r}")
    return list(value)


def _two(value: Any) -> list[Any]:
    pair = _list(value, "pair")
    if len(pair) != 2:
        raise ValueError(f"expected two values, got {str(pair)[:40]}")
    return pair


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str) or not value or len(value) > 1000:
        raise ValueError(f"{name}: expected text, got {str(value)[:40]!r}")
    return value


def _count(value: Any, name: str, limit: int = _LARGEST_FRAME) -> int:
    if type(value) is not int or not 0 <= value < limit:
        raise ValueError(f"{name}: expected a number from 0 on, got {str(value)[:40]!r}")
    return value


def _pose(value: Any) -> PoseName:
    frame, row = _two(value)
    if type(row) is not int or not -_LARGEST_ROW <= row < _LARGEST_ROW or row == -1:
        raise ValueError(f"pose: expected frame and row, got {str(value)[:40]}")
    return PoseName(_count(frame, "frame"), row)


def _maybe_pose(value: Any) -> PoseName | None:
    return None if value is None else _pose(value)


def _pair(value: Any) -> tuple[PoseName, PoseName]:
    earlier, later = map(_pose, _two(value))
    if earlier.frame >= later.frame:
        raise ValueError(f"expected an earlier and a later pose, got {str(value)[:60]}")
    return earlier, later


def _spans(value: Any) -> PoseSpans:
    runs = []
    for run in _list(value, "poses"):
        numbers = [*_list(run, "poses"), 1, 1][:4] if len(run) == 2 else _list(run, "poses")
        if len(numbers) != 4:
            raise ValueError(f"poses: expected frame and row, count and step, got {str(run)[:60]}")
        frame, row = _pose(numbers[:2])
        count, step = (_count(number, "poses", 2**32) for number in numbers[2:])
        if not count or not step or frame + count * step >= _LARGEST_FRAME or count > 2**27:
            raise ValueError(f"poses: expected a run of poses, got {str(run)[:60]}")
        runs.append((frame, row, count, step))
    return PoseSpans(tuple(runs))


def _gap(value: Any) -> Gap:
    if not isinstance(value, dict):
        raise ValueError(f"gap: expected frames, got {str(value)[:40]!r}")
    first, last = (_count(value.get(name), name) for name in ("first", "last"))
    return Gap(first=first, last=last, before=_maybe_pose(value.get("before")), after=_maybe_pose(value.get("after")))


def _joints(value: Any) -> tuple[tuple[str, float, float, float], ...]:
    if not isinstance(value, dict) or not value:
        raise ValueError(f"joints: expected places by name, got {str(value)[:40]!r}")
    joints = []
    for name, place in value.items():
        numbers = _list(place, "joints")
        if len(numbers) == 2:
            numbers.append(1.0)
        if len(numbers) != 3 or type(numbers[2]) not in (int, float) or not 0 <= numbers[2] <= 1:
            raise ValueError(f"joints: expected x, y and score of {name[:40]!r}, got {str(place)[:60]}")
        joints.append((name, checked_px(numbers[0]), checked_px(numbers[1]), float(numbers[2])))
    return tuple(joints)
