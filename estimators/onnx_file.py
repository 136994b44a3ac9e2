"""Top-down estimators in ONNX files: SimCC, heatmaps or coordinates, recognised by the shapes of their outputs."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Self

import numpy as np

from estimators.published import PUBLISHED
from estimators.recipes import RECIPES, Recipe
from estimators.top_down import TopDown
from posetrail.checkpoints import given_weights
from posetrail.errors import InputError
from posetrail.preprocessing import normalised
from posetrail.runtime import Run, Runtime
from posetrail.skeletons import (
    AIC_14,
    BODY_25,
    COCO_17,
    COCO_WHOLEBODY_133,
    CROWDPOSE_14,
    HALPE_26,
    MPII_16,
    POSETRACK_15,
    Skeleton,
)

_OPEN_SIZE = (256, 192)  # height and width, for files that accept any

# The most common skeleton for each number of joints; for 14 CrowdPose, for which MMPose has more networks than for AIC.
_SKELETONS = {
    len(skeleton): skeleton
    for skeleton in (AIC_14, CROWDPOSE_14, POSETRACK_15, MPII_16, COCO_17, BODY_25, HALPE_26, COCO_WHOLEBODY_133)
}


class OnnxEstimator(TopDown):
    """Pose estimator in an ONNX file that takes crops (N, 3, H, W) float32 RGB; a posetrail.protocols.Estimator.

    Its kind is recognised by its outputs: vectors (N, K, b W) and (N, K, b H) are SimCC; (N, K, h, w) are heatmaps;
    (N, K, 2) are x y as shares of the crop, (N, K, 4) with their spreads. The number of joints K gives the skeleton.
    Crops are 1.25 times as large as the box. A file of `posetrail models export` names its network, whose recipe is
    used.

    Args:
        runtime: where it runs.
        path: the file.
        normalisation: "imagenet", "0..1" or "0..255"; by default that of the named network, or "imagenet".
        crop_scale: as of TopDown.
        crop_mask_margin: as of TopDown.
        flip_test: as of TopDown.
        decoder: as of TopDown; "quarter" by default. Give "udp" for networks trained with UDP.

    Raises:
        InputError: the file cannot be read, its kind is unknown, or an option is unusable.
    """

    def __init__(
        self,
        runtime: Runtime,
        *,
        path: Path,
        normalisation: str | None = None,
        crop_scale: float | None = None,
        crop_mask_margin: float | None = None,
        flip_test: bool = False,
        decoder: str | None = None,
    ) -> None:
        file = runtime.load_file(path, _OPEN_SIZE)
        height, width = file.input_size or _OPEN_SIZE
        answer = file.run(np.zeros((1, 3, height, width), np.float32))
        recipe = recipe_for(path, answer, (width, height))
        known = PUBLISHED.get(file.metadata.get("name", ""))
        if known is not None and known.network in RECIPES:
            recipe = replace(RECIPES[known.network], input_size=recipe.input_size)
        if normalisation is not None:
            recipe = replace(recipe, preprocessing=normalised(normalisation))
        weights = given_weights(path.name, path, source=f"{recipe.output} of {recipe.skeleton.name}, {file.provider}")
        self.run = file.run
        super().__init__(
            lambda crops: self.run(recipe.preprocessing(crops)),
            recipe,
            weights=replace(weights, precision=file.precision),
            crop_scale=crop_scale,
            crop_mask_margin=crop_mask_margin,
            flip_test=flip_test,
            decoder=decoder,
        )

    def with_run(self, run: Run) -> Self:
        """This estimator with another function in place of the file's network, (B, 3, H, W) to its outputs."""
        other = copy.copy(self)
        other.run = run
        other._run = lambda crops: run(self.recipe.preprocessing(crops))
        return other


def recipe_for(path: Path, answer: tuple[np.ndarray, ...], crop_size: tuple[int, int]) -> Recipe:
    """Choose the recipe of a file by its outputs for one crop.

    Args:
        path: for the error message.
        answer: its outputs.
        crop_size: width and height, pixels.

    Raises:
        InputError: the kind of estimator is unknown.
    """
    width, height = crop_size
    shapes = [output.shape for output in answer]
    match shapes:
        case [(1, joints, x), (1, same, y)] if joints == same and x % width == 0 and x // width == y / height:
            return Recipe(input_size=crop_size, output="simcc", skeleton=_skeleton_of(joints, path))
        case [(1, joints, 2 | 4)]:
            return Recipe(input_size=crop_size, output="coordinates", skeleton=_skeleton_of(joints, path))
        case [*_, (1, joints, rows, columns)] | [(1, _, joints, rows, columns)] if rows * width == columns * height:
            return Recipe(input_size=crop_size, skeleton=_skeleton_of(joints, path))
    raise InputError(
        f"{path}: expected SimCC (1, K, {width} b), (1, K, {height} b), or heatmaps (1, K, h, w), or coordinates "
        f"(1, K, 2); for a crop of {width} x {height} got {', '.join(map(str, shapes))}"
    )


def _skeleton_of(joints: int, path: Path) -> Skeleton:
    if joints not in _SKELETONS:
        known = ", ".join(f"{K} {skeleton.name}" for K, skeleton in sorted(_SKELETONS.items()))
        raise InputError(f"{path}: expected the number of joints of a known skeleton ({known}), got {joints}")
    return _SKELETONS[joints]
