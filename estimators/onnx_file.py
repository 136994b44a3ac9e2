"""Top-down estimators in ONNX files: SimCC, heatmaps or coordinates, recognised by the shapes of their outputs.

Files that `posetrail models export` writes for trained weights hold the skeleton and the recipe of the training.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Self

import numpy as np

from estimators.movenet import CROP_SCALE, MASK_MARGIN, MoveNet
from estimators.published import PUBLISHED
from estimators.recipes import RECIPES, Recipe
from estimators.top_down import TopDown
from estimators.trained import MOVENET, Training, training_in
from posetrail.checkpoints import given_weights
from posetrail.errors import InputError
from posetrail.preprocessing import MINUS_1_TO_1, normalised
from posetrail.runtime import OnnxFile, Run, Runtime
from posetrail.skeletons import (
    AIC_14,
    BODY_25,
    COCO_17,
    COCO_WHOLEBODY_133,
    CROWDPOSE_14,
    FACE_68,
    FACE_106,
    HALPE_26,
    HAND_21,
    MPII_16,
    POSETRACK_15,
    Skeleton,
)
from posetrail.weights import Weights

_OPEN_SIZE = (256, 192)  # height and width, for files that accept any

# As in UDP.
_OFFSETS = Recipe(crop="unbiased", output="offsets", decoder="udp_offsets", alignment="ends", flip_shift=False)

# The most common skeleton for each number of joints; for 14 CrowdPose, for which MMPose has more networks than for AIC.
_SKELETONS = {
    len(skeleton): skeleton
    for skeleton in (
        *(AIC_14, CROWDPOSE_14, POSETRACK_15, MPII_16, COCO_17, HAND_21, BODY_25, HALPE_26),
        *(FACE_68, FACE_106, COCO_WHOLEBODY_133),
    )
}


@dataclass(frozen=True)
class OpenedFile:
    """An ONNX file that is loaded, and the training that its metadata describe, if any."""

    path: Path
    loaded: OnnxFile
    training: Training | None

    @property
    def weights(self) -> Weights:
        """How run.json describes the file."""
        source = self.loaded.provider
        if self.training is not None:
            source = f"posetrail train, {self.training.network} of {self.training.skeleton.name}, {source}"
        described = given_weights(self.path.name, self.path, source=source)
        return replace(described, precision=self.loaded.precision)


def opened(path: Path, runtime: Runtime) -> Callable[..., OnnxEstimator | OnnxMoveNet]:
    """Load a file; the result creates its estimator and takes the options of OnnxEstimator or OnnxMoveNet.

    Raises:
        InputError: the file cannot be read, or its description of a training is damaged.
    """
    loaded = runtime.load_file(path, _OPEN_SIZE)
    training = training_in(loaded.metadata, str(path))
    is_movenet = training is not None and training.network == MOVENET
    return partial(OnnxMoveNet if is_movenet else OnnxEstimator, OpenedFile(path, loaded, training))


class OnnxEstimator(TopDown):
    """Pose estimator in an ONNX file that takes crops (N, 3, H, W) float32 RGB; a posetrail.protocols.Estimator.

    Its kind is recognised by its outputs: vectors (N, K, b W) and (N, K, b H) are SimCC; (N, K, h, w) are heatmaps;
    (N, K, 2) are x y as shares of the crop, (N, K, 4) with their spreads. The number of joints K gives the skeleton.
    Crops are 1.25 times as large as the box. A file of `posetrail models export` names its network, whose recipe is
    used; one of trained weights also has the skeleton.

    Args:
        file: the file, from `opened`.
        normalisation: "imagenet", "0..1" or "0..255"; by default that of the named network, or "imagenet".
        crop_scale: as of TopDown.
        crop_mask_margin: as of TopDown.
        flip_test: as of TopDown.
        decoder: as of TopDown; that of the network, or "quarter", by default. Give "udp" for networks trained with UDP.

    Raises:
        InputError: the kind of the file is unknown, its outputs do not fit its description, or an option is unusable.
    """

    def __init__(
        self,
        file: OpenedFile,
        *,
        normalisation: str | None = None,
        crop_scale: float | None = None,
        crop_mask_margin: float | None = None,
        flip_test: bool = False,
        decoder: str | None = None,
    ) -> None:
        height, width = file.loaded.input_size or _OPEN_SIZE
        answer = file.loaded.run(np.zeros((1, 3, height, width), np.float32))
        known = PUBLISHED.get(file.loaded.metadata.get("name", ""))
        if file.training is not None:
            recipe = _trained_recipe(file.path, answer, (width, height), file.training)
        else:
            named = RECIPES.get(known.network) if known is not None else None
            recipe = _checked(file.path, answer, (width, height), named)
        if normalisation is not None:
            recipe = replace(recipe, preprocessing=normalised(normalisation))
        self.run = file.loaded.run
        super().__init__(
            lambda crops: self.run(recipe.preprocessing(crops)),
            recipe,
            weights=file.weights,
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


class OnnxMoveNet(MoveNet):
    """MoveNet Thunder as `posetrail models export` writes trained weights of it; a posetrail.protocols.Estimator.

    Args:
        file: the file, from `opened`.
        crop_scale: as of MoveNet.
        crop_mask_margin: as of MoveNet.
        flip_test: as of MoveNet.

    Raises:
        InputError: the outputs of the file do not fit its description, or an option is unusable.
    """

    def __init__(
        self,
        file: OpenedFile,
        *,
        crop_scale: float = CROP_SCALE,
        crop_mask_margin: float | None = MASK_MARGIN,
        flip_test: bool = False,
    ) -> None:
        assert file.training is not None
        self.set_options(crop_scale, crop_mask_margin, flip_test)
        self.skeleton, self.weights, self.run = file.training.skeleton, file.weights, file.loaded.run
        self._run = lambda crops: self.run(MINUS_1_TO_1(crops))
        K, size = len(self.skeleton), file.training.input_size
        self.recipe = Recipe(input_size=size, preprocessing=MINUS_1_TO_1, padding=(crop_scale,) * 2)
        shapes = [output.shape[1:] for output in self.run(np.zeros((1, 3, *size[::-1]), np.float32))]
        if shapes != (expected := [(channels, 64, 64) for channels in (K, 1, 2 * K, 2 * K)]):
            raise InputError(f"{file.path}: expected maps {expected} of {K} joints, got {shapes}; export it again")

    def with_run(self, run: Run) -> Self:
        """This estimator with another function in place of the file's network, (B, 3, H, W) to its outputs."""
        other = copy.copy(self)
        other.run = run
        other._run = lambda crops: run(MINUS_1_TO_1(crops))
        return other


def _trained_recipe(
    path: Path, answer: tuple[np.ndarray, ...], crop_size: tuple[int, int], training: Training
) -> Recipe:
    """The recipe of a training.

    Raises:
        InputError: the file has another input size or other outputs than the training.
    """
    recipe = training.recipe
    found = recipe_for(path, answer, crop_size, training.skeleton)
    if (found.output, found.input_size) != (recipe.output, recipe.input_size):
        raise InputError(
            f"{path}: expected {recipe.output} for crops {recipe.input_size} of {training.network}, got {found.output} "
            f"for {found.input_size}; export it again"
        )
    return recipe


def _checked(path: Path, answer: tuple[np.ndarray, ...], crop_size: tuple[int, int], named: Recipe | None) -> Recipe:
    """The recipe of the network that a file names, or one chosen by its outputs.

    Raises:
        InputError: the outputs are of no known kind.
    """
    if named is None:
        return recipe_for(path, answer, crop_size)
    return replace(named, input_size=recipe_for(path, answer, crop_size, named.skeleton).input_size)


def recipe_for(
    path: Path, answer: tuple[np.ndarray, ...], crop_size: tuple[int, int], skeleton: Skeleton | None = None
) -> Recipe:
    """Choose the recipe of a file by its outputs for one crop.

    Args:
        path: for the error message.
        answer: its outputs.
        crop_size: width and height, pixels.
        skeleton: of the joints; the most common one of their number if not given.

    Raises:
        InputError: the kind of estimator is unknown, or it has another number of joints than the skeleton.
    """
    width, height = crop_size
    shapes = [output.shape for output in answer]
    match shapes:  # of heatmaps, three per joint are disks and offsets
        case [(1, joints, x), (1, same, y)] if joints == same and x % width == 0 and x // width == y / height:
            return Recipe(input_size=crop_size, output="simcc", skeleton=_skeleton_of(joints, path, skeleton))
        case [(1, joints, 2 | 4)]:
            return Recipe(input_size=crop_size, output="coordinates", skeleton=_skeleton_of(joints, path, skeleton))
        case [*_, (1, joints, rows, columns)] | [(1, _, joints, rows, columns)] if rows * width == columns * height:
            if skeleton is not None and joints == 3 * len(skeleton):
                return replace(_OFFSETS, input_size=crop_size, skeleton=skeleton)
            if joints not in _SKELETONS and joints // 3 in _SKELETONS and joints % 3 == 0 and skeleton is None:
                return replace(_OFFSETS, input_size=crop_size, skeleton=_SKELETONS[joints // 3])
            return Recipe(input_size=crop_size, skeleton=_skeleton_of(joints, path, skeleton))
    raise InputError(
        f"{path}: expected SimCC (1, K, {width} b), (1, K, {height} b), or heatmaps (1, K, h, w), or coordinates "
        f"(1, K, 2); for a crop of {width} x {height} got {', '.join(map(str, shapes))}"
    )


def _skeleton_of(joints: int, path: Path, given: Skeleton | None) -> Skeleton:
    if given is not None:
        if joints not in (len(given), len(given) + 1):  # a map of the background may follow
            raise InputError(f"{path}: expected the {len(given)} joints of {given.name}, got {joints}; export it again")
        return given
    if joints not in _SKELETONS:
        known = ", ".join(f"{K} {skeleton.name}" for K, skeleton in sorted(_SKELETONS.items()))
        raise InputError(f"{path}: expected the number of joints of a known skeleton ({known}), got {joints}")
    return _SKELETONS[joints]
