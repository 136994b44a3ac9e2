"""What stands before a published network, so that it is fed bytes and the device does the arithmetic."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class FromBytes(nn.Module):
    """Images as they come, turned into what the network was trained on.

    Args:
        network: takes (N, 3, H, W) float32 BGR.
        mean: BGR, 0..255, taken away.
        std: BGR, divided by afterwards.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, network: nn.Module, *, mean: tuple[float, ...] = (0, 0, 0), std: tuple[float, ...] = (1, 1, 1)
    ) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """(N, H, W, 3) uint8 RGB -> the network's own answers."""
        bgr = images.flip(3).permute(0, 3, 1, 2).float()
        return self.network((bgr - self.mean) / self.std)
