"""Joint positions to joint rotations, as BVH files hold them.

The rest pose has the bones of median length, arms and legs along the axes of a standing person. Each joint's rotation
is the smallest one that turns its bones of the rest pose to those seen; where a joint has several, the best fit to all
of them. The twist of a bone about itself cannot be known from positions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from posetrail.skeletons import Skeleton
from tracker.lifting.bones import Bones, bone_lengths, bones_of, median_lengths


@dataclass(frozen=True, eq=False)
class Motion:
    """The motion of one person about a skeleton of constant bones, y up."""

    names: tuple[str, ...]  # of the J joints, parents first
    parents: tuple[int, ...]  # (J,), -1 for the root
    offsets: np.ndarray  # (J, 3) metres, from the parent in the rest pose
    roots: np.ndarray  # (F, 3) metres
    rotations: np.ndarray  # (F, J, 3, 3), of each joint relative to its parent


def motion_of(keypoints: np.ndarray, skeleton: Skeleton) -> Motion:
    """The motion of one person.

    Args:
        keypoints: (F, K, 3) metres, y up; all joints of at least one frame are known. Missing poses are held.
        skeleton: of the K joints.
    """
    bones = bones_of(skeleton)
    joints = bones.with_middles(_held(keypoints))
    order = (bones.root, *bones.order)
    place = {joint: i for i, joint in enumerate(order)}
    parents = tuple(-1 if joint == bones.root else place[int(bones.parents[joint])] for joint in order)
    offsets = _rest_offsets(joints, bones, skeleton, order, parents)
    seen = joints[:, list(order)]
    F, J = seen.shape[:2]
    absolute, local = np.zeros((F, J, 3, 3)), np.zeros((F, J, 3, 3))
    for j in range(J):
        children = [c for c in range(J) if parents[c] == j]
        above = absolute[:, parents[j]] if parents[j] >= 0 else np.broadcast_to(np.eye(3), (F, 3, 3))
        if children:
            absolute[:, j] = _fit(offsets[children], seen[:, children] - seen[:, [j]], above)
        else:
            absolute[:, j] = above
        local[:, j] = np.swapaxes(above, 1, 2) @ absolute[:, j]
    return Motion(tuple(bones.names[joint] for joint in order), parents, offsets, seen[:, 0], local)


def positions_of(motion: Motion) -> np.ndarray:
    """The joints (F, J, 3) that the rotations lead to."""
    F, J = motion.rotations.shape[:2]
    places, turns = np.zeros((F, J, 3)), np.zeros((F, J, 3, 3))
    for j, parent in enumerate(motion.parents):
        if parent < 0:
            places[:, j], turns[:, j] = motion.roots, motion.rotations[:, j]
        else:
            places[:, j] = places[:, parent] + turns[:, parent] @ motion.offsets[j]
            turns[:, j] = turns[:, parent] @ motion.rotations[:, j]
    return places


def _held(keypoints: np.ndarray) -> np.ndarray:
    """Missing joints where they were last, or where they are first."""
    out = keypoints.astype(float).copy()
    for k in range(out.shape[1]):
        known = np.flatnonzero(np.isfinite(out[:, k]).all(axis=1))
        if len(known):
            last = np.clip(np.searchsorted(known, np.arange(len(out)), side="right") - 1, 0, None)
            out[:, k] = out[known[last], k]
        else:
            out[:, k] = 0.0
    return out


def _rest_offsets(
    joints: np.ndarray, bones: Bones, skeleton: Skeleton, order: tuple[int, ...], parents: tuple[int, ...]
) -> np.ndarray:
    lengths = median_lengths(bone_lengths(joints[:, : len(skeleton)], bones), np.ones(len(joints), bool))
    offsets = np.zeros((len(order), 3))
    for i in range(1, len(order)):
        name, parent = bones.names[order[i]], bones.names[order[parents[i]]]
        offsets[i] = np.nan_to_num(lengths[i - 1]) * _rest_direction(name, parent)
    return offsets


def _rest_direction(name: str, parent: str) -> np.ndarray:
    """The direction of a bone of a person who stands facing +z, y up, arms to the sides; the person's left is +x."""
    side = 1.0 if name.startswith("left_") else -1.0 if name.startswith("right_") else 0.0
    part = name.split("_", 1)[1] if side else name
    if part in ("hip", "shoulder", "elbow", "wrist", "thumb", "index", "little"):
        direction = np.array([side, 0.0, 0.3 if part == "thumb" else -0.2 if part == "little" else 0.0])
    elif part in ("knee", "ankle"):
        direction = np.array([0.0, -1.0, 0.0])
    elif part == "heel":
        direction = np.array([0.0, -0.8, -0.6])
    elif part.endswith("toe"):
        direction = np.array([0.0, -0.4, 1.0])
    elif parent in ("nose", "left_eye", "right_eye", "left_eye_inner", "right_eye_inner"):
        direction = np.array([side, 0.3, -0.3])
    else:
        direction = np.array([0.0, 1.0, 0.3 if part == "nose" else 0.0])
    return direction / np.linalg.norm(direction)


def _fit(rest: np.ndarray, seen: np.ndarray, above: np.ndarray) -> np.ndarray:
    """The rotations (F, 3, 3) that turn bones at rest (C, 3) to those seen (F, C, 3).

    For bones along one line the smallest turn from the parent's rotation; else the best fit (Kabsch, Acta Cryst. 1976).
    """
    if np.linalg.matrix_rank(rest, tol=1e-6) >= 2:
        u, _, vt = np.linalg.svd(np.einsum("fci,cj->fij", seen, rest))
        sign = np.linalg.det(u @ vt)
        u[:, :, 2] *= sign[:, None]
        return u @ vt
    now = np.einsum("fij,j->fi", above, rest.sum(axis=0) if len(rest) == 1 else rest[0])
    return _smallest_turn(now, seen[:, 0]) @ above


def _smallest_turn(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The smallest rotations (F, 3, 3) that turn a (F, 3) to the direction of b (F, 3)."""
    a = a / np.maximum(np.linalg.norm(a, axis=1, keepdims=True), 1e-12)
    b = b / np.maximum(np.linalg.norm(b, axis=1, keepdims=True), 1e-12)
    v, c = np.cross(a, b), (a * b).sum(axis=1)
    out = np.zeros((len(a), 3, 3))
    out[:, 0, 1], out[:, 0, 2], out[:, 1, 2] = -v[:, 2], v[:, 1], -v[:, 0]
    out -= np.swapaxes(out, 1, 2)
    turn = np.eye(3) + out + out @ out / np.maximum(1 + c, 1e-9)[:, None, None]
    opposite = c < -1 + 1e-6
    if opposite.any():  # half a turn about any axis across
        across = np.cross(a[opposite], np.eye(3)[np.abs(a[opposite]).argmin(axis=1)])
        across /= np.linalg.norm(across, axis=1, keepdims=True)
        turn[opposite] = 2 * across[:, :, None] * across[:, None, :] - np.eye(3)
    return turn
