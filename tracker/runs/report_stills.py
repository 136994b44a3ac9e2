"""Stills of a report: the doubtful places of a run, cut out of the clip, as JPEG data URIs."""

from __future__ import annotations

import base64
from dataclasses import dataclass

import cv2
import numpy as np

from posetrail.frame import Image
from posetrail.poses import TrackedPoses
from posetrail.skeletons import Skeleton
from tracker.io.blurring import blurred_faces
from tracker.io.drawing import draw_people

_ASPECT = 4 / 3  # of a still
_WIDTH_PX = 480
_MARGIN = 0.35  # around the people in question, relative to the sides of their box
_SMALLEST_SHARE = 0.3  # of the image's shorter side: a still shows some of the surroundings of a small person
_QUALITY = 78
_FRAME = ((5, (20, 20, 20)), (3, (255, 255, 255)))  # width in pixels and colour: seen on any ground


@dataclass(frozen=True, kw_only=True)
class Still:
    """A part of one frame with the people drawn on it."""

    frame: int  # number in the video
    uri: str  # data:image/jpeg;base64,...
    width: int  # pixels
    height: int


def part_around(boxes: np.ndarray, width: int, height: int) -> tuple[int, int, int, int]:
    """The part x1 y1 x2 y2 of an image that shows these boxes (M, 4) and some surroundings, in the shape of a still."""
    boxes = boxes[np.isfinite(boxes).all(axis=1)]
    if not len(boxes):
        return 0, 0, width, height
    low, high = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    half = np.maximum((high - low) * (0.5 + _MARGIN), _SMALLEST_SHARE * min(width, height) / 2)
    half = np.maximum(half, [half[1] * _ASPECT, half[0] / _ASPECT])
    half = np.minimum(half, np.array([width, height]) / 2)
    centre = np.clip((low + high) / 2, half, np.array([width, height]) - half)
    (x1, y1), (x2, y2) = np.floor(centre - half).astype(int), np.ceil(centre + half).astype(int)
    return max(int(x1), 0), max(int(y1), 0), min(int(x2), width), min(int(y2), height)


def still_of(
    image: Image,
    people: TrackedPoses,
    skeleton: Skeleton,
    part: tuple[int, int, int, int],
    *,
    frame: int,
    named: np.ndarray,
    faces: np.ndarray | None = None,
) -> Still:
    """A part of a frame with its people drawn, scaled down.

    Args:
        image: of the whole frame.
        people: of the frame.
        skeleton: of their poses.
        part: x1 y1 x2 y2 in pixels.
        frame: its number in the video.
        named: (M, 4) boxes of the poses in question, which are framed.
        faces: regions (M, 4) to blur first.
    """
    if faces is not None:
        image = blurred_faces(image, faces)
    x1, y1, x2, y2 = part
    drawn = draw_people(image, people, skeleton)[y1:y2, x1:x2]
    if not drawn.size:  # of a folder of images, this one is smaller than the first one
        (x1, y1), drawn = (0, 0), draw_people(image, people, skeleton)
    scale = min(1.0, _WIDTH_PX / drawn.shape[1])
    size = max(1, round(drawn.shape[1] * scale)), max(1, round(drawn.shape[0] * scale))
    small = cv2.resize(drawn, size, interpolation=cv2.INTER_AREA)
    for box in named[np.isfinite(named).all(axis=1)]:
        left, top, right, bottom = np.rint((box - [x1, y1, x1, y1]) * scale).astype(int).tolist()
        for width, colour in _FRAME:
            cv2.rectangle(small, (left, top), (right, bottom), colour, width, cv2.LINE_AA)
    _, data = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    uri = "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()
    return Still(frame=frame, uri=uri, width=size[0], height=size[1])
