"""Exponential moving average (EMA) of the weights of a network in training."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn


class WeightAverage:
    """Average of all parameters and buffers, with a rate that starts high and falls.

    After each step, average += r (new - average) with r = (1 - momentum) + momentum exp(-(1 + step) / warmup_steps), so
    the average follows the network at first. RTMPose (Jiang et al. 2023) has a momentum of 0.9998 and 2000 steps.

    Args:
        network: whose weights are averaged.
        momentum: 0..1.
        warmup_steps: time constant of the beginning.
    """

    def __init__(self, network: nn.Module, momentum: float = 0.9998, warmup_steps: int = 2000) -> None:
        self.momentum = momentum
        self.warmup_steps = warmup_steps
        self.state = {name: value.detach().clone() for name, value in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Move the average towards the weights after a step, counted from 0; whole numbers are copied."""
        rate = (1 - self.momentum) + self.momentum * math.exp(-(1 + step) / self.warmup_steps)
        for name, value in network.state_dict().items():
            average = self.state[name]
            if value.is_floating_point():
                average.lerp_(value.to(average.dtype), rate)
            else:
                average.copy_(value)

    def load(self, state: dict[str, Any]) -> None:
        """Continue from the averages of a checkpoint."""
        for name, average in self.state.items():
            average.copy_(state[name])


def weights_of(network: nn.Module, average: WeightAverage | None) -> dict[str, Tensor]:
    """The weights to validate and to keep, on the CPU: the averages if there are any."""
    state = network.state_dict() if average is None else average.state
    return {name: value.detach().cpu().clone() for name, value in state.items()}
