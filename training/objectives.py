"""The objective of a training: a recipe's targets and loss as one function of outputs and joints."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from posetrail.errors import InputError
from training.loop import Objective
from training.losses.heatmaps import weighted_mse
from training.losses.posefix import posefix
from training.losses.rle import rle
from training.recipes import TrainingRecipe
from training.targets.heatmaps import gaussian_maps
from training.targets.joints import labelled_weights, without_nan
from training.targets.kinds import TARGETS

_MOVENET_STRIDE = 4
_REGRESSION_WEIGHT, _OFFSET_WEIGHT = 0.1, 1.0  # CenterNet (Zhou et al. 2019), section 4


def make_objective(recipe: TrainingRecipe, network: nn.Module, crop_size: tuple[int, int]) -> Objective:
    """The objective of a recipe.

    Args:
        recipe: names target and loss.
        network: of the estimator, without preprocessing; RLE's loss has parameters in it.
        crop_size: width and height, pixels.

    Raises:
        InputError: the recipe has a loss that its network does not have.
    """
    if recipe.target == "movenet":
        return partial(movenet_objective, crop_size=crop_size)
    if recipe.target == "posefix":
        return partial(posefix_objective, crop_size=crop_size)
    kind = TARGETS[recipe.target]
    loss: Callable[..., Tensor] | None = recipe.loss
    if loss is None:
        heads = dict(network.named_modules())
        if "head.loss_module.flow_model" not in heads:
            raise InputError(f"recipe: expected a network with the flow of RLE, got {recipe.network}")
        loss = partial(rle, flow=heads["head.loss_module.flow_model"])
    options = dict(recipe.target_options)
    if recipe.unlabelled_as_empty:
        options["unlabelled_as_empty"] = True
    if recipe.invisible_as_empty:
        loss = partial(loss, invisible_as_empty=True)

    def objective(outputs: Any, keypoints: Tensor, visibility: Tensor) -> Tensor:
        target, weights = kind(keypoints, visibility, crop_size, **options)
        return loss(outputs, target, weights)

    return objective


def posefix_objective(outputs: Tensor, keypoints: Tensor, visibility: Tensor, crop_size: tuple[int, int]) -> Tensor:
    """The loss of PoseFix of logits (B, K, h, w) for joints (B, K, 2) in pixels of the crop."""
    cells = without_nan(keypoints) * (outputs.shape[2] / crop_size[1])
    return posefix(outputs, cells, labelled_weights(visibility))


def sstn_objective(
    outputs: Any, keypoints: Tensor, visibility: Tensor, crop_size: tuple[int, int], *, stride: int = 4
) -> Tensor:
    """The loss of `estimators.networks.sstn.SSTN` in training: of its heatmaps, and of its frozen branch.

    Fang et al. 2017, section 3.2: the frozen branch is compared with the joints in the middle of the crop.

    Args:
        outputs: heatmaps (B, K, H, W) mapped back, and those of the frozen branch.
        keypoints: (B, K, 2) pixels of the crop.
        visibility: (B, K).
        crop_size: width and height, pixels.
        stride: pixels per cell of the heatmaps.
    """
    maps, frozen = outputs
    target, weights = gaussian_maps(keypoints, visibility, crop_size, stride=stride)
    centred, centred_weights = gaussian_maps(
        in_the_middle(keypoints, visibility, crop_size), visibility, crop_size, stride=stride
    )
    return weighted_mse(maps, target, weights) + weighted_mse(frozen, centred, centred_weights)


def in_the_middle(keypoints: Tensor, visibility: Tensor, crop_size: tuple[int, int]) -> Tensor:
    """Joints (B, K, 2) moved so that the middle of the box around the labelled ones is that of the crop."""
    labelled = (labelled_weights(visibility) > 0)[..., None]
    places = without_nan(keypoints)
    low = places.where(labelled, torch.inf).amin(dim=1, keepdim=True)
    high = places.where(labelled, -torch.inf).amax(dim=1, keepdim=True)
    shift = (places.new_tensor(crop_size) - 1) / 2 - (low + high) / 2
    return places + shift.where(shift.isfinite(), 0.0)


def movenet_objective(outputs: Any, keypoints: Tensor, visibility: Tensor, crop_size: tuple[int, int]) -> Tensor:
    """The loss of MoveNet's four maps, as CenterNet trains them (Zhou et al. 2019, "Objects as Points", section 4).

    Google did not publish how MoveNet was trained. Heat and centre are trained with the focal loss of the paper,
    regression and offsets with absolute errors, at the cells that decoding reads.

    Args:
        outputs: heat (B, K, H, W), centre (B, 1, H, W), both 0..1; regress and offset (B, 2 K, H, W) cells.
        keypoints: (B, K, 2) pixels of the crop.
        visibility: (B, K).
        crop_size: width and height, pixels.
    """
    heat, centre, regress, offset = outputs
    B, K, H, W = heat.shape
    size = torch.tensor([W, H], device=heat.device)
    places = without_nan(keypoints) / _MOVENET_STRIDE  # cells
    labelled = labelled_weights(visibility)
    weights = labelled * ((places >= 0) & (places < size)).all(dim=-1)
    cells = places.long().clamp(min=0).minimum(size - 1)  # (B, K, 2)
    middle = (places * labelled[..., None]).sum(1) / labelled.sum(1, keepdim=True).clamp(min=1)
    middle_cells = middle.long().clamp(min=0).minimum(size - 1)  # (B, 2)
    has_any = (labelled.sum(1) > 0).float()

    target, _ = gaussian_maps(cells * float(_MOVENET_STRIDE), weights, crop_size, stride=_MOVENET_STRIDE)
    middles = (middle_cells * float(_MOVENET_STRIDE))[:, None]
    centre_target, _ = gaussian_maps(middles, has_any[:, None], crop_size, stride=_MOVENET_STRIDE)
    loss = _focal(heat, target, labelled) + _focal(centre, centre_target, has_any[:, None])

    b, k = torch.arange(B, device=heat.device), torch.arange(K, device=heat.device)
    predicted = regress[b, :, middle_cells[:, 1], middle_cells[:, 0]].unflatten(1, (K, 2)).flip(-1)  # x y
    errors = (predicted - (places - middle_cells[:, None])).abs().sum(-1)
    loss = loss + _REGRESSION_WEIGHT * (labelled * errors).mean()
    within = offset.unflatten(1, (K, 2))[b[:, None], k, :, cells[..., 1], cells[..., 0]].flip(-1)
    return loss + _OFFSET_WEIGHT * (weights * F.l1_loss(within, places - cells, reduction="none").sum(-1)).mean()


def _focal(maps: Tensor, target: Tensor, weights: Tensor, *, alpha: float = 2.0, beta: float = 4.0) -> Tensor:
    """CenterNet's focal loss (equation 1) of maps (B, K, H, W) in 0..1, averaged over maps of weight above 0."""
    p = maps.clamp(1e-4, 1 - 1e-4)
    at_joint = (target == 1).float()
    positive = at_joint * (1 - p) ** alpha * p.log()
    negative = (1 - at_joint) * (1 - target) ** beta * p**alpha * (1 - p).log()
    return -((positive + negative).sum(dim=(2, 3)) * weights).mean()
