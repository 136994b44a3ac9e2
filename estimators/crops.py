"""Square crops around boxes, and joints from crops back to the image.

A crop is given by the box it covers in the image, x1 y1 x2 y2 in pixels, which may extend beyond the border.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from posetrail.frame import Image
from posetrail.poses import Poses

_CROPS_AT_ONCE = 32  # limits the memory: the maps of a crop take about 1 MB
_GREY = 128  # middle of uint8, which preprocessing maps to about zero


def usable_boxes(boxes: np.ndarray, image_size: tuple[int, int]) -> np.ndarray:
    """Which boxes (N,) can be cropped: finite, at least one pixel wide or high, overlapping the image.

    Args:
        boxes: (N, 4) x1 y1 x2 y2 pixels, with any values.
        image_size: height and width in pixels.
    """
    height, width = image_size
    with np.errstate(invalid="ignore", over="ignore"):
        sides = boxes[:, 2:] - boxes[:, :2]
        inside = (boxes[:, 0] < width) & (boxes[:, 1] < height) & (boxes[:, 2] > 0) & (boxes[:, 3] > 0)
        return np.isfinite(boxes).all(axis=1) & (sides >= 0).all(axis=1) & (sides.max(axis=1) >= 1) & inside


def in_usable_boxes(
    images: Sequence[Image],
    boxes: Sequence[np.ndarray],
    num_joints: int,
    place: Callable[[list[Image], np.ndarray], tuple[np.ndarray, np.ndarray]],
) -> list[Poses]:
    """Estimate the joints in every box, a few boxes at a time; all are missing in unusable boxes.

    Args:
        images: (H, W, 3) uint8, of any sizes.
        boxes: per image (N, 4) x1 y1 x2 y2 pixels, with any values.
        num_joints: K.
        place: maps usable boxes (B, 4) and the image of each to keypoints (B, K, 2) in its pixels and scores (B, K).

    Returns:
        one Poses per image, row i of it for box i; scores are 1.
    """
    people = np.concatenate([np.zeros((0, 4)), *boxes])
    image_of = np.repeat(np.arange(len(images)), [len(image_boxes) for image_boxes in boxes])
    keypoints = np.full((len(people), num_joints, 2), np.nan, np.float32)
    scores = np.zeros((len(people), num_joints), np.float32)

    usable = [usable_boxes(b, i.shape[:2]) for i, b in zip(images, boxes, strict=True)]
    rows = np.flatnonzero(np.concatenate([np.zeros(0, bool), *usable]))
    for start in range(0, len(rows), _CROPS_AT_ONCE):
        some = rows[start : start + _CROPS_AT_ONCE]
        keypoints[some], scores[some] = place([images[i] for i in image_of[some]], people[some])
    return [
        Poses(keypoints[mine], scores[mine], people[mine], np.ones(mine.sum()), np.zeros(mine.sum()))
        for mine in (image_of == i for i in range(len(images)))
    ]


def square_crops(boxes: np.ndarray, scale: float) -> np.ndarray:
    """Squares (N, 4) float64 around the centres of boxes; their side is `scale` times the longer side of the box."""
    boxes = boxes.astype(np.float64)
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True) * scale / 2
    return np.concatenate([centres - half, centres + half], axis=1)


def cut(image: Image, crop: np.ndarray, size: int, keep: np.ndarray | None = None) -> Image:
    """Crop a region (4,) of the image as (size, size, 3) uint8; see `cut_all`."""
    return cut_all([image], crop[None], size, None if keep is None else keep[None])[0]


def cut_all(images: Sequence[Image], crops: np.ndarray, size: int, keep: np.ndarray | None = None) -> np.ndarray:
    """Crop regions as (N, size, size, 3) uint8, black beyond the borders of the images; each pixel is written once.

    Args:
        images: N images (H, W, 3) uint8, one for each crop.
        crops: (N, 4) x1 y1 x2 y2 image pixels.
        size: side of the results in pixels.
        keep: (N, 4) x1 y1 x2 y2 image pixels; the crops are painted grey outside of them. None paints nothing.
    """
    scales = size / (crops[:, 2:] - crops[:, :2])
    matrices = np.zeros((len(crops), 2, 3))
    matrices[:, [0, 1], [0, 1]] = scales
    matrices[:, :, 2] = -crops[:, :2] * scales
    pixels = np.empty((len(crops), size, size, 3), np.uint8)
    for image, matrix, out in zip(images, matrices, pixels, strict=True):
        cv2.warpAffine(image, matrix, (size, size), dst=out, flags=cv2.INTER_LINEAR)
    if keep is not None:
        corners = (keep.reshape(-1, 2, 2) - crops[:, None, :2]) * scales[:, None]
        for out, ((left, top), (right, bottom)) in zip(
            pixels, np.clip(np.round(corners), 0, size).astype(int).tolist(), strict=True
        ):
            out[:top], out[bottom:], out[:, :left], out[:, right:] = _GREY, _GREY, _GREY, _GREY
    return pixels


def to_image(points: np.ndarray, crops: np.ndarray, size: int) -> np.ndarray:
    """Points (N, K, 2) from pixels of their crops (N, 4) to pixels of the image, the inverse of `cut`."""
    scale = (crops[:, 2:] - crops[:, :2]) / size
    return points * scale[:, None] + crops[:, None, :2]
