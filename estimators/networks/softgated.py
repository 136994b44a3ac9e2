"""Soft-gated stacked hourglass, a top-down network: each shortcut has a learned factor per channel.

Paper: Bulat et al. 2020, "Toward fast and accurate human pose estimation via soft-gated skip connections". Layers are
named as in dkurzend/Soft_Gated_Pose_Estimation_Pytorch, whose code and weights, not by the authors, are under
Apache-2.0.

Input: crops (N, 3, 256, 256), RGB in 0..1 without mean.
Output: heatmaps of MPII's 16 joints from four stacks, (N, 4, 16, H/4, W/4); the last stack is the result.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .hourglass import Conv, ConvBnRelu, ConvRelu, Stacks, to_stride_4

_WIDTH = 144
_DEPTH = 4
_JOINTS = 16


class SoftGate(nn.Module):
    """Shortcut with a learned factor per channel, and a 1x1 convolution where the number of channels changes."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(1, outputs, 1, 1))
        self.skip_layer = Conv(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H, W)."""
        return self.alpha * self.skip_layer(x)


class SoftGatedBlock(nn.Module):
    """Norm, ReLU and 3x3 convolution three times; the outputs of all three are concatenated, plus the shortcut."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        half, quarter = outputs // 2, outputs // 4
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = Conv(inputs, half, 3)
        self.bn2 = nn.BatchNorm2d(half)
        self.conv2 = Conv(half, quarter, 3)
        self.bn3 = nn.BatchNorm2d(quarter)
        self.conv3 = Conv(quarter, quarter, 3)
        self.skip_connection = SoftGate(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H, W)."""
        first = self.conv1(F.relu(self.bn1(x)))
        second = self.conv2(F.relu(self.bn2(first)))
        third = self.conv3(F.relu(self.bn3(second)))
        return torch.cat([first, second, third], 1) + self.skip_connection(x)


class GatedHourglass(nn.Module):
    """Hourglass that combines decoder and encoder features by a convolution instead of a sum."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.up1 = SoftGatedBlock(_WIDTH, _WIDTH)
        self.low1 = SoftGatedBlock(_WIDTH, _WIDTH)
        self.low2 = GatedHourglass(depth - 1) if depth > 1 else SoftGatedBlock(_WIDTH, _WIDTH)
        self.conv = ConvRelu(2 * _WIDTH, _WIDTH)
        self.low3 = SoftGatedBlock(_WIDTH, _WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 144, H, W) -> the same shape; sides are multiples of 2^depth."""
        low = F.interpolate(self.low2(self.low1(F.max_pool2d(x, 2))), scale_factor=2.0)
        return self.low3(self.conv(torch.cat([self.up1(x), low], 1)))


def softgated(stacks: int, *, joints: int = _JOINTS) -> Stacks:
    """Top-down network, by default for the 16 joints of MPII."""
    return Stacks(
        stacks,
        _WIDTH,
        joints,
        to_stride_4(ConvBnRelu(3, 64, 7, 2), SoftGatedBlock, _WIDTH),
        lambda: GatedHourglass(_DEPTH),
        lambda: nn.Sequential(SoftGatedBlock(_WIDTH, _WIDTH), ConvBnRelu(_WIDTH, _WIDTH, 1)),
    )
