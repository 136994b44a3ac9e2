"""Person detectors in ONNX files: YOLOX and RTMDet, with or without decoding, recognised by their output shapes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Self

import numpy as np

from detectors.decode import PERSON, STRIDES, Candidates, decode_rtmdet, decode_yolox
from detectors.letterbox import Letterbox
from posetrail.checkpoints import given_weights
from posetrail.errors import InputError
from posetrail.frame import Frame, images_of
from posetrail.poses import Detections
from posetrail.preprocessing import normalised
from posetrail.protocols import DETECTION_INTERVAL_S
from posetrail.runtime import Run, Runtime

Answer = tuple[np.ndarray, ...]
Read = Callable[[Answer, float], list[Candidates]]
"""Outputs of the network and the lowest score to keep, to the boxes and scores of people in each image."""

_OPEN_SIZE = 640  # for files that accept any input size
_GREY = 114  # around images, as in training


class OnnxDetector:
    """Person detector in an ONNX file that takes images (N, 3, H, W) float32 BGR; a posetrail.protocols.Detector.

    Its kind is recognised by its outputs for a canvas of H x W pixels: (N, A, 5 + C) is YOLOX, in cells or in pixels;
    (N, M, 5) with labels (N, M) are boxes after NMS, as MMDeploy exports RTMDet; maps per level are RTMDet without
    decoding. Person is the first class, or the only one.

    Args:
        runtime: where it runs.
        path: the file.
        normalisation: "imagenet", "0..1" or "0..255"; by default "0..255" for YOLOX and "imagenet" for the others. A
            YOLOX exported with NMS has the outputs of RTMDet: give "0..255" for it.
        input_size: pixels of the longer image side, for files that accept any size.
        min_score: boxes with a lower score are left out (0..1).
        nms_iou: of two boxes with a higher IoU, the one with the lower score is removed (0..1).

    Raises:
        InputError: the file cannot be read, its kind is unknown, or an option is unusable.
    """

    interval_s = DETECTION_INTERVAL_S

    def __init__(
        self,
        runtime: Runtime,
        *,
        path: Path,
        normalisation: str | None = None,
        input_size: int | None = None,
        min_score: float = 0.05,
        nms_iou: float = 0.65,
    ) -> None:
        file = runtime.load_file(path, (input_size or _OPEN_SIZE,) * 2)
        if file.input_size and input_size not in (None, max(file.input_size)):
            height, width = file.input_size
            raise InputError(
                f"{path}: has fixed inputs {height} high and {width} wide, got input_size {input_size}; leave it out"
            )
        size = file.input_size or (input_size or _OPEN_SIZE,) * 2
        answer = file.run(np.full((1, 3, *size), _GREY, np.float32))
        self.read, usual = reader_for(path, answer, size)
        preprocessing = normalised(normalisation or usual, bgr=True)
        self.run, self._preprocessing = file.run, preprocessing
        self._letterbox = Letterbox(max(size), square=True, rounding=int, canvas=size)
        weights = given_weights(path.name, path, source=f"person boxes, {file.provider}")
        self.weights = replace(weights, precision=file.precision)
        self.min_score = min_score
        self.nms_iou = nms_iou

    def __call__(self, frames: Sequence[Frame]) -> list[Detections]:
        """Return one Detections per frame: boxes in pixels, inside the image, highest score first."""
        images = images_of(frames)
        found = [Detections.empty()] * len(images)
        for rows, batch in self._letterbox.batches(images):
            for row, (boxes, scores) in zip(
                rows, self.read(self.run(self._preprocessing(batch)), self.min_score), strict=True
            ):
                found[row] = self._letterbox.people(boxes, scores, images[row], self.nms_iou)
        return found

    def with_run(self, run: Run) -> Self:
        """This detector with another function in place of the file's network, (B, 3, H, W) to its outputs."""
        other = copy.copy(self)
        other.run = run
        return other


def reader_for(path: Path, answer: Answer, size: tuple[int, int]) -> tuple[Read, str]:
    """Choose how to decode a file by its outputs for a grey canvas, and the usual normalisation of its kind.

    Args:
        path: for the error message.
        answer: its outputs.
        size: height and width of the canvas, pixels.

    Raises:
        InputError: the kind of detector is unknown.
    """
    cells = sum((size[0] // stride) * (size[1] // stride) for stride in STRIDES)
    shapes = [output.shape for output in answer]
    match shapes:
        case [(1, A, channels)] if cells == A and channels > 5:
            return partial(_read_yolox, grid=None if _in_pixels(answer[0], size) else _grid(size)), "0..255"
        case [(1, A, 4), (1, _, _), (1, _, 4)] if cells == A:
            return _read_yolox_parts, "0..255"
        case [(1, M, 5), (1, labels)] if labels == M:
            return _read_chosen, "imagenet"
        case [(1, _, _, _), (1, 4, _, _), (1, _, _, _), (1, 4, _, _), (1, _, _, _), (1, 4, _, _)]:
            return _read_rtmdet, "imagenet"
    raise InputError(
        f"{path}: expected YOLOX (1, {cells}, 5 + classes), or boxes (1, M, 5) and labels (1, M), or six maps; "
        f"for an image of {size[1]} x {size[0]} got {', '.join(map(str, shapes))}"
    )


def _in_pixels(answer: np.ndarray, size: tuple[int, int]) -> bool:
    """Whether boxes are in pixels rather than in cells: their centres are then spread over the canvas."""
    return bool(np.median(answer[0, :, :2]) > min(size) / 8)


def _grid(size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Corners (A, 2) x y in cells and strides (A, 1) of all cells, in YOLOX's order."""
    corners, strides = [], []
    for stride in STRIDES:
        y, x = np.mgrid[: size[0] // stride, : size[1] // stride]
        corners.append(np.stack([x.ravel(), y.ravel()], axis=1))
        strides.append(np.full((y.size, 1), stride))
    return np.concatenate(corners), np.concatenate(strides)


def _read_yolox(answer: Answer, min_score: float, *, grid: tuple[np.ndarray, np.ndarray] | None) -> list[Candidates]:
    boxes = answer[0][..., :4]
    if grid is not None:
        corners, strides = grid
        boxes = np.concatenate([(boxes[..., :2] + corners) * strides, np.exp(boxes[..., 2:]) * strides], axis=2)
    return decode_yolox(boxes, answer[0][..., 4:], min_score)


def _read_yolox_parts(answer: Answer, min_score: float) -> list[Candidates]:
    return decode_yolox(answer[2], answer[1], min_score)


def _read_rtmdet(answer: Answer, min_score: float) -> list[Candidates]:
    return decode_rtmdet(list(zip(answer[::2], answer[1::2], strict=True)), min_score)


def _read_chosen(answer: Answer, min_score: float) -> list[Candidates]:
    """Boxes with scores (B, M, 5) and labels (B, M) after NMS; unused rows have score 0 or label -1."""
    found = []
    for rows, labels in zip(*answer, strict=True):
        people = rows[(labels == PERSON) & (rows[:, 4] >= min_score)]
        people = people[np.argsort(-people[:, 4], kind="stable")]
        found.append((people[:, :4].astype(np.float32), people[:, 4].astype(np.float32)))
    return found
