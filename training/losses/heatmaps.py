"""Losses of heatmaps: squared errors with weights and masks, of the hardest joints, of disks and offsets; wing loss."""

from __future__ import annotations

import torch
from torch import Tensor

from training.losses.precision import precise


def weighted_mse(outputs: Tensor, target: Tensor, weights: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean of weighted squared errors over images, joints and cells.

    As in MMPose 1.x. HRNet and Simple Baselines halve it and square the weight, which are 0 or 1 in their recipes.

    Args:
        outputs: (B, K, H, W).
        target: (B, K, H, W).
        weights: (B, K).
        mask: (B, H, W), 0 for cells that do not count, such as those of people without annotation.
    """
    errors = weights[..., None, None] * (precise(outputs) - target).square()
    return (errors if mask is None else errors * mask[:, None]).mean()


def ohkm_mse(outputs: Tensor, target: Tensor, weights: Tensor, *, hardest: int = 8) -> Tensor:
    """Mean of the largest weighted squared errors of joints: online hard keypoint mining.

    Chen et al. 2018, "Cascaded Pyramid Network", section 3.2. In each image, only the joints with the largest errors
    have a gradient. HRNet's code halves it.

    Args:
        outputs: (B, K, H, W).
        target: (B, K, H, W).
        weights: (B, K).
        hardest: number of joints per image that count; all if there are not more.
    """
    errors = weights * (precise(outputs) - target).square().mean(dim=(2, 3))
    return errors.topk(min(hardest, errors.shape[1]), dim=1).values.mean()


def half_squared_sum(outputs: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    """Half the sum of weighted squared errors over joints and cells, averaged over images.

    Caffe's Euclidean loss, with which CPM and OpenPose were trained; their learning rates for SGD are as small as this
    loss is large.

    Args:
        outputs: (B, K, H, W).
        target: (B, K, H, W).
        weights: (B, K).
    """
    errors = weights[..., None, None] * (precise(outputs) - target).square()
    return errors.sum(dim=(1, 2, 3)).mean() / 2


def disk_offset_mse(outputs: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    """Mean squared errors of disks, and of offsets inside the disks of the target, added.

    For the targets of `targets.heatmaps.udp_offset_maps`; UDP's authors halve it.

    Args:
        outputs: (B, 3 K, H, W) disk, x offset, y offset of each joint.
        target: (B, 3 K, H, W).
        weights: (B, K).
    """
    grouped = torch.unflatten(target, 1, (-1, 3))
    errors = (torch.unflatten(precise(outputs), 1, (-1, 3)) - grouped).square() * weights[..., None, None, None]
    return errors[:, :, 0].mean() + 2 * (errors[:, :, 1:] * grouped[:, :, :1]).mean()


def adaptive_wing(
    outputs: Tensor,
    target: Tensor,
    weights: Tensor,
    *,
    alpha: float = 2.1,
    omega: float = 14.0,
    epsilon: float = 1.0,
    theta: float = 0.5,
) -> Tensor:
    """Mean adaptive wing loss: like a squared error on the background, like an absolute error near the joint.

    Wang, Bo, Fuxin 2019, "Adaptive Wing Loss for Robust Face Alignment via Heatmap Regression", equations 4 to 6, with
    the paper's constants.

    Args:
        outputs: (B, K, H, W).
        target: (B, K, H, W) 0..1.
        weights: (B, K).
        alpha: exponent on the background; above 2.
        omega: factor of the part for small errors.
        epsilon: width of the nonlinear part.
        theta: error at which the loss becomes linear.
    """
    errors = (precise(outputs) - target).abs()
    power = alpha - target
    ratio = theta / epsilon
    slope = omega * power * ratio ** (power - 1) / (epsilon * (1 + ratio**power))
    at_theta = omega * (1 + ratio**power).log()
    near = omega * ((errors / epsilon) ** power).log1p()
    losses = near.where(errors < theta, slope * (errors - theta) + at_theta)
    return (weights[..., None, None] * losses).mean()
