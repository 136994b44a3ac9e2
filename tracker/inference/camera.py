"""How the camera moved between frames: a similarity of the picture behind the people.

Good corners (Shi and Tomasi, CVPR 1994), one per cell of a grid so that no textured patch outvotes the rest, are
followed by pyramidal Lucas-Kanade (Bouguet 2001), those on people left out, and a similarity is fitted to what most of
them do (RANSAC, Fischler and Bolles 1981). BoT-SORT (Aharon et al. 2022, section 3.2) moves its tracks by such a fit.

Chained from frame to frame, the noise of the fits adds up: seven pixels in 100 frames of a camera on a tripod. So each
frame is compared with an anchor, the frame at which the camera last moved, and until the picture has moved by more
than noise does since then, the camera stands still. A pan too slow for one frame is told in steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from posetrail.similarity import grown_boxes
from tracker.inference.propagation import FlowImage

_LONG_SIDE_PX = 480  # the pixels of this picture are meant below: at twice the size corners alone take 7 ms
_CELL_PX = 20  # one corner per cell
_MAX_CORNERS = 200  # more take time and add nothing
_CORNER_BLOCK_PX = 5
_MIN_CORNER = 1e-4  # cornerMinEigenVal of a corner that stands out from a camera's noise
_PEOPLE_MARGIN = 0.2  # boxes grow by this share: feet, hair and shadows reach over them
_LK_WINDOW_PX = 15
_LK_LEVELS = 3  # with this window, some 100 px between two frames can be followed
_INLIER_PX = 0.5
_STILL_PX = 0.25  # on three tripods the corners seemed to move by up to 0.15 in the mean
_MIN_INLIERS = 16
_MIN_INLIER_SHARE = 0.3  # of all corners that were followed: after a cut, hardly any agree
_MAX_SCALE, _MAX_TURN = 1.25, 0.35  # between two frames, the turn in radians


@dataclass(frozen=True)
class _Anchor:
    """The frame at which the camera last moved."""

    grey: np.ndarray  # (h, w) uint8
    corners: np.ndarray  # (P, 2) float32 x y of its pixels, none on people
    full_scale: float  # of its pixels, how many make one of the video's


class CameraMotion:
    """Watches the frames of one video and tells how the camera moved."""

    def __init__(self) -> None:
        self._anchor: _Anchor | None = None

    def step(self, image: FlowImage, boxes: np.ndarray) -> np.ndarray:
        """The motion since the frame of the last call.

        Args:
            image: this frame; after a change of its size the camera is taken to stand still.
            boxes: (N, 4) x1 y1 x2 y2 pixels of the video: the people of this frame, who move by themselves.

        Returns:
            (2, 3) float64 scale, turn and shift of what stands still, from pixels of the last frame to pixels of this
            one. Exactly the identity while the picture has moved less than `_STILL_PX` since the last motion, in the
            first frame, and where nothing certain can be said: too few corners, or too few agree.
        """
        grey, full_scale = _shrunk(image)
        people = grown_boxes(boxes, _PEOPLE_MARGIN) * full_scale
        anchor = self._anchor
        motion = None
        if anchor is not None and anchor.grey.shape == grey.shape and anchor.full_scale == full_scale:
            motion = _fitted(anchor, grey, people)
            if motion is not None and _mean_shift(motion, anchor.corners) <= _STILL_PX:
                return np.eye(2, 3)
        self._anchor = _Anchor(grey, _corners(grey, people), full_scale)
        return np.eye(2, 3) if motion is None else _in_full_pixels(motion, full_scale)


def _shrunk(image: FlowImage) -> tuple[np.ndarray, float]:
    """The grey image at the size corners are looked for, and how many of its pixels make one of the video's."""
    height, width = image.grey.shape
    scale = min(1.0, _LONG_SIDE_PX / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(image.grey, size, interpolation=cv2.INTER_AREA), image.scale * scale


def _corners(grey: np.ndarray, people: np.ndarray) -> np.ndarray:
    """The best corner (P, 2) float32 of each cell of a grid that has one outside of the people's boxes (N, 4).

    Of more than `_MAX_CORNERS`, so many spread over all.
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
    """The similarity (2, 3) from the anchor to this image; None where nothing certain can be said."""
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
    followed = (found[:, 0] == 1) & ~_within(moved, people)
    if followed.sum() < _MIN_INLIERS:
        return None
    # Draws with a seed of its own at every call.
    motion, agrees = cv2.estimateAffinePartial2D(
        anchor.corners[followed], moved[followed], method=cv2.RANSAC, ransacReprojThreshold=_INLIER_PX
    )
    if motion is None or agrees.sum() < max(_MIN_INLIERS, _MIN_INLIER_SHARE * followed.sum()):
        return None
    return motion if _is_plausible(motion) else None


def _within(points: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Which points (P,) of (P, 2) lie within any box of (N, 4)."""
    inside = (points[:, None] >= boxes[None, :, :2]) & (points[:, None] <= boxes[None, :, 2:])
    return np.any(np.all(inside, axis=2), axis=1)


def _is_plausible(motion: np.ndarray) -> bool:
    scale = float(np.hypot(motion[0, 0], motion[1, 0]))
    turn = float(np.arctan2(motion[1, 0], motion[0, 0]))
    return 1 / _MAX_SCALE <= scale <= _MAX_SCALE and abs(turn) <= _MAX_TURN


def _mean_shift(motion: np.ndarray, points: np.ndarray) -> float:
    """How far a motion moves points (P, 2): root mean square."""
    shifts = points @ motion[:, :2].T + motion[:, 2] - points
    return float(np.sqrt((shifts**2).sum(axis=1).mean()))


def _in_full_pixels(motion: np.ndarray, full_scale: float) -> np.ndarray:
    """The motion in pixels of the video; a pixel's centre, not its corner, has the whole number."""
    offset = np.full(2, (full_scale - 1) / 2)
    shift = (motion[:, :2] @ offset + motion[:, 2] - offset) / full_scale
    return np.column_stack([motion[:, :2], shift])
