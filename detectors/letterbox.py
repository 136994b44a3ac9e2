"""Images scaled to fit into a grey canvas, as YOLOX and RTMDet were trained, and boxes on the way back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from posetrail.errors import InputError
from posetrail.frame import Image, by_size
from posetrail.nms import suppress
from posetrail.poses import Detections
from posetrail.similarity import box_area, box_iou

_GREY = 114
_STRIDE = 32  # pixels per cell of the coarsest level


@dataclass(frozen=True)
class Letterbox:
    """The way of an image into a canvas and of boxes out of it; the image lies in the top left corner.

    Raises:
        InputError: `input_size` is no multiple of 32.
    """

    input_size: int  # the longer side of the image becomes so many pixels
    square: bool  # the canvas is square; else as small as multiples of 32 allow
    rounding: float  # added before a scaled side is cut off to whole pixels: 0 in YOLOX, 0.5 in mmdetection
    canvas: tuple[int, int] | None = None  # height and width of another canvas than a square one

    def __post_init__(self) -> None:
        if self.input_size < _STRIDE or self.input_size % _STRIDE:
            raise InputError(f"input_size: wanted a multiple of {_STRIDE} such as 640, got {self.input_size}")

    def scaled(self, size: tuple[int, int]) -> tuple[int, int]:
        """Height and width that an image of this (height, width) has in the canvas."""
        height, width = self.canvas or (self.input_size, self.input_size)
        scale = min(height / size[0], width / size[1])
        return max(1, int(size[0] * scale + self.rounding)), max(1, int(size[1] * scale + self.rounding))

    def put(self, image: Image) -> Image:
        """The canvas (H, W, 3) with the image (h, w, 3) in it, channels in its order."""
        height, width = self.scaled((image.shape[0], image.shape[1]))
        sides = self.canvas or (self.input_size, self.input_size)
        if not self.square:
            sides = _whole_cells(height), _whole_cells(width)
        canvas = np.full((*sides, 3), _GREY, np.uint8)
        # Plain bilinear, aliasing and all: the networks were trained on it.
        canvas[:height, :width] = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
        return canvas

    def take(self, boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Boxes (N, 4) from pixels of the canvas to pixels of the image of this (height, width), cut at its borders."""
        height, width = self.scaled(size)
        scale = np.array([size[1] / width, size[0] / height] * 2, np.float32)
        return np.clip(boxes * scale, 0, np.array([size[1], size[0]] * 2, np.float32))

    def people(self, boxes: np.ndarray, scores: np.ndarray, image: Image, nms_iou: float) -> Detections:
        """Boxes (N, 4) of the canvas, best score (N,) first, as people of the image; of those alike the best stays."""
        height, width, _ = image.shape
        people = Detections(self.take(boxes, (height, width)), scores)
        people = people[box_area(people.boxes) > 0]  # the rest lay in the padding, or inside out
        return people[suppress(box_iou(people.boxes, people.boxes), people.scores, nms_iou)]

    def batches(self, images: Sequence[Image]) -> Iterator[tuple[list[int], np.ndarray]]:
        """Canvases of one size in one array (B, H, W, 3) uint8, and the positions of their images."""
        canvases = [self.put(image) for image in images]
        for rows in by_size(canvases):
            yield rows, np.stack([canvases[row] for row in rows])


def _whole_cells(length: int) -> int:
    return -(-length // _STRIDE) * _STRIDE
