"""Modules that combine all outputs of bottom-up networks with tags into heatmaps and tag maps of one size."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_JOINTS = 17


class HigherHRNetMaps(nn.Module):
    """HigherHRNet: averages the heatmaps of both resolutions and enlarges all maps to the input, as for its score."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3, H, W) -> heatmaps (N, 17, H, W), tags (N, 17, H, W)."""
        coarse, fine = self.network(images)
        coarse = _resized(coarse, fine)
        maps = torch.cat([(coarse[:, :_JOINTS] + fine) / 2, coarse[:, _JOINTS:]], 1)
        maps = _resized(maps, images)
        return maps[:, :_JOINTS], maps[:, _JOINTS:]


class AssociativeMaps(nn.Module):
    """Associative embedding hourglass: heatmaps and tags of the last stack, without the unused channels."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3, H, W) -> heatmaps (N, 17, H/4, W/4), tags (N, 17, H/4, W/4)."""
        last = self.network(images)[:, -1]
        return last[:, :_JOINTS], last[:, _JOINTS : 2 * _JOINTS]


def _resized(maps: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(maps, size=like.shape[2:], mode="bilinear", align_corners=False)
