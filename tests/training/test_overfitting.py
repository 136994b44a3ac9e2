"""Overfitting four drawn figures: a published network, its recipe and the decoder fit together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from estimators.recipes import RECIPES
from estimators.top_down import TopDown
from estimators.trained import Training
from posetrail.frame import Frame
from posetrail.poses import Poses
from posetrail.skeletons import COCO_17
from training.figures import draw_figures
from training.initial import initialise_head
from training.losses.heatmaps import weighted_mse
from training.targets.kinds import TARGETS

SIZE = (96, 128)
STEPS = 80


def test_four_figures_are_overfitted_to_less_than_two_percent_of_the_loss_of_zeros() -> None:
    images, keypoints, visibility = draw_figures(4, 1, SIZE)
    torch.manual_seed(0)
    network = Training(network="simplebaseline_r18", skeleton=COCO_17, input_size=SIZE).make()
    initialise_head(network)
    recipe = replace(RECIPES["simplebaseline_r18"].of_height(SIZE[1]), padding=(1.0, 1.0))
    crops = torch.from_numpy(recipe.preprocessing(images))
    target, weights = TARGETS["gaussian"](torch.from_numpy(keypoints), torch.from_numpy(visibility), SIZE, sigma=2.0)
    zeros = weighted_mse(torch.zeros_like(target), target, weights)
    optimiser = torch.optim.Adam(network.parameters(), 1e-3)
    for _ in range(STEPS):
        loss = weighted_mse(network(crops), target, weights)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss < 0.02 * zeros
    estimator = TopDown(lambda _: (network(crops).detach().numpy(),), recipe)
    box = np.array([[0.0, 0, *SIZE]])
    poses = Poses.concatenate(estimator([Frame(i, 0.0, "", image) for i, image in enumerate(images)], [box] * 4))
    torso = np.linalg.norm(keypoints[:, 5] - keypoints[:, 12], axis=1)[:, None]
    distances = np.linalg.norm(poses.keypoints - keypoints, axis=2)
    assert (distances <= 0.2 * torso)[visibility > 0].all()
