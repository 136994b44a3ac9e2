"""Refiners: networks that correct poses of any estimator by looking at the image again, with the pose as an input.

A refiner takes the joints that its skeleton shares with that of the poses, by name; the others stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from estimators.affine import inverted, transformed, warped
from estimators.crops import usable_boxes
from estimators.published import PUBLISHED
from estimators.refiner_recipes import REFINERS, RefinerRecipe
from estimators.trained import load_trained, read_training
from posetrail.checkpoints import given_weights, load_checkpoint, load_into
from posetrail.errors import InputError, unknown_name
from posetrail.frame import Frame, Image
from posetrail.joint_mapping import mapped, meaning
from posetrail.poses import Poses
from posetrail.runtime import Runtime
from posetrail.similarity import keypoint_boxes
from posetrail.skeletons import Skeleton
from posetrail.weights import Weights

if TYPE_CHECKING:
    from torch import nn

_CROPS_AT_ONCE = 8  # limits the memory: the input of a person takes 4 to 9 MB

Refine = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Crops (B, height, width, 3) uint8 RGB and the poses in them, (B, K, 2) pixels of the crop with NaN where missing, to
the corrected poses (B, K, 2)."""


class PoseRefiner:
    """Corrects poses by a network; a posetrail.protocols.Refiner.

    Args:
        refine: corrects poses in crops.
        recipe: of the crops.
        weights: description for the record of a run.
        flip_test: average with the mirrored crop; takes twice the time.
    """

    def __init__(
        self, refine: Refine, recipe: RefinerRecipe, *, weights: Weights | None = None, flip_test: bool = False
    ) -> None:
        self._refine = refine
        self.recipe, self.weights, self.flip_test = recipe, weights, flip_test

    def __call__(self, frames: Sequence[Frame], poses: Sequence[Poses], skeleton: Skeleton) -> list[Poses]:
        """Correct the joints of all people.

        Joints that are missing, and those that the skeleton of the refiner does not have, stay as they are; so do
        scores, boxes and people with fewer than two joints in the image.

        Args:
            frames: the batch; images of any sizes.
            poses: of each frame.
            skeleton: of the poses.

        Returns:
            the same people, one Poses per frame.
        """
        return [self._of_frame(frame.image, each, skeleton) for frame, each in zip(frames, poses, strict=True)]

    def _of_frame(self, image: Image, poses: Poses, skeleton: Skeleton) -> Poses:
        own = self.recipe.skeleton
        given, _ = mapped(poses.keypoints, poses.keypoint_scores, skeleton, own)
        rows = np.flatnonzero(usable_boxes(keypoint_boxes(given), image.shape[:2]))
        keypoints = poses.keypoints.copy()
        columns = {meaning(own, joint): k for k, joint in enumerate(own.joints)}
        pairs = [
            (k, columns[name])
            for k, joint in enumerate(skeleton.joints)
            if (name := meaning(skeleton, joint)) in columns
        ]
        theirs, ours = (np.array(each, int) for each in zip(*pairs, strict=True)) if pairs else (np.zeros(0, int),) * 2
        for start in range(0, len(rows), _CROPS_AT_ONCE):
            some = rows[start : start + _CROPS_AT_ONCE]
            refined = self._placed(image, given[some])[:, ours]
            before = keypoints[some[:, None], theirs]
            keypoints[some[:, None], theirs] = np.where(np.isfinite(before), refined, before)
        return replace(poses, keypoints=keypoints)

    def _placed(self, image: Image, keypoints: np.ndarray) -> np.ndarray:
        """Corrected joints (B, K, 2) of people (B, K, 2), all in pixels of the image."""
        matrices = self.recipe.crops(keypoints)
        crops = np.stack([warped(image, matrix, self.recipe.input_size) for matrix in matrices])
        inside = transformed(keypoints, matrices)
        refined = self._refine(crops, inside)
        if self.flip_test:
            there = self._refine(np.ascontiguousarray(crops[:, :, ::-1]), self._mirrored(inside))
            refined = (refined + self._mirrored(there)) / 2
        return transformed(refined, inverted(matrices))

    def _mirrored(self, keypoints: np.ndarray) -> np.ndarray:
        """Poses (B, K, 2) in the mirrored crop."""
        swapped = keypoints[:, self.recipe.skeleton.mirror].copy()
        swapped[..., 0] = self.recipe.input_size[0] - 1 - swapped[..., 0]
        return swapped


def create_refiner(
    name: str, *, runtime: Runtime, weights: Path | str | None = None, flip_test: bool = False
) -> PoseRefiner:
    """Create a refiner by its name in REFINERS.

    Args:
        name: of its recipe.
        runtime: where the network runs.
        weights: a file of `posetrail train`, or a checkpoint with the keys of the network.
        flip_test: as of PoseRefiner.

    Raises:
        InputError: the name is unknown, or the weights are missing, damaged or of another network.
    """
    if name not in REFINERS:
        raise unknown_name("refiner", name, REFINERS)
    training = None if weights is None else read_training(Path(weights))
    if training is not None and weights is not None:
        if training.network != name:
            raise InputError(f"weights {weights}: expected weights for {name}, got weights for {training.network}")
        network, known = load_trained(Path(weights), training)
        recipe = training.refiner
        return PoseRefiner(refine_by(network, recipe, runtime), recipe, weights=known, flip_test=flip_test)
    recipe = REFINERS[name]
    known = given_weights(name, weights, source="`posetrail train`", table=PUBLISHED)
    network = recipe.make(joints=len(recipe.skeleton))
    load_into(network, load_checkpoint(known.path), known.path)
    return PoseRefiner(refine_by(network, recipe, runtime), recipe, weights=known, flip_test=flip_test)


def refine_by(network: nn.Module, recipe: RefinerRecipe, runtime: Runtime) -> Refine:
    """Load a network that maps (N, 3 + K, H, W) to logits, such as PoseFix, for use in PoseRefiner."""
    import torch

    from estimators.networks.posefix import ExpectedJoints, pose_maps

    run = runtime.load_module(ExpectedJoints(network, recipe.input_size))

    def refine(crops: np.ndarray, keypoints: np.ndarray) -> np.ndarray:
        maps = pose_maps(torch.from_numpy(keypoints.astype(np.float32)), recipe.input_size, recipe.sigma_px)
        (joints,) = run(np.concatenate([recipe.preprocessing(crops), maps.numpy()], axis=1))
        return joints

    return refine
