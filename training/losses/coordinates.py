"""Losses of coordinates: absolute, squared and smooth absolute errors, and two wing losses.

Outputs and target are (B, K, 2), weights (B, K), or (B, K, 2) for each coordinate. Absolute, squared and smooth errors
are means over images, joints and coordinates. MMPose multiplies output and target by the weight instead of the loss,
which is the same for weights of 0 and 1.
"""

from __future__ import annotations

import math

from torch import Tensor
from torch.nn import functional as F

from training.losses.precision import precise


def l1(outputs: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    """Mean of weighted absolute errors."""
    return (per_coordinate(weights) * (precise(outputs) - target).abs()).mean()


def squared(outputs: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    """Mean of weighted squared errors."""
    return (per_coordinate(weights) * (precise(outputs) - target).square()).mean()


def smooth_l1(outputs: Tensor, target: Tensor, weights: Tensor, *, beta: float = 1.0) -> Tensor:
    """Mean of weighted errors that are squared below `beta` and absolute above.

    DeepPose is trained with it in MMPose, where coordinates are 0..1: with the default, all errors are squared.
    """
    outputs = precise(outputs)
    return (per_coordinate(weights) * F.smooth_l1_loss(outputs, target.to(outputs), reduction="none", beta=beta)).mean()


def wing(outputs: Tensor, target: Tensor, weights: Tensor, *, omega: float = 10.0, epsilon: float = 2.0) -> Tensor:
    """Wing loss, summed over joints and coordinates and averaged over images: small errors count more than in L1.

    Feng et al. 2018, "Wing Loss for Robust Facial Landmark Localisation with Convolutional Neural Networks", equation
    5. `omega` and `epsilon` are in the unit of the coordinates; the paper's are pixels.
    """
    errors = (precise(outputs) - target).abs()
    shift = omega * math.log1p(omega / epsilon) - omega
    losses = (omega * (errors / epsilon).log1p()).where(errors < omega, errors + shift)
    return (per_coordinate(weights) * losses).sum(dim=(1, 2)).mean()


def soft_wing(
    outputs: Tensor,
    target: Tensor,
    weights: Tensor,
    *,
    linear_below: float = 2.0,
    omega: float = 20.0,
    epsilon: float = 0.5,
) -> Tensor:
    """Soft wing loss, summed and averaged as `wing`: absolute for small errors, logarithmic for large ones.

    Lin et al. 2021, "Structure-Coherent Deep Feature Learning for Robust Face Alignment". Numbers are in the unit of
    the coordinates.
    """
    errors = (precise(outputs) - target).abs()
    shift = linear_below - omega * math.log1p(linear_below / epsilon)
    losses = errors.where(errors < linear_below, omega * (errors / epsilon).log1p() + shift)
    return (per_coordinate(weights) * losses).sum(dim=(1, 2)).mean()


def per_coordinate(weights: Tensor) -> Tensor:
    """Weights (B, K) or (B, K, 2) as (B, K, 1 or 2)."""
    return weights if weights.ndim == 3 else weights[..., None]
