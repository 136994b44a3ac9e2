"""Doubtful joints: outliers of single joints, and left and right exchanged over a stretch of frames.

A joint is compared with the median of the track's six neighbouring poses, each moved along with the body. An exchange
of left and right begins and ends with a link over which the mirrored joints fit better than the joints themselves.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from posetrail.similarity import median_offsets
from posetrail.skeletons import Skeleton
from tracker.association.suspect_tracks import Chains
from tracker.association.suspect_weights import Parts

_NEIGHBOURS = 3  # poses before and after
_MIN_NEIGHBOURS = 3  # of the six, with the joint
_MAX_APART_S = 0.4  # poses farther apart in time say nothing about a joint
_LARGEST_RESIDUAL = 1.0  # body sizes
_AT_A_TIME = 10_000
_MIRRORED, _MIN_ADVANTAGE = 0.75, 0.03  # mirrored joints fit better by this factor, and by these body sizes
_LONGEST_FLIP_S = 1.0
_MIN_PAIRED_JOINTS = 4  # in both poses, to tell the sides apart
_LEGS = ("hip", "knee", "ankle", "heel", "toe", "foot")
_ARMS = ("shoulder", "elbow", "wrist", "hand", "thumb", "finger")


@dataclass(frozen=True, eq=False)
class Residuals:
    """The joints of all tracked poses."""

    distances: np.ndarray  # (T, K) float32 body sizes from where the neighbouring poses have it; NaN where unknown
    limbs: np.ndarray  # (T, K) float32 logarithm by which the joint's limbs differ from their median length; 0: unknown


def joint_residuals(chains: Chains, skeleton: Skeleton) -> Residuals:
    """Compare the joints of every tracked pose with those of the neighbouring poses of its track."""
    T, K = len(chains.order), chains.poses.keypoints.shape[1]
    distances = np.full((T, K), np.nan, np.float32)
    for start in range(0, T, _AT_A_TIME):
        places = np.arange(start, min(start + _AT_A_TIME, T))
        distances[places] = _distances(chains, places)
    return Residuals(distances, _limb_changes(chains, skeleton))


def _distances(chains: Chains, places: np.ndarray) -> np.ndarray:
    """Distances (P, K) in body sizes of the joints from the median of the neighbouring poses."""
    around, inside = chains.around(places, _NEIGHBOURS, _NEIGHBOURS)
    others = np.arange(2 * _NEIGHBOURS + 1) != _NEIGHBOURS
    around, inside = around[:, others], inside[:, others]
    inside &= np.abs(chains.times_s[around] - chains.times_s[places][:, None]) <= _MAX_APART_S
    poses = chains.poses
    own, neighbours = poses.keypoints[chains.order[places]], poses.keypoints[chains.order[around]]
    offsets = own[:, None] - neighbours  # (P, 6, K, 2)
    offsets[~inside] = np.nan
    P, N, K, _ = offsets.shape
    moved, enough = median_offsets(offsets.reshape(P * N, K, 2))
    moved[~enough] = np.nan
    offsets -= moved.reshape(P, N, 1, 2)
    count = np.isfinite(offsets[..., 0]).sum(axis=1)  # (P, K)
    ordered = np.sort(offsets, axis=1)  # NaN last
    last = np.maximum(count - 1, 0)[:, None, :, None]
    low, high = (np.take_along_axis(ordered, each, axis=1)[:, 0] for each in (last // 2, (last + 1) // 2))
    distance = np.linalg.norm((low + high) / 2, axis=2) / poses.sizes[chains.order[places]][:, None]
    return np.where(count >= _MIN_NEIGHBOURS, np.minimum(distance, _LARGEST_RESIDUAL), np.nan)


def _limb_changes(chains: Chains, skeleton: Skeleton) -> np.ndarray:
    """The largest change (T, K) of the length of a joint's limbs against the median of the track, as a logarithm."""
    limbs, poses = skeleton.limb_indices, chains.poses
    changes = np.zeros((len(chains.order), len(skeleton)), np.float32)
    for first, last in zip(chains.bounds[:-1], chains.bounds[1:], strict=True):
        rows = chains.order[first:last]
        if len(rows) < 2 * _NEIGHBOURS or not len(limbs):
            continue
        sides = poses.keypoints[rows][:, limbs[:, 0]] - poses.keypoints[rows][:, limbs[:, 1]]
        lengths = np.log(np.maximum(np.linalg.norm(sides, axis=2) / poses.sizes[rows][:, None], 1e-3))
        known = np.isfinite(lengths)
        median = np.array(
            [np.median(each[have]) if have.any() else 0.0 for each, have in zip(lengths.T, known.T, strict=True)]
        )
        off = np.where(known, np.abs(lengths - median), 0.0)
        for limb, (a, b) in enumerate(limbs.tolist()):
            for joint in (a, b):
                np.maximum(changes[first:last, joint], off[:, limb], out=changes[first:last, joint])
    return changes


def joint_parts(residuals: Residuals, places: np.ndarray, joints: np.ndarray) -> Parts:
    """The parts of the doubt of these joints (P,) of these poses (P,)."""
    distances = residuals.distances[places, joints]
    return {
        "residual": np.log(np.maximum(distances, 0.01) / 0.1),
        "limb": np.minimum(residuals.limbs[places, joints], 1.5),
    }


@dataclass(frozen=True, eq=False)
class Flips:
    """Stretches of poses whose left and right are exchanged: P of them."""

    first: np.ndarray  # (P,) place of the first pose of the stretch
    last: np.ndarray  # (P,) and of the last one
    limbs: list[str]  # "arms", "legs" or "face"
    parts: Parts


def measured_flips(chains: Chains, skeleton: Skeleton) -> Flips:
    """Find stretches of at most a second over which the mirrored joints fit the poses around them better."""
    first, last, limbs, advantages, apart = [], [], [], [], []
    for name, joints in _groups(skeleton).items():
        straight, mirrored = _costs(chains, chains.links, chains.links + 1, joints, skeleton.mirror)
        toggles = (mirrored < _MIRRORED * straight) & (straight - mirrored > _MIN_ADVANTAGE)
        at = chains.links[toggles]
        advantage = (straight - mirrored)[toggles] / np.maximum((straight + mirrored)[toggles], 1e-6)
        k = 0
        while k + 1 < len(at):
            a, b = at[k], at[k + 1] + 1  # the poses around the stretch
            if chains.track[a] != chains.track[b] or chains.times_s[b] - chains.times_s[a] > _LONGEST_FLIP_S:
                k += 1
                continue
            around = _costs(chains, at[[k]], at[[k + 1]] + 1, joints, skeleton.mirror)
            if not around[0][0] <= around[1][0]:  # NaN: unknown
                k += 1
                continue
            first.append(a + 1)
            last.append(b - 1)
            limbs.append(name)
            advantages.append(min(advantage[k], advantage[k + 1]))
            apart.append(min(straight[toggles][k], straight[toggles][k + 1]))
            k += 2
    parts = {
        "advantage": np.array(advantages),
        "apart": np.minimum(np.array(apart), 0.5),
        "frames": np.log(np.array(last, float) - np.array(first) + 1),
    }
    return Flips(np.array(first, int), np.array(last, int), limbs, parts)


def _groups(skeleton: Skeleton) -> dict[str, np.ndarray]:
    """The joints (J,) of arms, legs and face that have a mirror image."""
    groups: dict[str, list[int]] = {}
    for k, name in enumerate(skeleton.joints):
        if skeleton.mirror[k] != k:
            kind = (
                "legs"
                if any(each in name for each in _LEGS)
                else "arms"
                if any(each in name for each in _ARMS)
                else "face"
            )
            groups.setdefault(kind, []).append(k)
    return {kind: np.array(joints) for kind, joints in groups.items() if len(joints) >= _MIN_PAIRED_JOINTS}


def _costs(
    chains: Chains, earlier: np.ndarray, later: np.ndarray, joints: np.ndarray, mirror: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mean distances (2, P) in body sizes between the joints of two poses: as they are, and one of them mirrored."""
    costs = np.full((2, len(earlier)), np.nan)
    poses = chains.poses
    for start in range(0, len(earlier), _AT_A_TIME):
        block = slice(start, start + _AT_A_TIME)
        a, b = chains.order[earlier[block]], chains.order[later[block]]
        before, after = poses.keypoints[a], poses.keypoints[b]
        # The body's motion must not depend on the exchange: joints and mirrored joints have the same mean.
        moved, _ = median_offsets(_paired_means(after, mirror) - _paired_means(before, mirror))
        size = np.sqrt(poses.sizes[a] * poses.sizes[b])[:, None]
        for cost, other in zip(costs, (joints, mirror[joints]), strict=True):
            distance = np.linalg.norm(after[:, other] - before[:, joints] - moved[:, None], axis=2) / size
            both = np.isfinite(distance) & np.isfinite(after[:, joints, 0]) & np.isfinite(after[:, mirror[joints], 0])
            count = both.sum(axis=1)
            mean = np.where(both, distance, 0.0).sum(axis=1) / np.maximum(count, 1)
            cost[block] = np.where(count >= _MIN_PAIRED_JOINTS, mean, np.nan)
    return costs[0], costs[1]


def _paired_means(keypoints: np.ndarray, mirror: np.ndarray) -> np.ndarray:
    """(P, K, 2) the middle between each joint and its mirror image."""
    return (keypoints + keypoints[:, mirror]) / 2
