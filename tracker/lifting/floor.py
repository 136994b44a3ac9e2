"""The floor under the people: a plane through the lowest points of their ankles, and axes that it levels."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from posetrail.errors import InputError
from tracker.tracks3d import Tracks3D

_BIN_S = 0.5
_ANKLE_M = 0.08  # height of an ankle above the sole
_MIN_POINTS = 3
_LEAST_SPREAD_M = 0.1  # standard deviation of the points along an axis of the plane, below which it stays level
_MAX_TILT = np.cos(np.radians(45))
_ROUNDS, _OUTLIER_M = 20, 0.05


@dataclass(frozen=True, eq=False)
class Floor:
    """A plane: points p with `normal` . p = `offset`; the normal points up (the camera's y is down)."""

    normal: np.ndarray  # (3,) unit
    offset: float


def floor_of(tracks: Tracks3D) -> Floor:
    """Fit a plane to the lowest ankle of each person in each half second, against outliers.

    Where all those points lie on one line, the floor is level across it; at one place, it is level for the camera.

    Raises:
        InputError: the skeleton has no ankles, or fewer than three such points are known.
    """
    points = _low_points(tracks)
    if len(points) < _MIN_POINTS:
        raise InputError("--floor: expected ankles in at least 1.5 s of the tracks, got fewer; leave --floor out")
    weights = np.ones(len(points))
    normal, centre = np.array([0.0, -1.0, 0.0]), points.mean(axis=0)
    for _ in range(_ROUNDS):
        centre = weights @ points / weights.sum()
        normal = _normal(points - centre, weights)
        weights = 1 / (1 + (((points - centre) @ normal) / _OUTLIER_M) ** 2)
    return Floor(normal, float(normal @ centre) - _ANKLE_M)


def _low_points(tracks: Tracks3D) -> np.ndarray:
    names = [name for name in ("left_ankle", "right_ankle") if name in tracks.skeleton.joints]
    if not names:
        raise InputError("--floor: expected a skeleton with ankles; leave --floor out")
    ankles = tracks.keypoints[:, [tracks.skeleton.index(name) for name in names]].astype(float)
    points = []
    for track_id in np.unique(tracks.track_ids):
        of = (tracks.track_ids == track_id) & ~tracks.cut_off & ~tracks.interpolated
        bins = (tracks.times_s[of] / _BIN_S).astype(int)
        for each in np.unique(bins):
            here = ankles[of][bins == each].reshape(-1, 3)
            here = here[np.isfinite(here).all(axis=1)]
            if len(here):
                points.append(here[here[:, 1].argmax()])  # y is down
    return np.array(points).reshape(-1, 3)


def _normal(points: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The upward normal of the plane y = a x + b z, its slopes shrunk where the points do not extend."""
    ground = points[:, [0, 2]]
    shares = weights[:, None] * ground / weights.sum()
    slopes = np.linalg.solve(shares.T @ ground + _LEAST_SPREAD_M**2 * np.eye(2), shares.T @ points[:, 1])
    normal = np.array([slopes[0], -1.0, slopes[1]])
    normal /= np.linalg.norm(normal)
    return normal if -normal[1] >= _MAX_TILT else np.array([0.0, -1.0, 0.0])


def on_floor(tracks: Tracks3D, floor: Floor) -> Tracks3D:
    """The tracks in level axes: x right, y down, z away from the camera; y is 0 on the floor, x and z at the camera."""
    down = -floor.normal
    away = np.array([0.0, 0.0, 1.0])
    away = away - down * (away @ down)
    away /= np.linalg.norm(away)
    axes = np.stack([np.cross(down, away), down, away])

    def turned(points: np.ndarray) -> np.ndarray:
        return points.astype(float) @ axes.T + np.array([0.0, floor.offset, 0.0])

    return replace(tracks, keypoints=turned(tracks.keypoints), roots=turned(tracks.roots))
