"""Camera motion between frames: a similarity transform, estimated from the background of the image.

Corners (Shi and Tomasi, CVPR 1994) outside of the people's boxes are tracked by pyramidal Lucas-Kanade (Bouguet 2001),
one per cell of a grid so that no textured patch dominates. A similarity transform is fitted to them by RANSAC (Fischler
and Bolles, Commun. ACM 24, 1981). BoT-SORT (Aharon et al. 2022, section 3.2) compensates camera motion by such a fit.

Errors of fits between consecutive frames would add up: to seven pixels in 100 frames of a camera on a tripod. So each
frame is compared with an anchor, the frame at which the camera last moved. While the background has moved by less than
the noise since then, the camera is taken to be static. A pan that is slower than that per frame is reported in steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from posetrail.similarity import grown_boxes
from tracker.inference.propagation import FlowImage

_LONG_SIDE_PX = 480  # size of the image in which pixels are counted below; at twice the size, corners alone take 7 ms
_CELL_PX = 20  # one corner per cell
_MAX_CORNERS = 200  # more take time without better fits
_CORNER_BLOCK_PX = 5
_MIN_CORNER = 1e-4  # least value of cornerMinEigenVal, above the noise of a camera
_PEOPLE_MARGIN = 0.2  # boxes are enlarged by this share: feet, hair and shadows lie outside of them
_LK_WINDOW_PX = 15
_LK_LEVELS = 3  # with this window, displacements up to about 100 px between two frames can be tracked
_INLIER_PX = 0.5
_STATIC_PX = 0.25  # a smaller mean displacement is noise: it was up to 0.15 in three videos from a tripod
_MIN_INLIERS = 16
_MIN_INLIER_SHARE = 0.3  # of the tracked corners; after a cut, few agree
_MAX_SCALE, _MAX_ROTATION = 1.25, 0.35  # of a plausible motion between two frames; radians


@dataclass(frozen=True)
class _Anchor:
    """The frame at which the camera last moved."""

    grey: np.ndarray  # (h, w) uint8
    corners: np.ndarray  # (P, 2) float32 x y of its pixels, none on people
    full_scale: float  # its size relative to the video's


class CameraMotion:
    """Estimates the camera's motion from frame to frame of one video."""

    def __init__(self) -> None:
        self._anchor: _Anchor | None = None

    def step(self, image: FlowImage, boxes: np.ndarray) -> np.ndarray:
        """The motion since the frame of the last call.

        Args:
            image: this frame; after a change of size the camera is taken to be static.
            boxes: (N, 4) x1 y1 x2 y2 pixels of the video: the people of this frame, who are not background.

        Returns:
            (2, 3) float64 similarity transform of the static background, from pixels of the last frame to pixels of
            this one. It is exactly the identity in the first frame, while the background has moved by less than
            `_STATIC_PX` since the last motion, and where too few corners are found or agree.
        """
        grey, full_scale = _shrunk(image)
        people = grown_boxes(boxes, _PEOPLE_MARGIN) * full_scale
        anchor = self._anchor
        motion = None
        if anchor is not None and anchor.grey.shape == grey.shape and anchor.full_scale == full_scale:
            motion = _fitted(anchor, grey, people)
            if motion is not None and _mean_shift(motion, anchor.corners) <= _STATIC_PX:
                return np.eye(2, 3)
        self._anchor = _Anchor(grey, _corners(grey, people), full_scale)
        return np.eye(2, 3) if motion is None else _in_full_pixels(motion, full_scale)


def _shrunk(image: FlowImage) -> tuple[np.ndarray, float]:
    """The grey image at the size for corners, and its size relative to the video's."""
    height, width = image.grey.shape
    scale = min(1.0, _LONG_SIDE_PX / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(image.grey, size, interpolation=cv2.INTER_AREA), image.scale * scale


def _corners(grey: np.ndarray, people: np.ndarray) -> np.ndarray:
    """The strongest corner (P, 2) float32 of each cell of a grid, outside of the people's boxes (N, 4).

    If there are more than `_MAX_CORNERS`, so many of them are taken, evenly spread.
    """
    rows, columns = (side // _CELL_PX for side in grey.shape)
    if rows * columns == 0:
        return np.zeros((0, 2), np.float32)
    strength = cv2.cornerMinEigenVal(grey, _CORNER_BLOCK_PX)
    for x1, y1, x2, y2 in np.clip(people, 0, max(grey.shape)).astype(int):
        strength[y1 : y2 + 1, x1 : x2 + 1] = 0
    tiled = strength[: rows * _CELL_PX, : columns * _CELL_PX].reshape(rows, _CELL_PX, columns, _CELL_PX)
    cells = tiled.transpose(0, 2, 1, 3).reshape(rows * columns, _CELL_PX * _CELL_PX)
    best = cells.argmax(axis=1)
    row, column = np.divmod(np.arange(rows * columns), columns)
    y, x = np.divmod(best, _CELL_PX)
    corners = np.stack([column * _CELL_PX + x, row * _CELL_PX + y], axis=1).astype(np.float32)
    good = np.flatnonzero(cells.max(axis=1) > _MIN_CORNER)
    if len(good) > _MAX_CORNERS:
        good = good[np.linspace(0, len(good) - 1, _MAX_CORNERS).astype(int)]
    return corners[good]


def _fitted(anchor: _Anchor, grey: np.ndarray, people: np.ndarray) -> np.ndarray | None:
    """The similarity transform (2, 3) from the anchor to this image; None if too few corners agree on one."""
    if len(anchor.corners) < _MIN_INLIERS:
        return None
    moved, found, _ = cv2.calcOpticalFlowPyrLK(  # type: ignore[call-overload]
        anchor.grey,
        grey,
        anchor.corners[:, None],
        None,
        winSize=(_LK_WINDOW_PX, _LK_WINDOW_PX),
        maxLevel=_LK_LEVELS,
        criteria=(cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 20, 0.03),
    )
    moved = moved[:, 0]
    tracked = (found[:, 0] == 1) & ~_within(moved, people)
    if tracked.sum() < _MIN_INLIERS:
        return None
    # OpenCV seeds RANSAC anew at every call, so results are reproducible.
    motion, agrees = cv2.estimateAffinePartial2D(
        anchor.corners[tracked], moved[tracked], method=cv2.RANSAC, ransacReprojThreshold=_INLIER_PX
    )
    if motion is None or agrees.sum() < max(_MIN_INLIERS, _MIN_INLIER_SHARE * tracked.sum()):
        return None
    return motion if _is_plausible(motion) else None


def _within(points: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Which points (P, 2) lie within any of the boxes (N, 4): (P,) bool."""
    inside = (points[:, None] >= boxes[None, :, :2]) & (points[:, None] <= boxes[None, :, 2:])
    return np.any(np.all(inside, axis=2), axis=1)


def _is_plausible(motion: np.ndarray) -> bool:
    scale = float(np.hypot(motion[0, 0], motion[1, 0]))
    rotation = float(np.arctan2(motion[1, 0], motion[0, 0]))
    return 1 / _MAX_SCALE <= scale <= _MAX_SCALE and abs(rotation) <= _MAX_ROTATION


def _mean_shift(motion: np.ndarray, points: np.ndarray) -> float:
    """Displacement of points (P, 2) by a motion: root mean square."""
    shifts = points @ motion[:, :2].T + motion[:, 2] - points
    return float(np.sqrt((shifts**2).sum(axis=1).mean()))


def _in_full_pixels(motion: np.ndarray, full_scale: float) -> np.ndarray:
    """The motion in pixels of the video; whole numbers are centres of pixels."""
    offset = np.full(2, (full_scale - 1) / 2)
    shift = (motion[:, :2] @ offset + motion[:, 2] - offset) / full_scale
    return np.column_stack([motion[:, :2], shift])
