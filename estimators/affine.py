"""Affine crops, given by centre, size and rotation, with matrices (N, 2, 3) from image to crop.

Most top-down estimators are trained with these; `crops.py` has the plain squares of MoveNet. Centres and sizes are
(N, 2), x y and width height in pixels of the image; published code divides sizes by 200.
"""

from __future__ import annotations

import cv2
import numpy as np

from posetrail.frame import Image


def centres_and_sizes(
    boxes: np.ndarray, *, aspect_ratio: float, padding: float = 1.25
) -> tuple[np.ndarray, np.ndarray]:
    """Centres (N, 2) and sizes (N, 2) of crops around boxes, enlarged on one side to the aspect ratio of the input.

    Args:
        boxes: (N, 4) x1 y1 x2 y2 pixels.
        aspect_ratio: width / height of the network's input, such as 192 / 256.
        padding: factor on the size after that.
    """
    sides = boxes[:, 2:] - boxes[:, :2]
    fitting = np.stack([sides[:, 1] * aspect_ratio, sides[:, 0] / aspect_ratio], axis=1)
    return boxes[:, :2] + sides / 2, np.maximum(sides, fitting) * padding


def crop_matrices(
    centres: np.ndarray, sizes: np.ndarray, crop_size: tuple[int, int], rotations_deg: np.ndarray | float = 0.0
) -> np.ndarray:
    """Matrices (N, 2, 3), image to crop: rotate about the centre, scale so that the widths agree.

    The same scale in x and y, from the width alone (Xiao, Wu, Wei 2018, "Simple Baselines", published code; also HRNet,
    AlphaPose, RTMPose). Image 0..W is mapped to crop 0..W as if pixels had no extent, so the crop of a mirrored image
    differs by a fraction of a cell from the mirrored crop; `unbiased_crop_matrices` avoids that.

    Args:
        centres: (N, 2) pixels; mapped to crop_size / 2.
        sizes: (N, 2) pixels; the heights are not used.
        crop_size: width and height, pixels of the crop (or cells of a map, to convert between map and image).
        rotations_deg: (N,) or one for all; a crop rotated clockwise in the image shows the image turned the other way.
    """
    scales = crop_size[0] / sizes[:, :1, None]
    return _matrices(centres, scales * _turns(len(centres), rotations_deg), np.array(crop_size) / 2)


def unbiased_crop_matrices(
    centres: np.ndarray, sizes: np.ndarray, crop_size: tuple[int, int], rotations_deg: np.ndarray | float = 0.0
) -> np.ndarray:
    """Matrices (N, 2, 3), image to crop, that map sizes to distances between the centres of first and last pixels.

    Huang et al. 2020, "The Devil is in the Details: Delving into Unbiased Data Processing", section 3: a crop of w
    pixels is w - 1 wide. Cropping then commutes with mirroring. Scales in x and y are each side's own.

    Args:
        centres: (N, 2) pixels; mapped to (crop_size - 1) / 2.
        sizes: (N, 2) pixels.
        crop_size: width and height, pixels.
        rotations_deg: (N,) or one for all, in the direction of `crop_matrices`.
    """
    last = np.array(crop_size) - 1
    return _matrices(centres, (last / sizes)[:, :, None] * _turns(len(centres), rotations_deg), last / 2)


def inverted(matrices: np.ndarray) -> np.ndarray:
    """Inverse matrices (N, 2, 3)."""
    back = np.linalg.inv(matrices[:, :, :2])
    return np.concatenate([back, -back @ matrices[:, :, 2:]], axis=2)


def transformed(points: np.ndarray, matrices: np.ndarray) -> np.ndarray:
    """Transform points (N, K, 2), each row by its matrix (N, 2, 3)."""
    return points @ matrices[:, :, :2].transpose(0, 2, 1) + matrices[:, None, :, 2]


def warped(image: Image, matrix: np.ndarray, crop_size: tuple[int, int]) -> Image:
    """Crop the image by a matrix (2, 3) to (height, width, 3) uint8, black beyond the border.

    Args:
        image: (H, W, 3) uint8.
        matrix: (2, 3) image to crop.
        crop_size: width and height, pixels.
    """
    return cv2.warpAffine(image, matrix, crop_size, flags=cv2.INTER_LINEAR)


def _turns(N: int, rotations_deg: np.ndarray | float) -> np.ndarray:
    """Rotation matrices (N, 2, 2) from image to crop."""
    angles = np.deg2rad(np.broadcast_to(rotations_deg, N))
    cos, sin = np.cos(angles), np.sin(angles)
    return np.stack([np.stack([cos, sin], axis=1), np.stack([-sin, cos], axis=1)], axis=1)


def _matrices(centres: np.ndarray, linear: np.ndarray, middle: np.ndarray) -> np.ndarray:
    """(N, 2, 3) from linear parts (N, 2, 2), with centres (N, 2) mapped to the centre of the crop (2,)."""
    return np.concatenate([linear, middle[:, None] - linear @ centres[:, :, None]], axis=2)
