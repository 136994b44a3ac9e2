"""Geometry of VIBE (Kocabas et al., CVPR 2020): boxes from tracked joints, cameras of crops, 6-D rotations.

VIBE and its successors take a square box per person and frame, of which they crop `CROP_SCALE` times the side to
224 x 224. They answer with a weak-perspective camera of the crop and rotations of joints.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d, median_filter
from scipy.spatial.transform import Rotation

MIN_SCORE = 0.3  # of the joints that make a box
REFERENCE_SIDE = 150.0  # pixels: the scale of a box is this by its side
CROP_SCALE = 1.1
MIN_FRAMES = 25  # shorter tracks are dropped by VIBE's demo
_MEDIAN_FRAMES, _SIGMA_FRAMES = 11, 8.0


def boxes_from_joints(keypoints: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, tuple[int, int]]:
    """The box of one person in each frame: around the joints of a score above `MIN_SCORE`, its side their diagonal.

    Frames without such joints are filled linearly between their neighbours; those before the first and after the last
    are cut off.

    Args:
        keypoints: (T, K, 2) pixels.
        scores: (T, K).

    Returns:
        (T', 3) float64 centre x, centre y and scale, 150 / side; and the first frame kept and one past the last one.
    """
    used = (scores > MIN_SCORE) & np.isfinite(keypoints).all(axis=2)
    low = np.where(used[:, :, None], keypoints, np.inf).min(axis=1)
    high = np.where(used[:, :, None], keypoints, -np.inf).max(axis=1)
    frames = np.flatnonzero(used.any(axis=1))
    frames = frames[(high[frames] > low[frames]).any(axis=1)]  # a single joint has no size
    if not len(frames):
        return np.zeros((0, 3)), (0, 0)
    low, high = low[frames].astype(float), high[frames].astype(float)
    scale = REFERENCE_SIDE / np.linalg.norm(high - low, axis=1)
    first, last = int(frames[0]), int(frames[-1]) + 1
    known = np.column_stack([(low + high) / 2, scale])
    return np.column_stack([np.interp(np.arange(first, last), frames, column) for column in known.T]), (first, last)


def smoothed_boxes(boxes: np.ndarray) -> np.ndarray:
    """Boxes (T, 3) after a median filter of 11 frames and a Gaussian of 8 frames, as VIBE can smooth them."""
    if not len(boxes):
        return boxes
    medians = median_filter(boxes, size=(_MEDIAN_FRAMES, 1), mode="constant")
    return gaussian_filter1d(medians, _SIGMA_FRAMES, axis=0)


def squares(boxes: np.ndarray) -> np.ndarray:
    """Centre and scale (T, 3) as centre x, centre y, side, side (T, 4), pixels."""
    side = REFERENCE_SIDE / boxes[:, 2:]
    return np.concatenate([boxes[:, :2], side, side], axis=1)


def camera_of_image(crop_camera: np.ndarray, boxes: np.ndarray, image_size: tuple[int, int]) -> np.ndarray:
    """Weak-perspective cameras of crops as those of the whole image.

    Args:
        crop_camera: (N, 3) scale, x and y of the crop.
        boxes: (N, 4) centre x, centre y, width, height of the crops, pixels.
        image_size: width and height, pixels.

    Returns:
        (N, 4) scales along x and y, translation along x and y.
    """
    half = np.asarray(image_size) / 2
    scale = crop_camera[:, :1] * boxes[:, 3:] / (2 * half)
    return np.concatenate([scale, (boxes[:, :2] - half) / half / scale + crop_camera[:, 1:]], axis=1)


def rotation_of_6d(values: np.ndarray) -> np.ndarray:
    """Rotation matrices (..., 3, 3) of 6-D rotations (..., 6): Zhou et al., CVPR 2019, section B.

    The six numbers are a 3 x 2 matrix, row by row, whose columns are made orthonormal.
    """
    first, second = np.moveaxis(values.reshape(*values.shape[:-1], 3, 2), -1, 0)
    x = _unit(first)
    y = _unit(second - (x * second).sum(axis=-1, keepdims=True) * x)
    return np.stack([x, y, np.cross(x, y)], axis=-1)


def axis_angle(matrices: np.ndarray) -> np.ndarray:
    """Rotation vectors (..., 3) in radians of rotation matrices (..., 3, 3)."""
    return Rotation.from_matrix(matrices.reshape(-1, 3, 3)).as_rotvec().reshape(*matrices.shape[:-2], 3)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
