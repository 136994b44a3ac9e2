"""torchvision's detectors as person detectors; nothing is downloaded.

Source: torchvision, BSD-3-Clause; its documentation names the paper of each network. Classes are COCO's, as torchvision
numbers them: 91 with the background first, person 1. `torchvision.models.get_weight("...").url` is the URL of a file.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from detectors.published import PUBLISHED
from posetrail.checkpoints import given_weights, load_checkpoint, load_into
from posetrail.errors import InputError, unknown_name
from posetrail.frame import Frame, by_size, images_of
from posetrail.poses import Detections
from posetrail.protocols import DETECTION_INTERVAL_S
from posetrail.runtime import Runtime
from posetrail.similarity import box_area

if TYPE_CHECKING:
    from torch import nn

NAMES = (
    "fasterrcnn_resnet50_fpn",
    "fasterrcnn_resnet50_fpn_v2",
    "fasterrcnn_mobilenet_v3_large_fpn",
    "fasterrcnn_mobilenet_v3_large_320_fpn",
    "retinanet_resnet50_fpn",
    "retinanet_resnet50_fpn_v2",
    "fcos_resnet50_fpn",
    "ssd300_vgg16",
    "ssdlite320_mobilenet_v3_large",
)

# torchvision trained these before its frozen batch norm added 1e-5 to the variance; it removes it for these files.
_NO_EPS = ("fasterrcnn_resnet50_fpn", "retinanet_resnet50_fpn")
_LONGER_SIDE = 1333 / 800  # of the shorter side, at most: torchvision's limits


class TorchvisionDetector:
    """Person detector from torchvision; a posetrail.protocols.Detector.

    Args:
        runtime: where the network runs.
        network: one of NAMES.
        weights: its state dict; the stored one by default.
        input_size: pixels of the shorter image side, the longer being at most 5/3 of it; by default 800 (320 for
            ..._320_fpn). The SSDs have a fixed size of 300 or 320 pixels and do not take it.
        min_score: boxes with a lower score are left out (0..1). Low, because the tracker has thresholds of its own.
        nms_iou: of two boxes with a higher IoU, the one with the lower score is removed (0..1); by default
            torchvision's value for this network.
        classes: number of classes of the weights, with the background; person is class 1.

    Raises:
        InputError: the network is unknown, the weights are missing or of another network, or an SSD is given an
            `input_size`.
    """

    interval_s = DETECTION_INTERVAL_S

    def __init__(
        self,
        runtime: Runtime,
        *,
        network: str = "fasterrcnn_resnet50_fpn_v2",
        weights: Path | str | None = None,
        input_size: int | None = None,
        min_score: float = 0.05,
        nms_iou: float | None = None,
        classes: int = 91,
    ) -> None:
        if network not in NAMES:
            raise unknown_name("network of torchvision", network, NAMES)
        options: dict[str, float] = {}
        prefix = "box_" if network.startswith("fasterrcnn") else ""
        options[f"{prefix}score_thresh"] = min_score
        if nms_iou is not None:
            options[f"{prefix}nms_thresh"] = nms_iou
        if input_size is not None:
            if network.startswith("ssd"):
                raise InputError(f"input_size: {network} has a fixed size; leave it out")
            options |= {"min_size": input_size, "max_size": round(input_size * _LONGER_SIDE)}
        self.weights = given_weights(
            f"torchvision:{network}", weights, source="torchvision, BSD-3-Clause", table=PUBLISHED
        )
        module = _network(network, classes, options)
        load_into(module, load_checkpoint(self.weights.path), self.weights.path)
        from detectors.networks.person_boxes import PersonBoxes

        self._run = runtime.load_module(PersonBoxes(module))

    def __call__(self, frames: Sequence[Frame]) -> list[Detections]:
        """Return one Detections per frame: boxes in pixels, inside the image, highest score first."""
        images = images_of(frames)
        found: list[Detections] = [Detections.empty()] * len(images)
        for rows in by_size(images):
            boxes, scores = self._run(np.stack([images[row] for row in rows]))
            for row, row_boxes, row_scores in zip(rows, boxes, scores, strict=True):
                order = np.argsort(-row_scores, kind="stable")
                people = Detections(row_boxes[order], row_scores[order])
                found[row] = people[(people.scores > 0) & (box_area(people.boxes) > 0)]
        return found


def _network(name: str, classes: int, options: dict[str, float]) -> nn.Module:
    from torch.nn import BatchNorm2d
    from torchvision.models import get_model

    network: nn.Module = get_model(name, weights=None, weights_backbone=None, num_classes=classes, **options)
    if name in _NO_EPS:
        for module in network.modules():
            if isinstance(module, BatchNorm2d):
                module.eps = 0.0
    return network
