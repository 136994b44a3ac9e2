"""Selects the result of a network that returns outputs of several stages, all supervised in training."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn


class LastOutput(nn.Module):
    """Returns the last output of a network that returns a list, a tuple or a dict.

    Args:
        network: any network whose last output is a tensor.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Inputs of the network -> its last output."""
        output: Any = self.network(images)
        while not isinstance(output, Tensor):
            output = list(output.values() if isinstance(output, dict) else output)[-1]
        return output
