"""Images scaled to fit into the top left corner of a canvas, and boxes on the way back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from posetrail.errors import InputError
from posetrail.frame import Image, by_size
from posetrail.nms import nms
from posetrail.poses import Detections
from posetrail.similarity import box_area, box_iou

_STRIDE = 32  # pixels per cell of the coarsest feature level


def half_up(length: float) -> int:
    """Round to the nearest integer, halves up, as mmdetection does."""
    return int(length + 0.5)


@dataclass(frozen=True)
class Letterbox:
    """How an image is placed on a canvas, as the network was trained.

    Raises:
        InputError: `input_size` is not a multiple of 32.
    """

    input_size: int  # pixels of the longer side of the image
    square: bool  # the canvas is square; else its sides are the smallest multiples of 32
    rounding: Callable[[float], int]  # of the scaled sides: int in YOLOX, half_up in mmdetection, round in NanoDet
    canvas: tuple[int, int] | None = None  # height and width of the canvas, if it is not square
    grey: int = 114  # value around the image
    average_blocks: bool = (
        False  # average blocks of pixels first, against aliasing; YOLOX and RTMDet were trained without
    )

    def __post_init__(self) -> None:
        if self.input_size < _STRIDE or self.input_size % _STRIDE:
            raise InputError(f"input_size: expected a multiple of {_STRIDE} such as 640, got {self.input_size}")

    def scaled(self, size: tuple[int, int]) -> tuple[int, int]:
        """Height and width in the canvas of an image of this (height, width)."""
        height, width = self.canvas or (self.input_size, self.input_size)
        scale = min(height / size[0], width / size[1])
        return max(1, self.rounding(size[0] * scale)), max(1, self.rounding(size[1] * scale))

    def put(self, image: Image) -> Image:
        """The canvas (H, W, 3) with the image (h, w, 3) in its top left corner; channels keep their order."""
        height, width = self.scaled((image.shape[0], image.shape[1]))
        sides = self.canvas or (self.input_size, self.input_size)
        if not self.square:
            sides = _multiple_of_stride(height), _multiple_of_stride(width)
        if self.average_blocks:
            # Averaging whole blocks, then one bilinear step of less than 2, takes an eighth of the time of INTER_AREA.
            blocks = min(image.shape[0] // height, image.shape[1] // width)
            if blocks > 1:
                smaller = (image.shape[1] // blocks, image.shape[0] // blocks)
                image = cv2.resize(image, smaller, interpolation=cv2.INTER_AREA)
        canvas = np.full((*sides, 3), self.grey, np.uint8)
        canvas[:height, :width] = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
        return canvas

    def take(self, boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Boxes (N, 4) in pixels of the canvas as pixels of the image of this (height, width), clipped to it."""
        height, width = self.scaled(size)
        scale = np.array([size[1] / width, size[0] / height] * 2, np.float32)
        return np.clip(boxes * scale, 0, np.array([size[1], size[0]] * 2, np.float32))

    def detections(self, boxes: np.ndarray, scores: np.ndarray, image: Image) -> Detections:
        """Boxes (N, 4) in pixels of the canvas as detections of the image, without those outside of it."""
        height, width, _ = image.shape
        found = Detections(self.take(boxes, (height, width)), scores)
        return found[box_area(found.boxes) > 0]

    def people(self, boxes: np.ndarray, scores: np.ndarray, image: Image, nms_iou: float) -> Detections:
        """`detections` after box NMS, highest score first."""
        found = self.detections(boxes, scores, image)
        return found[nms(box_iou(found.boxes, found.boxes), found.scores, nms_iou)]

    def batches(self, images: Sequence[Image]) -> Iterator[tuple[list[int], np.ndarray]]:
        """Canvases of equal size as one array (B, H, W, 3) uint8, with the positions of their images."""
        canvases = [self.put(image) for image in images]
        for rows in by_size(canvases):
            yield rows, np.stack([canvases[row] for row in rows])


def _multiple_of_stride(length: int) -> int:
    return -(-length // _STRIDE) * _STRIDE
