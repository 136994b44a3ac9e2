"""What stands behind a network that answers at several depths, all of them supervised in training."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn


class LastAnswer(nn.Module):
    """The answer that counts: the last of a list, a tuple or a dict.

    Args:
        network: any whose last answer is a tensor.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """As the network -> its last answer."""
        answer: Any = self.network(images)
        while not isinstance(answer, Tensor):
            answer = list(answer.values() if isinstance(answer, dict) else answer)[-1]
        return answer
