"""Crops as centre, size and rotation, and the matrices (N, 2, 3) that take points of the image to points of the crop.

What most top-down estimators of the literature are trained with; `crops.py` has the plain squares of MoveNet. Centres
and sizes are (N, 2), x y and width height in pixels of the image; published code divides its sizes by 200.
"""

from __future__ import annotations

import cv2
import numpy as np

from posetrail.frame import Image


def centres_and_sizes(
    boxes: np.ndarray, *, aspect_ratio: float, padding: float = 1.25
) -> tuple[np.ndarray, np.ndarray]:
    """Centres (N, 2) and sizes (N, 2) of crops around boxes: made longer on one side to fit the network's input.

    Args:
        boxes: (N, 4) x1 y1 x2 y2 pixels.
        aspect_ratio: width / height of the network's input, such as 192 / 256.
        padding: the crop is so many times as large as the box that fits.
    """
    sides = boxes[:, 2:] - boxes[:, :2]
    fitting = np.stack([sides[:, 1] * aspect_ratio, sides[:, 0] / aspect_ratio], axis=1)
    return boxes[:, :2] + sides / 2, np.maximum(sides, fitting) * padding


def crop_matrices(
    centres: np.ndarray, sizes: np.ndarray, crop_size: tuple[int, int], rotations_deg: np.ndarray | float = 0.0
) -> np.ndarray:
    """Matrices (N, 2, 3), image to crop: rotate about the centre, scale so that the widths agree.

    The same scale in x and y, from the width alone (Xiao, Wu, Wei 2018, "Simple Baselines", published code; also HRNet,
    AlphaPose, RTMPose). Image 0..W is laid upon crop 0..W as if pixels had no extent, so a mirrored crop lies a part of
    a cell beside the mirror of the crop: `unbiased_crop_matrices` mends that.

    Args:
        centres: (N, 2) pixels; they come to lie at crop_size / 2.
        sizes: (N, 2) pixels; the heights are not used.
        crop_size: width and height, pixels of the crop (or cells of the map, for the way from map to image).
        rotations_deg: (N,) or one for all; a crop rotated clockwise in the image shows the image turned the other way.
    """
    scales = crop_size[0] / sizes[:, :1, None]
    return _matrices(centres, scales * _turns(len(centres), rotations_deg), np.array(crop_size) / 2)


def unbiased_crop_matrices(
    centres: np.ndarray, sizes: np.ndarray, crop_size: tuple[int, int], rotations_deg: np.ndarray | float = 0.0
) -> np.ndarray:
    """Matrices (N, 2, 3), image to crop, that lay sizes upon distances between the middles of first and last pixels.

    Huang et al. 2020, "The Devil is in the Details: Delving into Unbiased Data Processing", section 3: a crop of w
    pixels is w - 1 wide. Cropping then commutes with mirroring. Scales in x and y are each side's own.

    Args:
        centres: (N, 2) pixels; they come to lie at (crop_size - 1) / 2.
        sizes: (N, 2) pixels.
        crop_size: width and height, pixels.
        rotations_deg: (N,) or one for all, of the same sense as those of `crop_matrices`.
    """
    last = np.array(crop_size) - 1
    return _matrices(centres, (last / sizes)[:, :, None] * _turns(len(centres), rotations_deg), last / 2)


def inverted(matrices: np.ndarray) -> np.ndarray:
    """The ways back (N, 2, 3)."""
    back = np.linalg.inv(matrices[:, :, :2])
    return np.concatenate([back, -back @ matrices[:, :, 2:]], axis=2)


def transformed(points: np.ndarray, matrices: np.ndarray) -> np.ndarray:
    """Points (N, K, 2), those of each row by its matrix (N, 2, 3)."""
    return points @ matrices[:, :, :2].transpose(0, 2, 1) + matrices[:, None, :, 2]


def warped(image: Image, matrix: np.ndarray, crop_size: tuple[int, int]) -> Image:
    """The crop (height, width, 3) uint8 that a matrix (2, 3) takes from the image, black beyond the border.

    Args:
        image: (H, W, 3) uint8.
        matrix: (2, 3) image to crop.
        crop_size: width and height, pixels.
    """
    return cv2.warpAffine(image, matrix, crop_size, flags=cv2.INTER_LINEAR)


def _turns(N: int, rotations_deg: np.ndarray | float) -> np.ndarray:
    """Rotations (N, 2, 2) of the image against those of the crops."""
    angles = np.deg2rad(np.broadcast_to(rotations_deg, N))
    cos, sin = np.cos(angles), np.sin(angles)
    return np.stack([np.stack([cos, sin], axis=1), np.stack([-sin, cos], axis=1)], axis=1)


def _matrices(centres: np.ndarray, linear: np.ndarray, middle: np.ndarray) -> np.ndarray:
    """(N, 2, 3) from the linear parts (N, 2, 2), centres (N, 2) going to the crop's middle (2,)."""
    return np.concatenate([linear, middle[:, None] - linear @ centres[:, :, None]], axis=2)
