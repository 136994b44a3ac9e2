"""Joint and segment angles of one person's joints, in the picture or in 3-D, as sports and gait analysis define them.

Angles are measured in the person's sagittal plane: x forward, y up. In 2-D that plane is the picture, mirrored where
the person faces left. In 3-D it is perpendicular to the trunk's lateral axis, which leads from the left to the right
hip and shoulder. Signs and zeros are those of Sports2D (Pagnon and Kim, JOSS 2024), flexion positive; the sign of hip,
knee, ankle and elbow is that of OpenSim's models of the Rajagopal family. docs/how-to/angles.md has the table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from posetrail.skeletons import Skeleton
from tracker.lifting.body_points import BodyPoints

SIDES = ("left", "right")
JOINT_ANGLES = ("ankle", "knee", "hip", "shoulder", "elbow", "wrist")
SIDE_SEGMENTS = ("foot", "shank", "thigh", "arm", "forearm")
SEGMENTS = ("pelvis", "shoulders", "trunk", "head")
_MIN_HORIZONTAL = np.sin(np.radians(10.0))  # of the lateral axis: below it, no direction is forward
_MAX_ABDUCTION_DEG = 80.0  # beyond it, flexion and extension of a limb are hardly different


@dataclass(frozen=True)
class _Chain:
    """A joint angle: from the direction of one segment to that of the next."""

    first: tuple[str, str]  # points that the segment leads from and to
    second: tuple[str, str]
    sign: int  # of flexion where anticlockwise is positive
    zero_deg: float = 0.0  # the angle is sign * (anticlockwise angle - zero)
    least_deg: float = -180.0  # angles are between this and 360 degrees more


_CHAINS = {
    "ankle": _Chain(("heel", "toe"), ("ankle", "knee"), -1, zero_deg=90.0),
    "knee": _Chain(("hip", "knee"), ("knee", "ankle"), -1),
    "hip": _Chain(("shoulder", "hip"), ("hip", "knee"), 1),
    "shoulder": _Chain(("shoulder", "hip"), ("shoulder", "elbow"), 1, least_deg=-90.0),
    "elbow": _Chain(("shoulder", "elbow"), ("elbow", "wrist"), 1),
    "wrist": _Chain(("elbow", "wrist"), ("wrist", "hand"), 1),
}
_HINGES = ("ankle", "knee", "elbow", "wrist")  # in 3-D: the angle between two segments, in whichever plane
_SEGMENTS = {
    "foot": (("heel", "toe"), -180.0),
    "shank": (("ankle", "knee"), -90.0),
    "thigh": (("knee", "hip"), -90.0),
    "arm": (("elbow", "shoulder"), -90.0),
    "forearm": (("wrist", "elbow"), -90.0),
}
_MIDDLE_SEGMENTS = {"trunk": ("hips", "shoulders"), "head": ("shoulders", "head")}


def angles_2d(keypoints: np.ndarray, skeleton: Skeleton, facing: np.ndarray) -> dict[str, np.ndarray]:
    """Angles in the picture.

    Args:
        keypoints: (T, K, 2) pixels, x right, y down, NaN where missing.
        skeleton: of the K joints.
        facing: (T,) 1 where the person faces the right side of the picture, -1 the left.

    Returns:
        Degrees (T,) by column name, such as "knee_left_deg"; NaN where a joint is missing. Angles whose joints the
        skeleton does not have are left out.
    """
    points = BodyPoints(keypoints, skeleton)
    turned = np.stack([facing, -np.ones(len(facing))], axis=1)

    def sagittal(vectors: np.ndarray) -> np.ndarray:
        return vectors * turned

    out = {}
    for name, side, chain in _chains(points):
        out[f"{name}_{side}_deg"] = _flexion(points, side, chain, sagittal)
    out |= _segment_angles(points, sagittal)
    for name, line in (("pelvis", "hip"), ("shoulders", "shoulder")):
        if points.has("left", line):
            across = points.at("right", line) - points.at("left", line)
            out[f"{name}_deg"] = np.degrees(np.arctan2(-across[:, 1], np.abs(across[:, 0])))
    return _in_order(out)


def angles_3d(
    keypoints: np.ndarray, skeleton: Skeleton, up: tuple[float, float, float] = (0.0, -1.0, 0.0)
) -> dict[str, np.ndarray]:
    """Angles of joints in space.

    Ankle, knee, elbow and wrist are angles between segments. Hip and shoulder are split, as in OpenSim, into flexion in
    the sagittal plane of the trunk and abduction out of it. Segments are projected onto the sagittal plane.

    Args:
        keypoints: (T, K, 3) in a right-handed system, NaN where missing.
        skeleton: of the K joints.
        up: the vertical direction. The default is that of a level camera: x right, y down, z away.

    Returns:
        Degrees (T,) by column name, as from `angles_2d`, with "hip_abduction_left_deg" and the like beside them.
    """
    points = BodyPoints(keypoints, skeleton)
    out = {}
    for name, side, chain in _chains(points):
        if name in _HINGES:
            out[f"{name}_{side}_deg"] = _between(
                points.vector(side, chain.first), points.vector(side, chain.second), chain
            )
    if not (points.has("left", "hip") and points.has("left", "shoulder")):
        return _in_order(out)
    lateral = _unit(_across(points))
    vertical = np.broadcast_to(np.array(up, float), lateral.shape)
    trunk = points.middle("shoulders") - points.middle("hips")
    to_body, to_world = _plane(lateral, trunk), _plane(lateral, vertical)
    for name, side, chain in _chains(points):
        if name in ("hip", "shoulder"):
            limb = _unit(points.vector(side, chain.second))
            outwards = (limb * lateral).sum(axis=1) * (1 if side == "right" else -1)
            abduction = np.degrees(np.arcsin(np.clip(outwards, -1, 1)))
            down = np.array([[0.0, -1.0]])
            flexion = _anticlockwise(np.broadcast_to(down, (len(limb), 2)), to_body(limb))
            flexion = _wrapped(flexion, chain.least_deg)
            out[f"{name}_{side}_deg"] = np.where(np.abs(abduction) > _MAX_ABDUCTION_DEG, np.nan, flexion)
            out[f"{name}_abduction_{side}_deg"] = abduction
    is_upright = np.linalg.norm(np.cross(lateral, vertical), axis=1) < _MIN_HORIZONTAL
    out |= {name: np.where(is_upright, np.nan, degrees) for name, degrees in _segment_angles(points, to_world).items()}
    for name, line in (("pelvis", "hip"), ("shoulders", "shoulder")):
        across = _unit(points.at("right", line) - points.at("left", line))
        out[f"{name}_deg"] = np.degrees(np.arcsin(np.clip((across * vertical).sum(axis=1), -1, 1)))
    level = _unit(lateral - (lateral * vertical).sum(axis=1, keepdims=True) * vertical)
    leaning = (_unit(trunk) * level).sum(axis=1)
    out["trunk_lateral_deg"] = np.where(is_upright, np.nan, np.degrees(np.arcsin(np.clip(leaning, -1, 1))))
    return _in_order(out)


def _chains(points: BodyPoints) -> list[tuple[str, str, _Chain]]:
    """The joint angles that the skeleton has, with their sides."""
    return [
        (name, side, chain)
        for name, chain in _CHAINS.items()
        for side in SIDES
        if points.has(side, *chain.first, *chain.second)
    ]


def _flexion(points: BodyPoints, side: str, chain: _Chain, sagittal: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    first, second = (sagittal(points.vector(side, segment)) for segment in (chain.first, chain.second))
    return _wrapped(chain.sign * (_anticlockwise(first, second) - chain.zero_deg), chain.least_deg)


def _between(first: np.ndarray, second: np.ndarray, chain: _Chain) -> np.ndarray:
    """The angle between two directions, with the zero of the chain."""
    cosine = (_unit(first) * _unit(second)).sum(axis=1)
    degrees = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
    return chain.zero_deg - degrees if chain.zero_deg else degrees


def _segment_angles(points: BodyPoints, sagittal: Callable[[np.ndarray], np.ndarray]) -> dict[str, np.ndarray]:
    """Angles of segments to the horizontal, anticlockwise for a person who faces right."""
    out = {}
    for name, (ends, least_deg) in _SEGMENTS.items():
        for side in SIDES:
            if points.has(side, *ends):
                out[f"{name}_{side}_deg"] = _inclination(sagittal(points.vector(side, ends)), least_deg)
    for name, (start, end) in _MIDDLE_SEGMENTS.items():
        if points.has_middle(start) and points.has_middle(end):
            out[f"{name}_deg"] = _inclination(sagittal(points.middle(end) - points.middle(start)), -90.0)
    return out


def _across(points: BodyPoints) -> np.ndarray:
    """From left to right (T, 3): hips and shoulders together, as the hips alone are close to each other."""
    hips, shoulders = (points.at("right", line) - points.at("left", line) for line in ("hip", "shoulder"))
    return hips + shoulders


def _plane(lateral: np.ndarray, up: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Projects vectors (T, 3) onto the plane perpendicular to `lateral`: forward and up (T, 2)."""
    upwards = _unit(up - (up * lateral).sum(axis=1, keepdims=True) * lateral)
    forward = np.cross(upwards, lateral)
    return lambda vectors: np.stack([(vectors * forward).sum(axis=1), (vectors * upwards).sum(axis=1)], axis=1)


def _anticlockwise(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Degrees from one direction (T, 2) to another, -180..180."""
    cross = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]
    return np.where(
        _lengths(first) * _lengths(second) > 0, np.degrees(np.arctan2(cross, (first * second).sum(axis=1))), np.nan
    )


def _inclination(vectors: np.ndarray, least_deg: float) -> np.ndarray:
    degrees = np.degrees(np.arctan2(vectors[:, 1], vectors[:, 0]))
    return np.where(_lengths(vectors) > 0, _wrapped(degrees, least_deg), np.nan)


def _wrapped(degrees: np.ndarray, least: float) -> np.ndarray:
    """Angles as between `least`, exclusive, and 360 degrees more, inclusive."""
    return least + 360 - np.mod(least + 360 - degrees, 360)


def _lengths(vectors: np.ndarray) -> np.ndarray:
    return np.linalg.norm(vectors, axis=-1)


def _unit(vectors: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return vectors / _lengths(vectors)[:, None]


def _in_order(angles: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The columns joint by joint, then segment by segment."""
    order = []
    for name in JOINT_ANGLES:
        order += [f"{name}_{side}_deg" for side in SIDES]
        order += [f"{name}_abduction_{side}_deg" for side in SIDES]
    order += [f"{name}_{side}_deg" for name in SIDE_SEGMENTS for side in SIDES]
    order += [*(f"{name}_deg" for name in SEGMENTS), "trunk_lateral_deg"]
    return {name: angles[name] for name in order if name in angles}
