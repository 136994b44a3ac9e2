"""One person's joints as movement: speeds, the side they face, and their size in the picture."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from posetrail.skeletons import Skeleton
from tracker.lifting.body_points import BodyPoints

ANKLE_TO_SHOULDER = 0.818 - 0.039
"""Of the body height: heights of shoulder and ankle (Winter, Biomechanics and Motor Control of Human Movement, 4th ed.,
figure 4.1, after Drillis and Contini 1966)."""
_FACING_WINDOW_S = 1.0  # over which the side is averaged: a turn takes about as long
_MIN_UPRIGHT = 5  # frames for a median
_MAX_BEND_DEG = 35.0  # of knees and hips of an upright person
_MAX_LEAN_DEG = 30.0  # of their trunk
_FALLBACK_PERCENTILE = 90.0  # foreshortening makes people smaller than they are


class BodySize(NamedTuple):
    """A person's height in the unit of the joints."""

    height: float  # NaN: not one frame has both legs and the trunk
    num_upright: int  # frames whose median it is; 0: the 90th percentile over all frames


def speeds(points: np.ndarray, times_s: np.ndarray) -> np.ndarray:
    """Speeds (T, P) of points (T, P, D): central differences, one-sided next to a gap; NaN for a point alone.

    Args:
        points: in successive frames, NaN where missing.
        times_s: (T,) seconds.
    """
    steps, durations = np.diff(points, axis=0), np.diff(times_s)
    nothing = np.full((1, *points.shape[1:]), np.nan)
    before, after = np.concatenate([nothing, steps]), np.concatenate([steps, nothing])
    shape = (-1, *[1] * (points.ndim - 1))
    before_s, after_s = (np.pad(durations, pad).reshape(shape) for pad in ((1, 0), (0, 1)))
    with np.errstate(divide="ignore", invalid="ignore"):
        both = (before + after) / (before_s + after_s)
        one = np.where(np.isfinite(before), before / before_s, after / after_s)
    velocity = np.where(np.isfinite(both), both, one)
    return np.linalg.norm(np.where(np.isfinite(velocity), velocity, np.nan), axis=-1)


def facing(keypoints: np.ndarray, skeleton: Skeleton, times_s: np.ndarray) -> np.ndarray:
    """Which side of the picture a person faces: 1 right, -1 left (T,).

    Toes are before heels, the nose is before the ears, and knees bend forward. What they say, measured at right angles
    to shank, trunk and leg, is averaged over a second around each frame, so that a person who turns changes sides once.
    A somersault is no change of side. Frames without evidence take the side of those before them.

    Args:
        keypoints: (T, K, 2) pixels, NaN where missing.
        skeleton: of the K joints.
        times_s: (T,) seconds.
    """
    evidence = facing_evidence(keypoints, skeleton)
    sums = np.concatenate([[0.0], np.cumsum(evidence)])
    begin = np.searchsorted(times_s, times_s - _FACING_WINDOW_S / 2, side="left")
    end = np.searchsorted(times_s, times_s + _FACING_WINDOW_S / 2, side="right")
    around = sums[end] - sums[begin]
    known = np.flatnonzero(around)
    if not len(known):
        return np.ones(len(times_s))
    last = known[np.maximum(np.searchsorted(known, np.arange(len(times_s)), side="right") - 1, 0)]
    return np.sign(around[last])


def facing_evidence(keypoints: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """How far toes, nose and knees are to the right of heels, ears and legs (T,), in trunk lengths."""
    points = BodyPoints(keypoints, skeleton)
    parts = []
    for side in ("left", "right"):
        if points.has(side, "hip", "knee", "ankle"):
            parts.append(_ahead(points.vector(side, ("hip", "ankle")), points.vector(side, ("hip", "knee"))))
        if points.has(side, "knee", "ankle", "heel", "toe"):
            parts.append(_ahead(points.vector(side, ("knee", "ankle")), points.vector(side, ("heel", "toe"))))
    if not (points.has_middle("hips") and points.has_middle("shoulders")):
        return np.zeros(len(keypoints))
    trunk = points.middle("hips") - points.middle("shoulders")
    if {"nose", "left_ear", "right_ear"} <= set(skeleton.joints):
        ears = (keypoints[:, skeleton.index("left_ear")] + keypoints[:, skeleton.index("right_ear")]) / 2
        parts.append(_ahead(trunk, keypoints[:, skeleton.index("nose")] - ears))
    lengths = np.linalg.norm(trunk, axis=1)
    size = float(np.median(lengths[np.isfinite(lengths)])) if np.isfinite(lengths).any() else 0.0
    return np.nansum(parts, axis=0) / size if parts and size > 0 else np.zeros(len(keypoints))


def breadth(keypoints: np.ndarray, skeleton: Skeleton) -> float:
    """Distance of the shoulders in trunk lengths: about 0.2 from the side, 0.7 from the front; NaN if unknown."""
    points = BodyPoints(keypoints, skeleton)
    if not (points.has_middle("hips") and points.has_middle("shoulders")):
        return float("nan")
    across = np.linalg.norm(points.at("right", "shoulder") - points.at("left", "shoulder"), axis=1)
    trunk = np.linalg.norm(points.middle("hips") - points.middle("shoulders"), axis=1)
    known = np.isfinite(across) & (trunk > 0)
    return float(np.median(across[known]) / np.median(trunk[known])) if known.any() else float("nan")


def body_size(keypoints: np.ndarray, skeleton: Skeleton) -> BodySize:
    """A person's height in the unit of the joints, from the length of legs and trunk.

    In each frame, shank, thigh (mean of both sides) and trunk together are `ANKLE_TO_SHOULDER` of the height. The
    result is the median over frames in which the person stands upright: knees and hips bent by less than 35 degrees,
    the trunk within 30 degrees of the vertical. With fewer than five of them, it is the 90th percentile over all.

    Args:
        keypoints: (T, K, 2) pixels, or (T, K, 3) metres with y down; NaN where missing.
        skeleton: of the K joints.
    """
    points = BodyPoints(keypoints, skeleton)
    if not (
        all(points.has(side, "hip", "knee", "ankle") for side in ("left", "right")) and points.has_middle("shoulders")
    ):
        return BodySize(float("nan"), 0)
    trunk = points.middle("hips") - points.middle("shoulders")
    legs, upright = [], trunk[:, 1] > np.cos(np.radians(_MAX_LEAN_DEG)) * np.linalg.norm(trunk, axis=1)
    for side in ("left", "right"):
        thigh, shank = points.vector(side, ("hip", "knee")), points.vector(side, ("knee", "ankle"))
        legs.append(np.linalg.norm(thigh, axis=1) + np.linalg.norm(shank, axis=1))
        upright &= (_bend(thigh, shank) < _MAX_BEND_DEG) & (_bend(trunk, thigh) < _MAX_BEND_DEG)
    heights = (np.mean(legs, axis=0) + np.linalg.norm(trunk, axis=1)) / ANKLE_TO_SHOULDER
    known = np.isfinite(heights) & (heights > 0)
    if not known.any():
        return BodySize(float("nan"), 0)
    upright &= known
    if upright.sum() >= _MIN_UPRIGHT:
        return BodySize(float(np.median(heights[upright])), int(upright.sum()))
    return BodySize(float(np.percentile(heights[known], _FALLBACK_PERCENTILE)), 0)


def _ahead(down: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """How far vectors (T, 2) lead to the right of a direction (T, 2) that leads down the body."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return (down[:, 1] * vectors[:, 0] - down[:, 0] * vectors[:, 1]) / np.linalg.norm(down, axis=1)


def _bend(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Degrees (T,) between two directions."""
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.degrees(np.arccos(np.clip((first * second).sum(axis=1) / lengths, -1, 1)))
