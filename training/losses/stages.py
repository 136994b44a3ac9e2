"""Losses over several outputs with the same target (intermediate supervision): CPM and stacked hourglasses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from training.losses.heatmaps import half_squared_sum, weighted_mse

Loss = Callable[[Tensor, Any, Tensor], Tensor]
"""Outputs, target and weights -> loss."""

_STACKED_DIMENSIONS = 5


def outputs_of(outputs: Any) -> list[Tensor]:
    """All heatmaps (B, K, H, W) that a network returns, in their order.

    Args:
        outputs: heatmaps; stacks of them (B, S, K, H, W); or lists, tuples or dicts of these, also nested.
    """
    if isinstance(outputs, Tensor):
        return list(outputs.unbind(1)) if outputs.ndim == _STACKED_DIMENSIONS else [outputs]
    return [each for part in (outputs.values() if isinstance(outputs, dict) else outputs) for each in outputs_of(part)]


def summed_over_outputs(outputs: Any, target: Any, weights: Tensor, *, loss: Loss = weighted_mse) -> Tensor:
    """Sum of a loss over all outputs, as CPM and hourglasses are trained in MMPose.

    Args:
        outputs: as of `outputs_of`.
        target: of every output.
        weights: (B, K).
        loss: of one output.
    """
    return torch.stack([loss(each, target, weights) for each in outputs_of(outputs)]).sum()


def mean_over_outputs(outputs: Any, target: Any, weights: Tensor, *, loss: Loss = weighted_mse) -> Tensor:
    """Mean of a loss over all outputs, as princeton's PyTorch hourglasses are trained; see `summed_over_outputs`."""
    return torch.stack([loss(each, target, weights) for each in outputs_of(outputs)]).mean()


def half_squared_sum_over_outputs(outputs: Any, target: Any, weights: Tensor) -> Tensor:
    """Sum of `half_squared_sum` over all outputs: `cpm_loss` for crops of one person."""
    return summed_over_outputs(outputs, target, weights, loss=half_squared_sum)


def cpm_loss(outputs: Any, targets: tuple[Tensor, Tensor], weights: Tensor) -> Tensor:
    """Sum of `half_squared_sum` over the stages, of which the first has a target of its own.

    Wei et al. 2016, "Convolutional Pose Machines", section 3.3 and published code.

    Args:
        outputs: as of `outputs_of`, one per stage.
        targets: maps (B, K, H, W) of all people in the crop, for the first stage, and of the person in the middle.
        weights: (B, K).
    """
    first, *later = outputs_of(outputs)
    losses = [half_squared_sum(first, targets[0], weights)]
    losses += [half_squared_sum(each, targets[1], weights) for each in later]
    return torch.stack(losses).sum()
