"""Networks that see bright rectangles as people, and images of them: nothing is lost by JPEG or H.264."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import cv2
import numpy as np

from posetrail.frame import Frame, Image
from posetrail.poses import Detections, Poses
from posetrail.skeletons import COCO_17, Skeleton
from tests.worlds import STANDING
from tracker.inference.propagation import create_flow
from tracker.runs.networks import Networks

PEOPLE = ((10.0, 10.0), (60.0, 12.0))  # corners at the start, of images of 128 x 96
_SIZE = (16.0, 48.0)


def sight(number: int, size: tuple[int, int] = (128, 96)) -> Image:
    """Two bright people who walk to the right, on a dark wall; scaled to another size."""
    image = np.full((96, 128, 3), 20, np.uint8)
    for x, y in PEOPLE:
        left = x + number * 0.2
        cv2.rectangle(image, (round(left), round(y)), (round(left + _SIZE[0]), round(y + _SIZE[1])), (240,) * 3, -1)
    return image if size == (128, 96) else cv2.resize(image, size, interpolation=cv2.INTER_NEAREST)


def see(frames: Sequence[Frame]) -> list[Detections]:
    """A detector: the bright rectangles."""
    return [_rectangles(frame.image) for frame in frames]


def _rectangles(image: Image) -> Detections:
    bright = (image[:, :, 1] > 128).astype(np.uint8)
    _, _, stats, _ = cv2.connectedComponentsWithStats(bright)
    found = stats[1:][stats[1:, cv2.CC_STAT_AREA] > 50, :4].astype(np.float32)
    boxes = np.concatenate([found[:, :2], found[:, :2] + found[:, 2:]], axis=1).reshape(-1, 4)
    return Detections(boxes, np.full(len(boxes), 0.9))


class Stand:
    """An estimator: everybody stands upright in the box."""

    skeleton: Skeleton = COCO_17

    def __call__(self, frames: Sequence[Frame], boxes: Sequence[np.ndarray]) -> list[Poses]:
        return [self._stands(each) for each in boxes]

    def _stands(self, boxes: np.ndarray) -> Poses:
        keypoints = boxes[:, None, :2] + STANDING * (boxes[:, None, 2:] - boxes[:, None, :2])
        scores = np.full((len(boxes), 17), 0.9)
        return Poses(keypoints, scores, boxes, scores[:, 0], np.zeros(len(boxes), bool))


def sight_networks() -> Networks:
    return Networks(see, Stand(), create_flow("lk"), (), "cpu")


@contextmanager
def opened(*_: Any, **__: Any) -> Iterator[Networks]:
    """In place of `open_networks`."""
    yield sight_networks()


def images(size: Callable[[int], tuple[int, int]] = lambda _: (128, 96), count: int = 10**6) -> Iterator[Image]:
    return (sight(number, size(number)) for number in range(count))
