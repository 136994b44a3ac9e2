"""What corrections state in sum: links, pairs apart, names, poses removed and added, joints moved and exchanged.

Operations are read in order; where two contradict each other, the later one counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from posetrail.skeletons import Skeleton
from tracker.association.corrections import (
    Add,
    Flip,
    Hide,
    Move,
    Name,
    Operation,
    Relink,
    Remove,
    added_pose,
    pose_keys,
)
from tracker.tracked_clip import ARMS, FACE, LEGS, OTHER, PoseName

_PARTS = {"all": ARMS | LEGS | FACE | OTHER, "arms": ARMS, "legs": LEGS, "face": FACE}
_LEG_JOINTS = ("hip", "knee", "ankle", "heel", "toe", "foot")
_FACE_JOINTS = ("eye", "ear", "brow", "mouth", "lip", "jaw", "face", "nose", "cheek", "nostril")
_ARM_JOINTS = ("shoulder", "elbow", "wrist", "hand", "thumb", "finger", "index", "middle", "ring", "pinky")


@dataclass(eq=False)
class Statements:
    """Statements about poses, which are named by their `pose_keys`."""

    links: dict[int, int] = field(default_factory=dict)  # pose -> the next pose of the same person
    sources: dict[int, int] = field(default_factory=dict)  # the same, reversed
    apart: dict[tuple[int, int], int] = field(default_factory=dict)  # two poses of different people -> operation
    names: dict[int, tuple[str, int]] = field(default_factory=dict)  # pose -> name of its person, and the operation
    removed: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))  # poses, ascending
    gaps: list[tuple[int, int, tuple[int, ...]]] = field(default_factory=list)  # first, last frame, poses around
    exchanged: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))  # poses, ascending
    exchanged_parts: np.ndarray = field(default_factory=lambda: np.zeros(0, np.uint8))  # bits of tracked_clip.py
    joints: dict[int, dict[int, tuple[float, float] | None]] = field(default_factory=dict)  # pose -> joint -> place
    added: dict[int, Add] = field(default_factory=dict)
    swapped: dict[int, int] = field(default_factory=dict)  # first pose after a swap -> the one it was exchanged with

    @property
    def pinned(self) -> np.ndarray:
        """All poses (M,) about which something is stated and that are not removed, ascending."""
        pairs = [pose for pair in (*self.links.items(), *self.apart) for pose in pair]
        named = np.array([*pairs, *self.names, *self.joints, *self.added], np.int64)
        return np.setdiff1d(np.union1d(named, self.exchanged), self.removed)

    def link(self, earlier: int, later: int) -> None:
        """State that `later` is the next pose of the person of `earlier`."""
        self.unlink(earlier, later)
        self.links[earlier], self.sources[later] = later, earlier
        self.apart.pop((earlier, later), None)

    def unlink(self, earlier: int, later: int) -> None:
        """Withdraw what was stated about the next pose of `earlier` and the last one before `later`."""
        if (other := self.links.pop(earlier, None)) is not None:
            del self.sources[other]
        if (other := self.sources.pop(later, None)) is not None:
            del self.links[other]


def statements(operations: Mapping[int, Operation], skeleton: Skeleton) -> Statements:
    """The statements of operations that are not undone, by number.

    Raises:
        ValueError: a joint is none of the skeleton.
    """
    said = Statements()
    flips: list[tuple[np.ndarray, int]] = []
    for number, operation in operations.items():
        match operation:
            case Relink():
                _relink(said, number, operation)
            case Name():
                _name(said, number, [(pose, operation.name) for pose in operation.poses])
            case Remove():
                _remove(said, operation)
            case Move():
                said.joints.setdefault(_key(operation.pose), {})[skeleton.index(operation.joint)] = operation.xy
            case Hide():
                said.joints.setdefault(_key(operation.pose), {})[skeleton.index(operation.joint)] = None
            case Flip():
                parts = _PARTS[operation.part]
                flips.append((operation.poses.keys(), parts))
                _flip_moved_joints(said, flips[-1][0], parts, skeleton)
            case Add():
                _add(said, number, operation, skeleton)
    if flips:
        keys, places = np.unique(np.concatenate([poses for poses, _ in flips]), return_inverse=True)
        bits = np.zeros(len(keys), np.uint8)
        np.bitwise_xor.at(bits, places, np.concatenate([np.full(len(poses), part, np.uint8) for poses, part in flips]))
        said.exchanged, said.exchanged_parts = keys, bits
    return said


def part_of_joint(skeleton: Skeleton) -> np.ndarray:
    """The bit (K,) of the part of the body of each joint; 0 for joints without a mirror image."""
    parts = np.zeros(len(skeleton), np.uint8)
    for joint in np.flatnonzero(skeleton.mirror != np.arange(len(skeleton))).tolist():
        words = skeleton.joints[joint].split("_")
        kinds = {ARMS: _ARM_JOINTS, LEGS: _LEG_JOINTS, FACE: _FACE_JOINTS}
        parts[joint] = next((bit for bit, names in kinds.items() if any(word in names for word in words)), OTHER)
    return parts


def mirror_of_parts(parts: int, skeleton: Skeleton) -> np.ndarray:
    """For every joint (K,) the one whose place it takes when left and right of these parts are exchanged."""
    return np.where(part_of_joint(skeleton) & parts, skeleton.mirror, np.arange(len(skeleton)))


def _key(pose: PoseName) -> int:
    return int(pose_keys(*pose))


def _relink(said: Statements, number: int, operation: Relink) -> None:
    apart = [(_key(earlier), _key(later)) for earlier, later in operation.apart]
    for pair in apart:
        said.unlink(*pair)
        said.apart.pop(pair, None)
        said.apart[pair] = number
    links = {_key(earlier): _key(later) for earlier, later in operation.links}
    for pair in links.items():
        said.link(*pair)
    if operation.op == "swap":
        said.swapped |= {later: links[earlier] for earlier, later in apart if earlier in links}
    _name(said, number, operation.names)


def _name(said: Statements, number: int, names: list[tuple[PoseName, str]] | tuple[tuple[PoseName, str], ...]) -> None:
    for pose, name in names:
        said.names.pop(_key(pose), None)
        if name:
            said.names[_key(pose)] = name, number


def _remove(said: Statements, operation: Remove) -> None:
    """Remove poses; what was stated about them holds for the poses around them."""
    keys = operation.poses.keys()
    said.removed = np.union1d(said.removed, keys)
    pairs = [pose for pair in said.apart for pose in pair]
    stated = np.array([*said.links, *said.sources, *said.names, *pairs], np.int64)
    touched = set(stated[np.isin(stated, keys)].tolist())
    before: dict[int, int | None] = {}
    after: dict[int, int | None] = {}
    for gap in operation.gaps:
        around = [None if pose is None else _key(pose) for pose in (gap.before, gap.after)]
        said.gaps.append((gap.first, gap.last, tuple(pose for pose in around if pose is not None)))
        begin, end = pose_keys([gap.first, gap.last + 1], [-(2**19)] * 2).tolist()
        for pose in touched:
            if begin <= pose < end:
                before[pose], after[pose] = around
    for pose in sorted(touched):
        earlier, later = before.get(pose), after.get(pose)
        linked = pose in said.links or pose in said.sources
        if (heir := earlier if earlier is not None else later) is not None and pose in said.names:
            said.names.setdefault(heir, said.names[pose])
        said.names.pop(pose, None)
        said.unlink(pose, pose)
        if linked and earlier is not None and later is not None:
            said.link(earlier, later)
    for pair in [pair for pair in said.apart if touched.intersection(pair)]:
        number = said.apart.pop(pair)
        heirs = before.get(pair[0]) if pair[0] in touched else pair[0], after.get(pair[1], pair[1])
        if heirs[0] is not None and heirs[1] is not None and heirs[1] not in touched:
            said.apart[heirs[0], heirs[1]] = number


def _flip_moved_joints(said: Statements, keys: np.ndarray, parts: int, skeleton: Skeleton) -> None:
    """Joints moved before a flip are exchanged with the others."""
    moved = np.array(list(said.joints), np.int64)
    mirror = mirror_of_parts(parts, skeleton).tolist()
    for pose in moved[np.isin(moved, keys)].tolist():
        said.joints[pose] = {mirror[joint]: place for joint, place in said.joints[pose].items()}


def _add(said: Statements, number: int, add: Add, skeleton: Skeleton) -> None:
    for name, *_ in add.joints:
        skeleton.index(name)
    key = _key(added_pose(number, add))
    said.added[key] = add
    around = [None if pose is None else _key(pose) for pose in (add.before, add.after)]
    if around[0] is not None:
        said.link(around[0], key)
    if around[1] is not None:
        said.link(key, around[1])
