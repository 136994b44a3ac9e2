"""Mask R-CNN with a head for keypoints, torchvision's: boxes and COCO's joints by one network, with a file of weights.

He et al. 2017, "Mask R-CNN", section 5. Source: torchvision, BSD-3-Clause; its file of weights is at
download.pytorch.org/models, under the name that `torchvision.models.get_weight("KeypointRCNN_ResNet50_FPN_Weights.
COCO_V1").url` gives.
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

_LONGER_SIDE = 1333 / 800  # of the shorter one, at most: torchvision's limits
_MIN_SCORE = 0.05  # low, since the tracker has thresholds of its own
_UNSURE_LOGIT = 2.0  # from which on Detectron draws a joint: here a score of a half


class KeypointRCNN:
    """Images to people with their joints; a posetrail.protocols.BottomUp.

    Args:
        run: images (B, H, W, 3) uint8 RGB to boxes (B, M, 4), their scores (B, M), 0 where nobody is, keypoints
            (B, M, 17, 2) and their logits (B, M, 17).
        weights: their description, for a run's folder.
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
    """Those of the rows (M, ...) in which somebody is, surest first."""
    sure = 1 / (1 + np.exp(np.clip(_UNSURE_LOGIT - logits, -50, 50)))
    poses = Poses(keypoints, sure, boxes, scores, np.zeros(len(boxes)))
    poses = poses[(scores > 0) & (box_area(boxes) > 0)]
    return poses[np.argsort(-poses.scores, kind="stable")]


def published(runtime: Runtime, *, weights: Path | str | None = None, input_size: int | None = None) -> KeypointRCNN:
    """Keypoint R-CNN with weights that the user has.

    Args:
        runtime: where it runs.
        weights: its state dict.
        input_size: the image's shorter side is scaled to so many pixels, the longer to at most 5/3 of it; 800 when not
            given.

    Raises:
        InputError: no weights, or not those of this network.
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
            # torchvision trained it before its frozen batch norm added 1e-5 to the variance.
            module.eps = 0.0
    return network
