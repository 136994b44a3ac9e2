"""Residual log-likelihood (RLE): coordinates with spreads, whose errors follow a distribution that is learned too.

Li et al. 2021, "Human Pose Regression with Residual Log-likelihood Estimation". The distribution is a normalising flow,
RealNVP (Dinh et al. 2017), whose parameters are in the network, get their gradient from this loss, and have no part in
estimation.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from estimators.networks.deeppose import Flow
from training.losses.coordinates import per_coordinate
from training.losses.precision import precise

_TINY = 1e-9
_LOG_ROOT_2_PI = math.log(math.sqrt(2 * math.pi))
Base = Literal["laplace", "gaussian", "none", "authors"]


def rle(outputs: Tensor, target: Tensor, weights: Tensor, flow: Flow, *, base: Base = "laplace") -> Tensor:
    """Negative log-likelihood of the target, summed over joints and coordinates and averaged over images.

    As in MMPose and in the authors' code, the density of the flow, one for x and y, counts for both coordinates.

    Args:
        outputs: (B, K, 4) x y, and their spreads before the sigmoid.
        target: (B, K, 2), in the unit of the outputs.
        weights: (B, K), or (B, K, 2) for each coordinate.
        flow: of the network.
        base: density that the flow corrects: "laplace" (MMPose), "gaussian", "none" for the flow alone, or "authors",
            whose Laplacian has the constant of a Gaussian.
    """
    outputs = precise(outputs)
    positions, logits = outputs[..., :2], outputs[..., 2:]
    log_spreads = F.logsigmoid(logits)
    spreads = logits.sigmoid()
    differences = positions - target
    errors = differences / (spreads + (0 if base == "authors" else _TINY))
    losses = log_spreads - flow_log_density(flow, errors)[..., None]
    if base == "laplace":
        losses = losses + math.log(2) + log_spreads + errors.abs()
    elif base == "gaussian":
        losses = losses + _LOG_ROOT_2_PI + log_spreads + errors.square() / 2
    elif base == "authors":
        scaled = differences.abs() / (math.sqrt(2) * spreads + _TINY)
        losses = losses + _LOG_ROOT_2_PI + log_spreads + scaled
    return (per_coordinate(weights) * losses).sum(dim=(1, 2)).mean()


def flow_log_density(flow: Flow, errors: Tensor) -> Tensor:
    """Logarithm (...) of the flow's density at errors (..., 2)."""
    normal, log_determinant = normalised(flow, errors)
    return -normal.square().sum(dim=-1) / 2 - 2 * _LOG_ROOT_2_PI + log_determinant


def normalised(flow: Flow, errors: Tensor) -> tuple[Tensor, Tensor]:
    """Errors (..., 2) mapped to the flow's normal distribution, and the logarithm (...) of the map's determinant."""
    log_determinant = torch.zeros_like(errors[..., 0])
    masks = flow.get_buffer("mask").flip(0)
    for mask, scale, shift in zip(masks, reversed(flow.s), reversed(flow.t), strict=True):
        kept = mask * errors
        scales, shifts = scale(kept) * (1 - mask), shift(kept) * (1 - mask)
        errors = (1 - mask) * (errors - shifts) * torch.exp(-scales) + kept
        log_determinant = log_determinant - scales.sum(dim=-1)
    return errors, log_determinant
