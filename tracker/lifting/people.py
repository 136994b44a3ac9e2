"""One stretch of a person: from poses relative to the root to poses before the camera.

The steps are those of every way of lifting: scale by the height of the body, bones of constant length, the place of the
root by least squares from the 2-D joints, its depth smoothed, and marks of frames where the picture cuts people off.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from posetrail.skeletons import Skeleton
from tracker.lifting.bones import Bones, body_height, bone_lengths, bones_of, median_lengths, with_lengths
from tracker.lifting.camera import Camera, sideways, translations
from tracker.lifting.smoothing import smoothed

_DEPTH_HZ = 1.0  # of the depth of the root, which is its noisy coordinate
_DEPTH_OUTLIER = 0.1  # of the depth: frames that are further from the smoothed path lose weight
_JOINT_OUTLIER_M = 0.1  # distance from the smoothed path beyond which a joint loses weight
_LEAST_DEPTH_M = 0.3
_MARGIN = 0.01  # of the longer side of the picture, beyond which a joint is outside


@dataclass(frozen=True, eq=False)
class RelativePoses:
    """The poses of one person relative to the root, before they are placed."""

    times_s: np.ndarray  # (T,)
    keypoints: np.ndarray  # (T, K, 3) metres or the model's unit, camera axes, the root at 0; NaN where missing
    weights: np.ndarray  # (T, K) how far each joint of each frame can be trusted, 0..1
    pixels: np.ndarray  # (T, K, 2) the same joints in the picture; NaN where missing
    pixel_weights: np.ndarray  # (T, K), 0 where interpolated
    smooth_hz: float | None = None  # cut-off of the smoothing of `keypoints`; None: they are smooth


@dataclass(frozen=True, eq=False)
class PlacedPoses:
    """The poses of one person before the camera."""

    keypoints: np.ndarray  # (T, K, 3) metres, camera axes
    roots: np.ndarray  # (T, 3)
    cut_off: np.ndarray  # (T,) bool


@dataclass(frozen=True, kw_only=True)
class BodyShape:
    """The size of one person, the same in all frames."""

    scale: float  # metres per unit of the model
    model_height: float  # head to sole in the model's unit; NaN if not known
    lengths_m: np.ndarray  # (B,) of the bones, in the order of `bones_of(skeleton).bone_names`


def body_shape(
    parts: list[RelativePoses], skeleton: Skeleton, height_m: float | None, *, assumed_height_m: float | None = None
) -> BodyShape:
    """The size of a person from all stretches of the track.

    Args:
        parts: the stretches.
        skeleton: of the joints.
        height_m: the person's height; None: the model's own size.
        assumed_height_m: used if there is no height and the model has no metric size.
    """
    bones = bones_of(skeleton)
    keypoints = np.concatenate([part.keypoints for part in parts])
    confident = confident_frames(np.concatenate([part.weights for part in parts]))
    model_height = body_height(keypoints, skeleton, confident)
    lengths = median_lengths(bone_lengths(keypoints, bones), confident)
    wanted = assumed_height_m if height_m is None else height_m
    scale = wanted / model_height if wanted and np.isfinite(model_height) and model_height > 0 else 1.0
    return BodyShape(scale=scale, model_height=model_height, lengths_m=lengths * scale)


def confident_frames(weights: np.ndarray) -> np.ndarray:
    """Which frames (T,) are trusted at least half as much as the median one; those without a person are not."""
    mean = weights.mean(axis=1)
    seen = mean[mean > 0]
    return mean >= (0.5 * np.median(seen) if len(seen) else np.inf)


def placed(
    part: RelativePoses, shape: BodyShape, skeleton: Skeleton, camera: Camera, image_size: tuple[int, int]
) -> PlacedPoses | None:
    """Place one stretch of a person before the camera; None if its joints in the picture do not tell where it is."""
    bones: Bones = bones_of(skeleton)
    poses = part.keypoints
    if part.smooth_hz is not None:
        poses = smoothed(poses, part.times_s, part.weights, part.smooth_hz, outlier=_JOINT_OUTLIER_M)
    poses = with_lengths(poses * shape.scale, bones, shape.lengths_m)
    raw = translations(poses, part.pixels, part.pixel_weights, camera)
    depths = _smooth_depths(raw[:, 2], part.times_s, part.pixel_weights.sum(axis=1))
    if depths is None:
        return None
    weights = np.where(np.isfinite(part.pixels).all(axis=2), np.maximum(part.pixel_weights, 1e-3), 0.0)
    roots = sideways(poses, depths, part.pixels, weights, camera)
    joints = poses + roots[:, None]
    if not np.isfinite(roots).all():
        return None
    cut_off = _outside(camera.project(joints), image_size, _MARGIN, np.isfinite(poses).all(axis=2))
    cut_off = cut_off | _outside(part.pixels, image_size, 0.0, part.pixel_weights > 0)
    return PlacedPoses(joints, roots, cut_off)


def _smooth_depths(depths: np.ndarray, times_s: np.ndarray, weights: np.ndarray) -> np.ndarray | None:
    known = np.isfinite(depths) & (depths > _LEAST_DEPTH_M) & (weights > 0)
    if not known.any():
        return None
    paths = np.where(known, depths, np.nan)[:, None, None]
    outlier = _DEPTH_OUTLIER * float(np.median(depths[known]))
    path = smoothed(paths, times_s, np.where(known, weights, 0.0)[:, None], _DEPTH_HZ, outlier=outlier)
    return np.maximum(path[:, 0, 0], _LEAST_DEPTH_M)


def _outside(pixels: np.ndarray, image_size: tuple[int, int], margin: float, counted: np.ndarray) -> np.ndarray:
    """In which frames (T,) a counted point (T, K) is outside the picture by more than this share of its longer side."""
    slack = margin * max(image_size)
    outside = ((pixels < -slack) | (pixels > np.asarray(image_size, float) + slack)).any(axis=2)
    return np.logical_and(outside, counted).any(axis=1)
