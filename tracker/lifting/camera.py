"""The pinhole camera: projection, where a pose stands before it, and changes between camera and world.

The focal length of a video is seldom known. `assumed_focal_px` is that of a typical phone; all depths are proportional
to it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

_FOCAL_PER_SIDE = 1.15
_MIN_JOINTS = 3
_LEAST_SPREAD = 1e-6  # of the joints in the picture, in focal lengths; a smaller one tells no depth


@dataclass(frozen=True, kw_only=True)
class Camera:
    """A pinhole camera without distortion: x right, y down, z away from the camera, metres."""

    focal_px: float
    centre: tuple[float, float]  # pixels

    def project(self, points: np.ndarray) -> np.ndarray:
        """Pixels (..., 2) of points (..., 3); NaN for points that are not in front of the camera."""
        depth = np.where(points[..., 2:] > 0, points[..., 2:], np.nan)
        return self.focal_px * points[..., :2] / depth + np.asarray(self.centre)

    def rays(self, pixels: np.ndarray) -> np.ndarray:
        """Directions (..., 2) of pixels (..., 2): x / z and y / z."""
        return (pixels - np.asarray(self.centre)) / self.focal_px


def assumed_focal_px(width: int, height: int) -> float:
    """The focal length that is assumed of an unknown camera: 1.15 times the longer side of its picture."""
    return _FOCAL_PER_SIDE * max(width, height)


def focal_of_fov(fov_deg: float, width: int) -> float:
    """The focal length in pixels of a camera whose picture, `width` pixels wide, spans this angle."""
    return width / 2 / math.tan(math.radians(fov_deg) / 2)


def translations(poses: np.ndarray, pixels: np.ndarray, weights: np.ndarray, camera: Camera) -> np.ndarray:
    """Where root-relative poses stand before the camera, by least squares from their 2-D joints.

    A joint (x, y, z) seen at (u, v) states f (x + tx) = (u - cx) (z + tz) and f (y + ty) = (v - cy) (z + tz), linear in
    the translation t (Kolotouros et al., SPIN, ICCV 2019). The squares are weighted by `weights`.

    Args:
        poses: (T, K, 3) metres, camera axes; NaN where missing.
        pixels: (T, K, 2), NaN where missing.
        weights: (T, K), 0 or more.
        camera: the camera.

    Returns:
        (T, 3) metres; NaN where fewer than three joints are known or all of them lie in one place.
    """
    rays, known = camera.rays(pixels), _known(poses, pixels, weights)
    w = np.where(known, weights, 0.0)
    rays, poses = np.where(known[..., None], rays, 0.0), np.where(known[..., None], poses, 0.0)
    total = w.sum(axis=1)
    shares = w / np.where(total > 0, total, 1.0)[:, None]
    offsets = rays * poses[..., 2:] - poses[..., :2]  # t_xy = offset + ray * t_z, for each joint
    mean_ray, mean_offset = (np.einsum("tk,tkd->td", shares, each) for each in (rays, offsets))
    ray, offset = rays - mean_ray[:, None], offsets - mean_offset[:, None]
    spread = np.einsum("tk,tkd->t", shares, ray**2)
    enough = (known.sum(axis=1) >= _MIN_JOINTS) & (spread > _LEAST_SPREAD**2)
    tz = -np.einsum("tk,tkd->t", shares, ray * offset) / np.where(enough, spread, np.nan)
    return np.column_stack([mean_offset + mean_ray * tz[:, None], tz])


def sideways(
    poses: np.ndarray, depths: np.ndarray, pixels: np.ndarray, weights: np.ndarray, camera: Camera
) -> np.ndarray:
    """The translations (T, 3) of poses whose depths (T,) are given; other arguments as for `translations`."""
    known = _known(poses, pixels, weights)
    w = np.where(known, weights, 0.0)
    total = w.sum(axis=1)
    shares = w / np.where(total > 0, total, np.nan)[:, None]
    offsets = camera.rays(pixels) * (poses[..., 2:] + depths[:, None, None]) - poses[..., :2]
    xy = np.einsum("tk,tkd->td", shares, np.where(known[..., None], offsets, 0.0))
    return np.column_stack([xy, depths])


def _known(poses: np.ndarray, pixels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Which joints (T, K) have a place in the pose and in the picture."""
    return np.isfinite(poses).all(axis=2) & np.isfinite(pixels).all(axis=2) & (weights > 0)


def camera_to_world(points: np.ndarray, rotation_wxyz: np.ndarray, translation: np.ndarray) -> np.ndarray:
    """Points (..., 3) turned by a unit quaternion (w x y z), then moved."""
    return points @ _matrix(rotation_wxyz).T + translation


def world_to_camera(points: np.ndarray, rotation_wxyz: np.ndarray, translation: np.ndarray) -> np.ndarray:
    """The inverse of `camera_to_world`."""
    return (points - translation) @ _matrix(rotation_wxyz)


def _matrix(wxyz: np.ndarray) -> np.ndarray:
    """The rotation matrix (3, 3) of a unit quaternion."""
    w, v = wxyz[0], np.asarray(wxyz[1:])
    cross = np.array([[0, -v[2], v[1]], [v[2], 0, -v[0]], [-v[1], v[0], 0]])
    return np.eye(3) + 2 * w * cross + 2 * cross @ cross


def project_distorted(points: np.ndarray, intrinsics: np.ndarray) -> np.ndarray:
    """Points (..., 3) in the normalised picture (..., 2) of a camera with the distortion of Human3.6M.

    Args:
        points: metres, camera axes.
        intrinsics: (9,) fx fy cx cy k1 k2 k3 p1 p2 in units of half the picture's width. The tangential term differs
            from OpenCV's, and x / z and y / z are limited to [-1, 1].
    """
    focal, centre, radial, tangential = np.split(np.asarray(intrinsics), [2, 4, 7])
    xy = np.clip(points[..., :2] / points[..., 2:], -1, 1)
    r2 = (xy**2).sum(axis=-1, keepdims=True)
    factor = 1 + (r2 ** np.arange(1, 4) * radial).sum(axis=-1, keepdims=True)
    factor = factor + (xy * tangential).sum(axis=-1, keepdims=True)
    return focal * (xy * factor + tangential * r2) + centre
