"""BlazePose's regions of interest, and its outputs from the crop back to the image, as in MediaPipe's graphs.

A region is (cx, cy, side, angle): centre and side of a square in pixels of the image, and the angle in radians by which
it is turned clockwise. Its crop is CROP_PX wide. Points count from the outer edge of the first pixel: the centre of a
pixel is at + 0.5.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np

from posetrail.frame import Image
from posetrail.skeletons import BLAZEPOSE_33, Skeleton

CROP_PX = 256
LANDMARKS = len(BLAZEPOSE_33)

_CELL_PX = 4
_WINDOW = np.arange(-3, 4)  # cells around a landmark that refine it
_LEAST_HEAT = 0.5
_MIDDLE_OF_HIPS, _TOP = 33, 34  # auxiliary points: the centre of the next region, and a point on its inner circle
_MIRROR = np.array([*BLAZEPOSE_33.mirror, 33, 34, 37, 38, 35, 36])
_SIDE_PER_REACH = 2 * 1.25
_SIDE_PER_BOX = 1.25
_REACH_WITHOUT_FEET = 1.1  # COCO's joints end at ankles, wrists and eyes
_SIDE_CHANGE = 3.0  # a new region that is larger or smaller than this is not believed


@dataclass(frozen=True, eq=False)
class Points:
    """Decoded outputs for N crops, in their axes."""

    xy: np.ndarray  # (N, 39, 2) pixels of the crop
    scores: np.ndarray  # (N, 39) 0..1
    world: np.ndarray  # (N, 39, 3) metres
    flag: np.ndarray  # (N,) 0..1

    @classmethod
    def decoded(cls, landmarks: np.ndarray, world: np.ndarray, flag: np.ndarray, heatmaps: np.ndarray) -> Self:
        """From the outputs of the network; see `BlazePoseNetwork.forward`.

        The score of a point is visibility times presence times the flag: of these and their products, it tells best
        whether the point is right.
        """
        visibility, presence = 1 / (1 + np.exp(-landmarks[:, :, 3:].transpose(2, 0, 1).astype(np.float64)))
        return cls(
            refined(landmarks[:, :, :2], heatmaps),
            visibility * presence * flag[:, None],
            world.astype(np.float64),
            flag,
        )

    def mirrored(self) -> Self:
        """The points in the mirrored crop, left and right exchanged."""
        return type(self)(
            self.xy[:, _MIRROR] * [-1, 1] + [CROP_PX, 0],
            self.scores[:, _MIRROR],
            self.world[:, _MIRROR] * [-1, 1, 1],
            self.flag,
        )

    def averaged(self, other: Self) -> Self:
        """The mean of two answers for the same crops."""
        names = ("xy", "scores", "world", "flag")
        return type(self)(*((getattr(self, name) + getattr(other, name)) / 2 for name in names))


def refined(xy: np.ndarray, heatmaps: np.ndarray) -> np.ndarray:
    """Move points to the centre of mass of the heatmap around them, where that has a value of at least 0.5.

    Args:
        xy: (N, K, 2) pixels of the crop; points outside of it are kept.
        heatmaps: (N, K, 64, 64) 0..1.

    Returns:
        (N, K, 2) float64. Cells count from their first edge without half a cell, as the network was trained.
    """
    N, K, height, width = heatmaps.shape
    cells = np.trunc(xy / _CELL_PX).astype(int)
    inside = ((cells >= 0) & (cells < [width, height])).all(axis=2)
    columns, rows = (cells[:, :, axis, None] + _WINDOW for axis in (0, 1))
    within = ((rows >= 0) & (rows < height))[..., :, None] & ((columns >= 0) & (columns < width))[..., None, :]
    rows, columns = np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1)
    n, k = np.arange(N)[:, None, None, None], np.arange(K)[:, None, None]
    heat = np.where(within, heatmaps[n, k, rows[..., :, None], columns[..., None, :]], 0).astype(np.float64)
    confident = inside & (heat.max(axis=(2, 3)) >= _LEAST_HEAT)
    total = np.where(confident, heat.sum(axis=(2, 3)), 1)
    x = (heat.sum(axis=2) * columns).sum(axis=2) / total
    y = (heat.sum(axis=3) * rows).sum(axis=2) / total
    return np.where(confident[..., None], _CELL_PX * np.stack([x, y], axis=2), xy.astype(np.float64))


def regions_of_boxes(boxes: np.ndarray) -> np.ndarray:
    """Upright regions (N, 4) around the centres of boxes (N, 4)."""
    boxes = boxes.astype(np.float64)
    sides = (boxes[:, 2:] - boxes[:, :2]).max(axis=1) * _SIDE_PER_BOX
    return np.column_stack([(boxes[:, :2] + boxes[:, 2:]) / 2, sides, np.zeros(len(boxes))])


def regions_of_joints(keypoints: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """Regions (N, 4) around the middle of the hips, turned so that the spine points up; NaN where that is unknown.

    Args:
        keypoints: (N, K, 2) pixels, NaN where missing.
        skeleton: of the K joints; one without hips or shoulders gives NaN.
    """
    names = ("left_hip", "right_hip", "left_shoulder", "right_shoulder")
    if not set(names) <= set(skeleton.joints):
        return np.full((len(keypoints), 4), np.nan)
    keypoints = keypoints.astype(np.float64)
    corners = keypoints[:, [skeleton.index(name) for name in names]]
    hips, shoulders = corners[:, :2].mean(axis=1), corners[:, 2:].mean(axis=1)
    distances = np.linalg.norm(keypoints - hips[:, None], axis=2)
    reach = np.fmax.reduce(distances, axis=1)
    if "left_big_toe" not in skeleton.joints:
        reach = reach * _REACH_WITHOUT_FEET
    return _regions(hips, shoulders, reach)


def next_regions(xy: np.ndarray) -> np.ndarray:
    """Regions (N, 4) from the auxiliary points among the points (N, 39, 2) that were found in the image."""
    centre, top = xy[:, _MIDDLE_OF_HIPS], xy[:, _TOP]
    return _regions(centre, top, np.linalg.norm(top - centre, axis=1))


def _regions(centres: np.ndarray, upward: np.ndarray, reach: np.ndarray) -> np.ndarray:
    """Regions around centres (N, 2) whose upward direction is to the points `upward` (N, 2)."""
    spine = upward - centres
    angles = np.pi / 2 - np.arctan2(-spine[:, 1], spine[:, 0])
    angles = np.pi - np.mod(np.pi - angles, 2 * np.pi)  # to (-pi, pi]
    angles[np.linalg.norm(spine, axis=1) < 1] = np.nan
    return np.column_stack([centres, _SIDE_PER_REACH * reach, angles])


def believable(regions: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Which regions (N,) are within 1/3 to 3 times the size of those before."""
    with np.errstate(invalid="ignore", divide="ignore"):
        change = regions[:, 2] / before[:, 2]
        return np.isfinite(regions).all(axis=1) & (change > 1 / _SIDE_CHANGE) & (change < _SIDE_CHANGE)


def usable_regions(regions: np.ndarray, image_size: tuple[int, int]) -> np.ndarray:
    """Which regions (N,) can be cropped: finite, at least one pixel wide, overlapping the image (height, width)."""
    height, width = image_size
    half = regions[:, 2] / np.sqrt(2)
    with np.errstate(invalid="ignore"):
        inside = (regions[:, :2] > -half[:, None]) & (regions[:, :2] < np.array([width, height]) + half[:, None])
        return np.isfinite(regions).all(axis=1) & (regions[:, 2] >= 1) & inside.all(axis=1)


def crop_of(image: Image, region: np.ndarray) -> Image:
    """The crop (256, 256, 3) uint8 of a region (4,), black beyond the borders of the image."""
    linear = _turn(region[3]).T * CROP_PX / region[2]
    shift = CROP_PX / 2 - 0.5 - linear @ (region[:2] - 0.5)
    return cv2.warpAffine(image, np.column_stack([linear, shift]), (CROP_PX, CROP_PX), flags=cv2.INTER_LINEAR)


def to_image(xy: np.ndarray, regions: np.ndarray) -> np.ndarray:
    """Points (N, K, 2) from pixels of their crops to pixels of the image."""
    scaled = (xy / CROP_PX - 0.5) * regions[:, None, 2:3]
    return scaled @ _turn(regions[:, 3]).swapaxes(-1, -2) + regions[:, None, :2]


def upright(world: np.ndarray, regions: np.ndarray) -> np.ndarray:
    """World points (N, K, 3) from the axes of their crops to those of the camera."""
    turned = world[:, :, :2] @ _turn(regions[:, 3]).swapaxes(-1, -2)
    return np.concatenate([turned, world[:, :, 2:]], axis=2)


def _turn(angles: np.ndarray | float) -> np.ndarray:
    """Rotation matrices (..., 2, 2) from crop to image."""
    cos, sin = np.cos(angles), np.sin(angles)
    return np.stack([np.stack([cos, -sin], axis=-1), np.stack([sin, cos], axis=-1)], axis=-2)
