"""Regions of images to crop for training: the box of a person, or half of the body, moved, scaled, turned, mirrored.

A region is what `estimators.affine.crop_matrices` takes: a centre, a size and a rotation. Without augmentation it is
the region that is cropped in inference. `Augmentation` names the ranges, `training.augment.Draws` has the numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from estimators.affine import centres_and_sizes, crop_matrices, unbiased_crop_matrices
from posetrail.skeletons import Skeleton

_LOWER_BODY = ("hip", "knee", "ankle", "toe", "heel", "foot", "pelvis")


@dataclass(frozen=True, kw_only=True)
class Region:
    """A region of one image, which may extend beyond the border."""

    centre: np.ndarray  # (2,) pixels of the mirrored image if `flipped`
    size: np.ndarray  # (2,) width and height, pixels; not yet of the aspect ratio of the crop
    rotation_deg: float = 0.0
    flipped: bool = False  # the image is mirrored before it is cropped

    def matrix(self, crop_size: tuple[int, int], *, unbiased: bool = False) -> np.ndarray:
        """The matrix (2, 3) from the image, mirrored if `flipped`, to a crop of this width and height.

        One side of the region is enlarged to the aspect ratio of the crop, as in inference.
        """
        half = self.size / 2
        box = np.concatenate([self.centre - half, self.centre + half])[None]
        centres, sizes = centres_and_sizes(box, aspect_ratio=crop_size[0] / crop_size[1], padding=1.0)
        return (unbiased_crop_matrices if unbiased else crop_matrices)(centres, sizes, crop_size, self.rotation_deg)[0]


@dataclass(frozen=True, kw_only=True)
class HalfBody:
    """When and how the box of a person is replaced by the upper or lower half of the body (Wang et al. 2018, MSPN).

    Published code agrees on the idea only; the defaults are those of HRNet.
    """

    probability: float = 0.3
    min_joints: int = 9  # labelled ones, of the whole body
    min_upper: int = 3  # labelled joints of the upper half; with fewer, the other half is taken
    min_lower: int = 3
    upper_probability: float = 0.69  # of the upper half, where both have enough joints
    centre: Literal["mean", "middle"] = "mean"  # of the half's joints, or of their bounding box
    padding: float = 1.5  # factor on the extent of the joints
    hips_are_upper: bool = False  # the hips belong to the upper half


def mirrored(points: np.ndarray, width: int) -> np.ndarray:
    """Points (..., 2) in the mirrored image of this width: x becomes width - 1 - x."""
    return np.stack([width - 1 - points[..., 0], points[..., 1]], axis=-1)


def is_upper_body(skeleton: Skeleton, *, hips_are_upper: bool = False) -> np.ndarray:
    """(K,) bool: joints above the hips, by name; with `hips_are_upper` also the hips."""
    lower = [any(part in joint.lower() for part in _LOWER_BODY) for joint in skeleton.joints]
    hips = ["hip" in joint.lower() for joint in skeleton.joints]
    return ~np.array(lower) | (np.array(hips) & hips_are_upper)


def half_body(
    keypoints: np.ndarray, skeleton: Skeleton, settings: HalfBody, *, prefer_upper: bool
) -> tuple[np.ndarray, np.ndarray] | None:
    """Centre (2,) and extent (2,), without padding, of half of a body; None if too few joints are labelled.

    Args:
        keypoints: (K, 2) pixels, NaN where not labelled.
        skeleton: of the joints.
        settings: how many joints are needed.
        prefer_upper: the half to take if both have enough joints.
    """
    labelled = np.isfinite(keypoints).all(axis=1)
    upper = is_upper_body(skeleton, hips_are_upper=settings.hips_are_upper)
    enough = {
        True: (labelled & upper).sum() >= settings.min_upper,
        False: (labelled & ~upper).sum() >= settings.min_lower,
    }
    if labelled.sum() < settings.min_joints or not any(enough.values()):
        return None
    take_upper = prefer_upper if enough[prefer_upper] else not prefer_upper
    joints = keypoints[labelled & (upper if take_upper else ~upper)]
    low, high = joints.min(axis=0), joints.max(axis=0)
    return (joints.mean(axis=0) if settings.centre == "mean" else (low + high) / 2), high - low
