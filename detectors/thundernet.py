"""ThunderNet as a person detector; the network is in networks/thundernet.py."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from detectors.published import PUBLISHED
from posetrail.checkpoints import given_weights, load_checkpoint, load_into
from posetrail.errors import InputError, unknown_name
from posetrail.frame import Frame, images_of
from posetrail.poses import Detections
from posetrail.preprocessing import Preprocessing
from posetrail.protocols import DETECTION_INTERVAL_S
from posetrail.runtime import Runtime
from posetrail.similarity import box_area

if TYPE_CHECKING:
    from detectors.networks.thundernet_head import Pooling

NAMES = ("thundernet_snet49", "thundernet_snet146", "thundernet_snet535")

_SOURCE = "https://github.com/DayBreak-u/Thundernet_Pytorch, no licence file"
_PREPROCESSING = Preprocessing(mean=(123.7, 116.3, 103.5))
_STRIDE = 32  # pixels per cell of the coarsest map
_VOC_CLASSES, _VOC_PERSON = 21, 15  # with the background, in alphabetical order
_PERSON = 1  # of other numbers of classes: COCO's first one, or people alone


class ThunderNet:
    """Person detector ThunderNet; a posetrail.protocols.Detector.

    The number of classes is that of the weights. Person is class 15 of VOC's 21 and class 1 of any other number, with
    the background as class 0.

    Args:
        runtime: where the network runs.
        network: one of NAMES.
        weights: a checkpoint of this network; the stored one by default.
        input_size: pixels of both sides of the input, to which the image is stretched; a multiple of 32.
        min_score: boxes with a lower score are left out (0..1). Low, because the tracker has thresholds of its own.
        nms_iou: of two boxes with a higher IoU, the one with the lower score is removed (0..1).
        pooling: how a bin of a region combines its four samples: "max" for weights of the published port, "mean" for
            weights trained as in the paper.
        proposals: number of regions that the second stage looks at.

    Raises:
        InputError: the network or the pooling is unknown, the weights are missing or of another network, or
            `input_size` or `proposals` is out of range.
    """

    interval_s = DETECTION_INTERVAL_S

    def __init__(
        self,
        runtime: Runtime,
        *,
        network: str = "thundernet_snet146",
        weights: Path | str | None = None,
        input_size: int = 320,
        min_score: float = 0.05,
        nms_iou: float = 0.5,
        pooling: Pooling = "max",
        proposals: int = 200,
    ) -> None:
        if network not in NAMES:
            raise unknown_name("network", network, NAMES)
        if pooling not in ("max", "mean"):
            raise unknown_name("pooling", pooling, ("max", "mean"))
        if input_size < _STRIDE or input_size % _STRIDE:
            raise InputError(f"input_size: expected a multiple of {_STRIDE} such as 320, got {input_size}")
        if proposals < 1:
            raise InputError(f"proposals: expected a number from 1, got {proposals}")
        self.input_size = input_size
        self.min_score = min_score
        self.weights = given_weights(network, weights, source=_SOURCE, table=PUBLISHED)
        from detectors import makers
        from detectors.networks.thundernet import ClassBoxes
        from posetrail.layers import FromBytes

        state = load_checkpoint(self.weights.path)
        classes = len(state["RCNN_cls_score.bias"]) if "RCNN_cls_score.bias" in state else _VOC_CLASSES
        module = makers.thundernet(network.removeprefix("thundernet_"), classes=classes, pooling=pooling)
        load_into(module, state, self.weights.path)
        person = _VOC_PERSON if classes == _VOC_CLASSES else _PERSON
        people = ClassBoxes(module, person, min_score=min_score, nms_iou=nms_iou, count=proposals)
        self._run = runtime.load_module(FromBytes(people, _PREPROCESSING))

    def __call__(self, frames: Sequence[Frame]) -> list[Detections]:
        """Return one Detections per frame: boxes in pixels, inside the image, highest score first."""
        images = images_of(frames)
        if not images:
            return []
        side = (self.input_size, self.input_size)
        batch = np.stack([cv2.resize(image, side, interpolation=cv2.INTER_LINEAR) for image in images])
        found = []
        for image, boxes, scores in zip(images, *self._run(batch), strict=True):
            scale = np.array([image.shape[1], image.shape[0]] * 2, np.float32) / self.input_size
            people = Detections(boxes * scale, scores)
            found.append(people[(people.scores > 0) & (box_area(people.boxes) > 0)])
        return found
