"""Bones of constant length, and the height of a body.

A skeleton's limbs become a tree of bones that begins at the pelvis. Skeletons without a pelvis or thorax get them here,
as the middles of the hips and of the shoulders. Joints that no limb leads to keep their offset from the pelvis. Ankle,
heel and big toe are a rigid triangle.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from posetrail.joint_mapping import mapped
from posetrail.skeletons import H36M_17, Skeleton

_HIPS, _SHOULDERS = ("left_hip", "right_hip"), ("left_shoulder", "right_shoulder")
_MIDDLES = {"pelvis": _HIPS, "thorax": _SHOULDERS}
_SPINE = (
    ("pelvis", "spine"), ("spine", "thorax"), ("pelvis", "left_hip"), ("pelvis", "right_hip"),
    ("thorax", "left_shoulder"), ("thorax", "right_shoulder"), ("thorax", "neck"), ("neck", "nose"), ("thorax", "nose"),
    ("nose", "head_top"), ("nose", "left_eye"), ("nose", "right_eye"),
)  # fmt: skip
_TRUNK = {*_HIPS, *_SHOULDERS}
_SIDES = ("left", "right")
_FOOT_SHARE = 0.06  # from ankle to sole: 0.1 m of 1.7 m
_LEAST_LENGTH = 1e-6


@dataclass(frozen=True, eq=False)
class Bones:
    """The bones of a skeleton: joints in an order in which each comes after its parent."""

    names: tuple[str, ...]  # of all joints; after those of the skeleton, the middles that it does not have
    middles: tuple[tuple[int, int], ...]  # the two joints of each added middle
    order: tuple[int, ...]  # joints that have a parent, parents first
    parents: np.ndarray  # (K + M,) int64, -1 for the root and for joints that no bone leads to
    root: int
    feet: tuple[tuple[int, int, int], ...]  # ankle, heel, big toe

    @property
    def bone_names(self) -> tuple[str, ...]:
        """The bones as "parent-child", in `order`, then the feet as "heel-toe"."""
        bones = [f"{self.names[self.parents[joint]]}-{self.names[joint]}" for joint in self.order]
        return (*bones, *(f"{self.names[heel]}-{self.names[toe]}" for _, heel, toe in self.feet))

    @property
    def ends(self) -> tuple[np.ndarray, np.ndarray]:
        """The joints at both ends of each bone, in the order of `bone_names`."""
        heels, toes = [heel for _, heel, _ in self.feet], [toe for _, _, toe in self.feet]
        return np.array([*self.parents[list(self.order)], *heels], int), np.array([*self.order, *toes], int)

    def with_middles(self, keypoints: np.ndarray) -> np.ndarray:
        """The joints (T, K, 3) with the middles added (T, K + M, 3)."""
        middles = [(keypoints[:, a] + keypoints[:, b]) / 2 for a, b in self.middles]
        return np.concatenate([keypoints, *(each[:, None] for each in middles)], axis=1)


def bones_of(skeleton: Skeleton) -> Bones:
    """The tree of a skeleton's bones."""
    names, middles = list(skeleton.joints), []
    for middle, pair in _MIDDLES.items():
        if middle not in names and set(pair) <= set(names):
            names.append(middle)
            middles.append((skeleton.index(pair[0]), skeleton.index(pair[1])))
    spine = [edge for edge in _SPINE if set(edge) <= set(names)]
    if "spine" not in names:
        spine.append(("pelvis", "thorax"))
    limbs = [limb for limb in skeleton.limbs if not _closes_a_circle(limb)]
    neighbours: dict[str, list[str]] = {name: [] for name in names}
    for a, b in (*spine, *limbs):
        if a in neighbours and b in neighbours:
            neighbours[a].append(b)
            neighbours[b].append(a)
    root = "pelvis" if "pelvis" in names else names[0]
    parents, order, waiting = np.full(len(names), -1), list[int](), deque([root])
    reached = {root}
    while waiting:
        parent = waiting.popleft()
        for child in neighbours[parent]:
            if child not in reached:
                reached.add(child)
                parents[names.index(child)] = names.index(parent)
                order.append(names.index(child))
                waiting.append(child)
    feet = [tuple(f"{side}_{part}" for part in ("ankle", "heel", "big_toe")) for side in _SIDES]
    rigid = [(names.index(a), names.index(h), names.index(t)) for a, h, t in feet if {a, h, t} <= reached]
    rigid = [(a, h, t) for a, h, t in rigid if parents[h] == a and parents[t] == a]
    return Bones(tuple(names), tuple(middles), tuple(order), parents, names.index(root), tuple(rigid))


def _closes_a_circle(limb: tuple[str, str]) -> bool:
    """Whether a limb connects two corners of the trunk, or a shoulder and the head: no bone does."""
    in_trunk = _TRUNK & set(limb)
    others = [joint for joint in limb if joint not in _TRUNK]
    of_head = any(joint.endswith(("ear", "eye")) or joint == "nose" for joint in others)
    return len(in_trunk) == 2 or bool(in_trunk and of_head)


def bone_lengths(keypoints: np.ndarray, bones: Bones) -> np.ndarray:
    """Lengths (T, B) of the bones, in the order of `bones.bone_names`; NaN where a joint is missing."""
    joints = bones.with_middles(keypoints)
    starts, ends = bones.ends
    return np.linalg.norm(joints[:, ends] - joints[:, starts], axis=2)


def median_lengths(lengths: np.ndarray, confident: np.ndarray) -> np.ndarray:
    """The median (B,) of lengths (T, B) over confident frames (T,), or over all where there is none."""
    chosen = lengths[confident] if confident.any() else lengths
    out = np.full(lengths.shape[1], np.nan)
    for bone in range(lengths.shape[1]):
        known = chosen[np.isfinite(chosen[:, bone]), bone]
        known = known if len(known) else lengths[np.isfinite(lengths[:, bone]), bone]
        out[bone] = np.median(known) if len(known) else np.nan
    return out


def with_lengths(keypoints: np.ndarray, bones: Bones, lengths: np.ndarray) -> np.ndarray:
    """The joints (T, K, 3) re-set along their bones: the directions stay, the lengths are `lengths` (B,).

    The root keeps its place. A heel is turned about its ankle until the sole has its length.
    """
    joints = bones.with_middles(keypoints)
    out = joints.copy()
    for bone, joint in enumerate(bones.order):
        parent = bones.parents[joint]
        offset = joints[:, joint] - joints[:, parent]
        length = np.linalg.norm(offset, axis=1, keepdims=True)
        out[:, joint] = out[:, parent] + lengths[bone] * offset / np.maximum(length, _LEAST_LENGTH)
    length_of = dict(zip(bones.order, lengths, strict=False))
    for (ankle, heel, toe), sole in zip(bones.feet, lengths[len(bones.order) :], strict=True):
        triangle = (length_of[heel], length_of[toe], sole)
        out[:, heel] = out[:, ankle] + _to_heel(out[:, toe] - out[:, ankle], out[:, heel] - out[:, ankle], *triangle)
    return out[:, : keypoints.shape[1]]


def _to_heel(to_toe: np.ndarray, to_heel: np.ndarray, heel_m: float, toe_m: float, sole_m: float) -> np.ndarray:
    """The offset (T, 3) from ankle to heel in the plane of the foot, at the angle of a triangle of these sides."""
    along = to_toe / np.maximum(np.linalg.norm(to_toe, axis=1, keepdims=True), _LEAST_LENGTH)
    across = to_heel - (to_heel * along).sum(axis=1, keepdims=True) * along
    across /= np.maximum(np.linalg.norm(across, axis=1, keepdims=True), _LEAST_LENGTH)
    cosine = np.clip((heel_m**2 + toe_m**2 - sole_m**2) / max(2 * heel_m * toe_m, _LEAST_LENGTH), -1, 1)
    return heel_m * (cosine * along + np.sqrt(1 - cosine**2) * across)


def body_height(keypoints: np.ndarray, skeleton: Skeleton, confident: np.ndarray) -> float:
    """The height of a person from the lengths of the bones between head and ankles; NaN if some are never known.

    Medians over the confident frames (T,). From ankle to sole, 6 % are added, about 0.1 m.

    Args:
        keypoints: (T, K, 3).
        skeleton: of the K joints.
        confident: (T,) bool.
    """
    scores = np.isfinite(keypoints).all(axis=2).astype(float)
    body, _ = mapped(keypoints, scores, skeleton, H36M_17)

    def length(a: str, b: str) -> float:
        lengths = np.linalg.norm(body[:, H36M_17.index(a)] - body[:, H36M_17.index(b)], axis=1)
        return float(median_lengths(lengths[:, None], confident)[0])

    legs = [length(f"{side}_hip", f"{side}_knee") + length(f"{side}_knee", f"{side}_ankle") for side in _SIDES]
    known = [leg for leg in legs if np.isfinite(leg)]
    leg = float(np.mean(known)) if known else float("nan")
    trunk = length("pelvis", "spine") + length("spine", "thorax") + length("thorax", "head_top")
    return (trunk + leg) * (1 + _FOOT_SHARE)
