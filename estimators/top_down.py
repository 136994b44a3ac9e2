"""Top-down estimation with any network that takes crops of single people, according to its recipe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from estimators.affine import (
    centres_and_sizes,
    crop_matrices,
    inverted,
    transformed,
    unbiased_crop_matrices,
    warped,
)
from estimators.crops import in_usable_boxes
from estimators.heatmaps import DECODERS, cells_to_pixels, flip_average
from estimators.loading import loaded
from estimators.offsets import decode_grouped, mirrored_back
from estimators.recipes import RECIPES, Recipe
from estimators.simcc import decode_simcc, flip_average_simcc
from estimators.trained import load_trained, read_training
from posetrail.errors import InputError
from posetrail.frame import Frame, Image, images_of
from posetrail.poses import Poses
from posetrail.runtime import Run, Runtime
from posetrail.similarity import grown_boxes
from posetrail.skeletons import Skeleton
from posetrail.weights import Weights

if TYPE_CHECKING:
    from torch import nn

    from posetrail.layers import FromBytes

Answer = tuple[np.ndarray, ...]
Joints = tuple[np.ndarray, np.ndarray]
"""Keypoints (N, K, 2) in pixels of the crop, NaN where missing, and scores (N, K)."""


class TopDown:
    """Pose estimator with a network for crops of single people; a posetrail.protocols.Estimator.

    >>> recipe = Recipe(input_size=(192, 256))
    >>> estimator = TopDown(run_of(my_module, recipe, runtime), recipe)

    Args:
        run: maps crops (B, height, width, 3) uint8 RGB to the outputs that `recipe.output` describes, each (B, ...).
        recipe: preprocessing and decoding.
        weights: description for the record of a run.
        crop_scale: size of the crop relative to the box; the recipe's padding by default.
        crop_mask_margin: paint the crop outside the box enlarged by this share of its sides, in the colour that
            preprocessing maps to zero; None, as published networks were trained, for no mask.
        flip_test: average with the mirrored crop; takes twice the time.
        decoder: a name in `heatmaps.DECODERS`; the recipe's by default.

    Raises:
        InputError: an option is unusable.
    """

    def __init__(
        self,
        run: Run,
        recipe: Recipe,
        *,
        weights: Weights | None = None,
        crop_scale: float | None = None,
        crop_mask_margin: float | None = None,
        flip_test: bool = False,
        decoder: str | None = None,
    ) -> None:
        if crop_scale is not None and crop_scale <= 0:
            raise InputError(f"crop_scale: expected more than 0, such as 1.25, got {crop_scale}")
        if crop_mask_margin is not None and crop_mask_margin < 0:
            raise InputError(f"crop_mask_margin: expected 0 or more, such as 0.2, got {crop_mask_margin}")
        recipe = recipe.with_decoder(decoder)
        self.recipe = recipe if crop_scale is None else replace(recipe, padding=(crop_scale, crop_scale))
        self.weights = weights
        self.crop_mask_margin = crop_mask_margin
        self.flip_test = flip_test
        self._run = run

    @property
    def skeleton(self) -> Skeleton:
        """The skeleton of the recipe."""
        return self.recipe.skeleton

    @property
    def only_left_hands(self) -> bool:
        """Whether right hands must be given as mirrored images."""
        return self.recipe.only_left_hands

    def __call__(self, frames: Sequence[Frame], boxes: Sequence[np.ndarray]) -> list[Poses]:
        """Estimate the joints in every box; all are missing if a box is empty, not finite or outside the image.

        Args:
            frames: the batch; images of any sizes.
            boxes: per frame (N, 4) x1 y1 x2 y2 pixels.

        Returns:
            one Poses per frame, row i of it for box i.
        """
        return in_usable_boxes(images_of(frames), boxes, len(self.skeleton), self._place)

    def _place(self, images: Sequence[Image], boxes: np.ndarray) -> Joints:
        """Joints (N, K, 2) in pixels of the images, scores (N, K), of boxes (N, 4), one image for each."""
        matrices = crops_of(boxes, self.recipe)
        crops = np.stack([warped(i, m, self.recipe.input_size) for i, m in zip(images, matrices, strict=True)])
        if self.crop_mask_margin is not None:
            _mask(
                crops, transformed(grown_boxes(boxes, self.crop_mask_margin).reshape(-1, 2, 2), matrices), self.recipe
            )
        answer = self._run(crops)
        mirrored = self._run(crops[:, :, ::-1]) if self.flip_test else None
        keypoints, scores = _READERS[self.recipe.output](answer, mirrored, self.recipe)
        return transformed(keypoints, inverted(matrices)), np.clip(scores, 0, 1)


def published(
    runtime: Runtime,
    *,
    name: str,
    weights: Path | str | None = None,
    input_size: int | None = None,
    crop_scale: float | None = None,
    crop_mask_margin: float | None = None,
    flip_test: bool = False,
    decoder: str | None = None,
) -> TopDown:
    """Create an estimator with a network of RECIPES.

    Args:
        runtime: where it runs.
        name: in RECIPES.
        weights: a checkpoint of this network, which may be one of `posetrail train` with a skeleton of its own; the
            stored one by default.
        input_size: height of the crops in pixels, for weights of another size than the recipe's.
        crop_scale: as of TopDown.
        crop_mask_margin: as of TopDown.
        flip_test: as of TopDown.
        decoder: as of TopDown.

    Raises:
        InputError: the weights are missing or of another network, or an option is unusable.
    """
    training = None if weights is None else read_training(Path(weights))
    if training is not None and training.network != name:
        raise InputError(f"weights {weights}: expected weights for {name}, got weights for {training.network}")
    recipe = RECIPES[name] if training is None else training.recipe
    recipe = recipe.of_height(input_size).with_decoder(decoder)
    if weights is None or training is None:
        module, known = loaded(name, weights)
    else:
        module, known = load_trained(Path(weights), training)
    return TopDown(
        run_of(module, recipe, runtime),
        recipe,
        weights=known,
        crop_scale=crop_scale,
        crop_mask_margin=crop_mask_margin,
        flip_test=flip_test,
    )


def run_of(module: nn.Module, recipe: Recipe, runtime: Runtime) -> Run:
    """Load a torch module that takes normalised images (N, 3, H, W) float32 for use in TopDown.

    If the recipe has a map of the centre, the module takes it as a fourth channel.
    """
    from estimators.networks.last_output import LastOutput

    return runtime.load_module(from_bytes(module if recipe.output == "simcc" else LastOutput(module), recipe))


def from_bytes(module: nn.Module, recipe: Recipe) -> FromBytes:
    """A network with the preprocessing of its recipe, so that it takes crops (N, height, width, 3) uint8 RGB."""
    from posetrail.layers import FromBytes

    return FromBytes(module, recipe.preprocessing, recipe.centre_sigma_px)


def crops_of(boxes: np.ndarray, recipe: Recipe) -> np.ndarray:
    """Matrices (N, 2, 3) from image to crop, for crops around boxes (N, 4)."""
    padded = (boxes[:, 2:] - boxes[:, :2]) * (np.array(recipe.padding) - 1) / 2
    padded = np.concatenate([boxes[:, :2] - padded, boxes[:, 2:] + padded], axis=1)
    width, height = recipe.input_size
    centres, sizes = centres_and_sizes(padded, aspect_ratio=width / height, padding=1)
    matrices = unbiased_crop_matrices if recipe.crop == "unbiased" else crop_matrices
    return matrices(centres, sizes, recipe.input_size)


def _mask(crops: np.ndarray, kept: np.ndarray, recipe: Recipe) -> None:
    """Paint crops (N, h, w, 3) outside boxes (N, 2, 2), given by top left and bottom right corner x y."""
    corners = np.clip(np.round(kept), 0, recipe.input_size).astype(int)
    for crop, ((x1, y1), (x2, y2)) in zip(crops, corners, strict=True):
        inside = crop[y1:y2, x1:x2].copy()
        crop[:] = recipe.preprocessing.grey
        crop[y1:y2, x1:x2] = inside


def _read_heatmaps(answer: Answer, mirrored: Answer | None, recipe: Recipe) -> Joints:
    K = len(recipe.skeleton)  # a map of the background may follow
    maps = _last_maps(answer)[:, :K]
    if mirrored is not None:
        maps = flip_average(maps, _last_maps(mirrored)[:, :K], recipe.skeleton.mirror, shift=recipe.flip_shift)
    cells, scores = DECODERS[recipe.decoder](maps)
    map_size = maps.shape[3], maps.shape[2]
    return cells_to_pixels(cells, map_size, recipe.input_size, recipe.alignment), scores / recipe.highest


def _last_maps(answer: Answer) -> np.ndarray:
    """Heatmaps (N, K, h, w): the last output, or its last stack (N, S, K, h, w)."""
    return answer[-1] if answer[-1].ndim == 4 else answer[-1][:, -1]


def _read_simcc(answer: Answer, mirrored: Answer | None, recipe: Recipe) -> Joints:
    x, y = answer
    if mirrored is not None:
        x, y = flip_average_simcc((x, y), (mirrored[0], mirrored[1]), recipe.skeleton.mirror)
    return decode_simcc(x, y, bins_per_pixel=x.shape[2] / recipe.input_size[0])


def _read_coordinates(answer: Answer, mirrored: Answer | None, recipe: Recipe) -> Joints:
    keypoints, scores = _scaled(answer[-1], recipe)
    if mirrored is not None:
        there, mirrored_scores = _scaled(mirrored[-1][:, recipe.skeleton.mirror], recipe)
        there[..., 0] = recipe.input_size[0] - 1 - there[..., 0]
        keypoints, scores = (keypoints + there) / 2, (scores + mirrored_scores) / 2
    return keypoints, scores


def _scaled(answer: np.ndarray, recipe: Recipe) -> Joints:
    """Joints from shares of the crop (N, K, 2 or 4); a smaller spread scores higher (Li et al. 2021, RLE's code)."""
    spreads = 1 / (1 + np.exp(-np.maximum(answer[..., 2:], -50)))  # exp overflows beyond 88
    scores = 1 - spreads.mean(axis=2) if spreads.shape[2] else np.ones(answer.shape[:2])
    return answer[..., :2] * np.array(recipe.input_size), scores


def _read_offsets(answer: Answer, mirrored: Answer | None, recipe: Recipe) -> Joints:
    maps = answer[-1]
    if mirrored is not None:
        maps = (maps + mirrored_back(mirrored[-1], recipe.skeleton.mirror)) / 2
    cells, scores = decode_grouped(maps, recipe.decoder)
    return cells_to_pixels(cells, (maps.shape[3], maps.shape[2]), recipe.input_size, recipe.alignment), scores


_READERS = {
    "heatmaps": _read_heatmaps,
    "simcc": _read_simcc,
    "coordinates": _read_coordinates,
    "offsets": _read_offsets,
}
