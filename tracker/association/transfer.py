"""Corrections transferred to other poses of the same clip, for example after it was tracked again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from tracker.association.corrections import (
    Add,
    Flip,
    Gap,
    Hide,
    Move,
    Name,
    Operation,
    PoseSpans,
    Relink,
    Remove,
    pose_keys,
    pose_name,
)
from tracker.tracked_clip import PoseName

_NOTHING = Relink(op="split")  # stands for an operation that cannot be transferred, so that numbers stay


def named_poses(operations: Sequence[Operation]) -> np.ndarray:
    """The keys (M,) of all poses of the pose log that operations name, ascending."""
    keys = [np.zeros(0, np.int64)]
    for operation in operations:
        poses: list[PoseName | None] = []
        match operation:
            case Relink():
                poses = [pose for pair in (*operation.links, *operation.apart) for pose in pair]
                poses += [pose for pose, _ in operation.names]
            case Name():
                poses = list(operation.poses)
            case Remove():
                keys.append(operation.poses.keys())
                poses = [pose for gap in operation.gaps for pose in (gap.before, gap.after)]
            case Flip():
                keys.append(operation.poses.keys())
            case Move() | Hide():
                poses = [operation.pose]
            case Add():
                poses = [operation.before, operation.after]
        keys.append(np.array([pose_keys(*pose) for pose in poses if pose and pose.row >= 0], np.int64))
    return np.unique(np.concatenate(keys))


def transferred(operations: Sequence[Operation], found: Mapping[int, int]) -> tuple[list[Operation], list[int]]:
    """The operations with other names of poses, and the numbers of those for which too few poses were found.

    Args:
        operations: all of a log, in order.
        found: the new key of each pose that was found again, by its old one.
    """
    new = [_transferred(operation, found) for operation in operations]
    return [each or _NOTHING for each in new], [number for number, each in enumerate(new, 1) if each is None]


def _transferred(operation: Operation, found: Mapping[int, int]) -> Operation | None:
    def pose(old: PoseName | None) -> PoseName | None:
        if old is None or old.row < 0:  # added poses keep their names
            return old
        key = found.get(int(pose_keys(*old)))
        return None if key is None else pose_name(key)

    def pairs(old: Sequence[tuple[PoseName, PoseName]]) -> tuple[tuple[PoseName, PoseName], ...]:
        both = [(pose(one), pose(other)) for one, other in old]
        return tuple((one, other) for one, other in both if one and other)

    match operation:
        case Relink():
            names = tuple((new, name) for old, name in operation.names if (new := pose(old)))
            moved = replace(operation, links=pairs(operation.links), apart=pairs(operation.apart), names=names)
            return moved if moved.links or moved.apart or operation == _NOTHING else None
        case Name():
            poses = tuple(new for old in operation.poses if (new := pose(old)))
            return replace(operation, poses=poses) if poses else None
        case Remove():
            gaps = tuple(
                Gap(first=gap.first, last=gap.last, before=pose(gap.before), after=pose(gap.after))
                for gap in operation.gaps
            )
            spans = _transferred_spans(operation.poses, found)
            return replace(operation, poses=spans, gaps=gaps) if spans.runs or not operation.poses.runs else None
        case Flip():
            spans = _transferred_spans(operation.poses, found)
            return replace(operation, poses=spans) if spans.runs else None
        case Move() | Hide():
            new = pose(operation.pose)
            return replace(operation, pose=new) if new else None
        case Add():
            return replace(operation, before=pose(operation.before), after=pose(operation.after))
    return operation


def _transferred_spans(spans: PoseSpans, found: Mapping[int, int]) -> PoseSpans:
    names = [pose_name(found.get(key, key)) for key in spans.keys().tolist() if key in found or pose_name(key).row < 0]
    frames, rows = np.array(sorted(names), np.int64).reshape(-1, 2).T
    return PoseSpans.of(frames, rows)
