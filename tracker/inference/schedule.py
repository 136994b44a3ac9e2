"""When the detector runs: on whole frames at intervals and where something was lost, on regions in between.

Whole frames are due at fixed intervals of time. Between them, propagation carries the people, and the frames tell when
that is not enough: a person was lost, a pose lost its confidence, or the scene changed (a cut, a jump of the camera).
Then whole frames are searched at once, and for a short time after a loss. New people move: in between, regions are
searched at a small input size, where pixels outside of all people change.

Everything depends on the frames alone, and on nothing that the pose log does not hold: neither on the speed of the
machine nor on where an interrupted run was resumed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from posetrail.similarity import box_intersection, grown_boxes

_LOOKS_PER_INTERVAL = 3
_TICK = 1e-6  # of an interval; times of frames are rounded

_LONG_SIDE_PX = 240  # of the image in which motion is seen
_SAME_SCENE = 0.6  # correlation of consecutive images of one scene, at least
_CHANGED = 18  # grey levels, of 255
_CELL_PX = 8
_MOVING_SHARE = 0.25  # of the pixels of a cell
_MIN_CELLS = 3  # of a region
_MAX_MOVING = 0.25  # share of all cells; if more of them change, the camera moves
_PEOPLE_MARGIN = 0.3  # boxes of people are enlarged by this share of their sides: shadows, hair, flow errors
_MAX_REGIONS = 2  # searched in one frame
_REGION_SHARE = 0.3  # side of a region, as a share of the longer side of the image, at least ...
_REGION_SCALE = 2.0  # ... and relative to what moves in it


class Clock:
    """Tells at which frames a number of intervals has passed, by their times.

    Args:
        interval_s: seconds; 0: at every frame.
    """

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._last: int | None = None

    def strikes(self, time_s: float) -> bool:
        """Whether an interval ends between the frame of the last call and this one; true in the first call."""
        if self._interval_s <= 0:
            return True
        count = math.floor(time_s / self._interval_s + _TICK)
        strikes = count != self._last
        self._last = count
        return strikes


def look_clock(interval_s: float) -> Clock:
    """When regions are searched, between detections at these intervals."""
    return Clock(interval_s / _LOOKS_PER_INTERVAL)


@dataclass(frozen=True, eq=False)
class Glance:
    """A small grey image of a frame."""

    grey: np.ndarray  # (h, w) uint8
    scale: float  # its size relative to the frame


def glance(grey: np.ndarray, scale: float) -> Glance:
    """A small image of a frame.

    Args:
        grey: (H, W) uint8, the frame or a smaller one.
        scale: size of `grey` relative to the frame.
    """
    height, width = grey.shape
    shrink = min(1.0, _LONG_SIDE_PX / max(height, width))
    size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
    return Glance(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), scale * shrink)


def is_same_scene(before: Glance, now: Glance) -> bool:
    """Whether two consecutive frames show the same scene from about the same place."""
    if before.grey.shape != now.grey.shape:
        return False
    if before.grey.std() < 1 or now.grey.std() < 1:  # black or blank: a correlation is not defined
        return bool(before.grey.std() < 1 and now.grey.std() < 1)
    return bool(cv2.matchTemplate(before.grey, now.grey, cv2.TM_CCOEFF_NORMED)[0, 0] >= _SAME_SCENE)


def moving_regions(before: Glance, now: Glance, people: np.ndarray) -> np.ndarray:
    """Boxes (R, 4) x1 y1 x2 y2 in pixels of the frame around what moves outside of all people, largest first.

    Args:
        before: the last frame.
        now: this frame; none move if its size is another one, or if nearly everything moves.
        people: (N, 4) boxes in pixels of the frame.
    """
    none = np.zeros((0, 4))
    rows, columns = (side // _CELL_PX for side in now.grey.shape)
    if before.grey.shape != now.grey.shape or rows * columns == 0:
        return none
    changed = (cv2.absdiff(before.grey, now.grey) > _CHANGED).astype(np.float32)
    height, width = changed.shape
    for x1, y1, x2, y2 in np.clip(grown_boxes(people, _PEOPLE_MARGIN) * now.scale, 0, max(height, width)).astype(int):
        changed[y1 : y2 + 1, x1 : x2 + 1] = 0
    cells = changed[: rows * _CELL_PX, : columns * _CELL_PX].reshape(rows, _CELL_PX, columns, _CELL_PX)
    moving = (cells.mean(axis=(1, 3)) >= _MOVING_SHARE).astype(np.uint8)
    if moving.mean() > _MAX_MOVING:
        return none
    _, _, found, _ = cv2.connectedComponentsWithStats(moving, connectivity=8)
    found = found[1:][found[1:, cv2.CC_STAT_AREA] >= _MIN_CELLS]  # the first one is the background
    found = found[np.argsort(-found[:, cv2.CC_STAT_AREA], kind="stable")]
    corners = np.concatenate([found[:, :2], found[:, :2] + found[:, 2:4]], axis=1)
    return corners * (_CELL_PX / now.scale)


def regions_to_search(places: np.ndarray, image_size: tuple[int, int]) -> np.ndarray:
    """Squares (R, 4) int x1 y1 x2 y2 around the first of some places, clipped to the image.

    Args:
        places: (N, 4) boxes in pixels of the image, the most important ones first; those inside of an earlier region
            are left out.
        image_size: height and width, pixels.
    """
    height, width = image_size
    least = _REGION_SHARE * max(height, width)
    chosen: list[np.ndarray] = []
    for place in places:
        inside = [box_intersection(place[None], other[None])[0, 0] for other in chosen]
        area = max(float(np.prod(place[2:] - place[:2])), 1.0)
        if len(chosen) == _MAX_REGIONS or any(each >= 0.8 * area for each in inside):
            continue
        half = max(least, _REGION_SCALE * float((place[2:] - place[:2]).max())) / 2
        centre = (place[:2] + place[2:]) / 2
        box = np.concatenate([centre - half, centre + half])
        chosen.append(np.clip(np.round(box), 0, [width, height, width, height]))
    regions = np.array(chosen, int).reshape(-1, 4)
    return regions[(regions[:, 2:] - regions[:, :2]).min(axis=1, initial=1 << 30) >= 8]
