"""Keypoint R-CNN from torchvision, a bottom-up network: boxes and COCO's joints of all people.

He et al. 2017, "Mask R-CNN", section 5. Source: torchvision, BSD-3-Clause; its weights are
`torchvision.models.get_weight("KeypointRCNN_ResNet50_FPN_Weights.COCO_V1").url`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from estimators.published import PUBLISHED
from posetrail.checkpoints import given_weights, load_checkpoint, load_into
from posetrail.frame import Frame, by_size, images_of
from posetrail.poses import Poses
from posetrail.runtime import Run, Runtime
from posetrail.similarity import box_area
from posetrail.skeletons import COCO_17, Skeleton
from posetrail.weights import Weights

if TYPE_CHECKING:
    from torch import nn

NAME = "torchvision:keypointrcnn_resnet50_fpn"

_LONGER_SIDE = 1333 / 800  # of the shorter side, at most: torchvision's limits
_MIN_SCORE = 0.05  # low, because the tracker has thresholds of its own
_LOGIT_OF_HALF = 2.0  # gets the score 0.5; Detectron draws joints from this logit on


class KeypointRCNN:
    """Keypoint R-CNN; a posetrail.protocols.BottomUp.

    Args:
        run: maps images (B, H, W, 3) uint8 RGB to boxes (B, M, 4), their scores (B, M), 0 for unused rows, keypoints
            (B, M, 17, 2) and their logits (B, M, 17).
        weights: description for the record of a run.
    """

    def __init__(self, run: Run, *, weights: Weights | None = None) -> None:
        self.weights = weights
        self._run = run

    @property
    def skeleton(self) -> Skeleton:
        """COCO's 17 joints."""
        return COCO_17

    def __call__(self, frames: Sequence[Frame]) -> list[Poses]:
        """Return one Poses per frame, highest score first."""
        images = images_of(frames)
        found = [Poses.empty(len(COCO_17))] * len(images)
        for rows in by_size(images):
            answers = self._run(np.stack([images[i] for i in rows]))
            for i, *answer in zip(rows, *answers, strict=True):
                found[i] = _people(*answer)
        return found


def _people(boxes: np.ndarray, scores: np.ndarray, keypoints: np.ndarray, logits: np.ndarray) -> Poses:
    """Poses from the used rows (M, ...), highest score first."""
    confidence = 1 / (1 + np.exp(np.clip(_LOGIT_OF_HALF - logits, -50, 50)))
    poses = Poses(keypoints, confidence, boxes, scores, np.zeros(len(boxes)))
    poses = poses[(scores > 0) & (box_area(boxes) > 0)]
    return poses[np.argsort(-poses.scores, kind="stable")]


def published(runtime: Runtime, *, weights: Path | str | None = None, input_size: int | None = None) -> KeypointRCNN:
    """Create Keypoint R-CNN.

    Args:
        runtime: where it runs.
        weights: its state dict; the stored one by default.
        input_size: pixels of the shorter image side, the longer being at most 5/3 of it; 800 by default.

    Raises:
        InputError: the weights are missing or of another network.
    """
    from estimators.networks.rcnn_people import RcnnPeople

    known = given_weights(NAME, weights, source="torchvision, BSD-3-Clause", table=PUBLISHED)
    module = _network(input_size or 800)
    load_into(module, load_checkpoint(known.path), known.path)
    return KeypointRCNN(runtime.load_module(RcnnPeople(module)), weights=known)


def _network(input_size: int) -> nn.Module:
    from torch.nn import BatchNorm2d
    from torchvision.models import get_model

    network: nn.Module = get_model(
        "keypointrcnn_resnet50_fpn",
        weights=None,
        weights_backbone=None,
        min_size=input_size,
        max_size=round(input_size * _LONGER_SIDE),
        box_score_thresh=_MIN_SCORE,
    )
    for module in network.modules():
        if isinstance(module, BatchNorm2d):
            # The published weights were trained before torchvision's frozen batch norm added 1e-5 to the variance.
            module.eps = 0.0
    return network
