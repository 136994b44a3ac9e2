"""Published refiners with their recipes: crop, preprocessing and input maps, as in the authors' code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from estimators import makers
from estimators.affine import centres_and_sizes, crop_matrices
from posetrail.preprocessing import Preprocessing
from posetrail.similarity import keypoint_boxes
from posetrail.skeletons import COCO_17, Skeleton

if TYPE_CHECKING:
    from torch import nn

# As published: the mean of RGB is subtracted from BGR, without a division.
_PREPROCESSING = Preprocessing(bgr=True, mean=(123.68, 116.78, 103.94))


@dataclass(frozen=True, kw_only=True)
class RefinerRecipe:
    """Crop and inputs of a refiner."""

    make: Callable[..., nn.Module]
    """Builds the network with random weights; takes the number of `joints`."""
    input_size: tuple[int, int]
    """Width and height of the crop, pixels."""
    sigma_px: float
    """Standard deviation of the Gaussian that marks a joint in the input, pixels of the crop."""
    preprocessing: Preprocessing = _PREPROCESSING
    padding: float = 1.25
    """Size of the crop relative to the box around the joints, after that was enlarged to the aspect ratio."""
    skeleton: Skeleton = COCO_17

    def of(self, skeleton: Skeleton, input_size: tuple[int, int]) -> RefinerRecipe:
        """The recipe for other joints and crops; the Gaussians grow with the crop."""
        sigma_px = self.sigma_px * input_size[1] / self.input_size[1]
        return replace(self, skeleton=skeleton, input_size=input_size, sigma_px=sigma_px)

    def crops(self, keypoints: np.ndarray) -> np.ndarray:
        """Matrices (N, 2, 3) from image to crop, around the joints (N, K, 2)."""
        width, height = self.input_size
        centres, sizes = centres_and_sizes(keypoint_boxes(keypoints), aspect_ratio=width / height, padding=self.padding)
        return crop_matrices(centres, sizes, self.input_size)


REFINERS: dict[str, RefinerRecipe] = {
    "posefix_r50_256x192": RefinerRecipe(make=partial(makers.posefix, 50), input_size=(192, 256), sigma_px=7.0),
    "posefix_r152_384x288": RefinerRecipe(make=partial(makers.posefix, 152), input_size=(288, 384), sigma_px=9.0),
}
"""Recipes by name. The authors' weights are TensorFlow checkpoints; none are in PyTorch's format."""
