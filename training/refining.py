"""Training of refiners: poses with errors as their input, and their validation."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from estimators.networks.posefix import expected_cells, pose_maps
from estimators.refiner_recipes import RefinerRecipe
from estimators.refiners import PoseRefiner, Refine
from posetrail.frame import Frame
from posetrail.layers import FromBytes
from posetrail.poses import Poses
from training.data.image_files import read_image
from training.error_synthesis import wrong_pose
from training.samples import Samples
from training.validation import Estimates, people_of_images

_VALIDATION = 2  # tells the random numbers of validation from those of training


class FromPoses(nn.Module):
    """A refiner with its preprocessing and the maps of its input pose, so that both are made on the device.

    Args:
        network: takes (N, 3 + K, H, W).
        recipe: of the refiner.
    """

    def __init__(self, network: nn.Module, recipe: RefinerRecipe) -> None:
        super().__init__()
        self.network = network
        self.recipe = recipe
        self._image = FromBytes(nn.Identity(), recipe.preprocessing)

    def forward(self, crops: Tensor, keypoints: Tensor) -> Tensor:
        """Crops (N, H, W, 3) uint8 RGB and poses (N, K, 2), pixels of the crop -> logits (N, K, h, w)."""
        size = crops.shape[2], crops.shape[1]
        maps = pose_maps(keypoints.float(), size, self.recipe.sigma_px)
        return self.network(torch.cat([self._image(crops), maps], dim=1))


def with_errors_of_validation(samples: Samples, seed: int) -> np.ndarray:
    """The joints (N, K, 2) of all people with errors, the same ones for a seed."""
    poses = [wrong_pose(np.random.default_rng([seed, _VALIDATION, row]), samples, row) for row in range(len(samples))]
    return np.array(poses).reshape(samples.keypoints.shape)


def refined(refiner: PoseRefiner, samples: Samples, wrong: np.ndarray) -> Estimates:
    """What a refiner makes of wrong poses (N, K, 2) of all samples."""
    keypoints = wrong.copy()
    scores = np.isfinite(wrong).all(axis=2).astype(float)
    for image, rows in people_of_images(samples):
        frame = Frame(image, 0.0, samples.images[image].name, read_image(samples.images[image]))
        N = len(rows)
        poses = Poses(wrong[rows], scores[rows], samples.boxes[rows], np.ones(N), np.zeros(N))
        keypoints[rows] = refiner([frame], [poses], samples.skeleton)[0].keypoints
    return Estimates(keypoints, scores)


def refiner_in_training(module: nn.Module, recipe: RefinerRecipe) -> PoseRefiner:
    """The refiner of a module that maps crops and poses to logits, with the skeleton and the crops of a recipe."""
    return PoseRefiner(_refine(module, recipe), recipe)


def _refine(module: nn.Module, recipe: RefinerRecipe) -> Refine:
    device = next(module.parameters()).device

    def refine(crops: np.ndarray, keypoints: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            given = torch.from_numpy(np.ascontiguousarray(crops)), torch.from_numpy(keypoints.astype(np.float32))
            logits = module(*(each.to(device) for each in given)).float()
            return (expected_cells(logits) * (recipe.input_size[1] / logits.shape[2])).cpu().numpy()

    return refine
