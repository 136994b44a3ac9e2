"""Multi-context attention, a top-down network: stacked hourglasses whose features are weighted by attention maps.

Paper: Chu et al. 2017, "Multi-Context Attention for Human Pose Estimation". Original code and weights:
bearpaw/pose-attention, BSD-3-Clause, in Lua for Torch7. It has no names of layers that a state dict could keep: those
here are our own, in the order in which the original creates its layers, so a converter can go through both side by
side.

Input: crops (N, 3, 256, 256), RGB in -0.5..0.5.
Output: heatmaps of MPII's 16 joints from eight stacks, (N, 8, 16, H/4, W/4); the last stack is the result. The first
half of the stacks attends to the whole body, the second half also to each joint.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from posetrail.layers import ConvBnAct

from .pyranet import NormReluConv

_WIDTH = 256
_DEPTH = 4
_JOINTS = 16
_REACH = 11  # side of the kernel that spreads attention, cells
_ITERATIONS = 3


class Residual(nn.Module):
    """Pre-activated bottleneck plus a shortcut, which is a plain convolution where the number of channels changes."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        half = outputs // 2
        self.conv1 = NormReluConv(inputs, half, 1)
        self.conv2 = NormReluConv(half, half, 3)
        self.conv3 = NormReluConv(half, outputs, 1)
        self.skip = NormReluConv(inputs, outputs, 1, norm=False) if inputs != outputs else None

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H, W)."""
        return self.conv3(self.conv2(self.conv1(x))) + (x if self.skip is None else self.skip(x))


class PooledResidual(nn.Module):
    """Hourglass residual unit (section 4.1): a bottleneck, and a branch at half the resolution with a larger field."""

    def __init__(self, width: int) -> None:
        super().__init__()
        half = width // 2
        self.conv1 = NormReluConv(width, half, 1)
        self.conv2 = NormReluConv(half, half, 3)
        self.conv3 = NormReluConv(half, width, 1)
        self.pool_bn = nn.BatchNorm2d(width)
        self.pool_conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.pool_conv2 = NormReluConv(width, width, 3)

    def forward(self, x: Tensor) -> Tensor:
        """(N, width, H, W) -> the same shape; sides are even."""
        pooled = F.max_pool2d(F.relu(self.pool_bn(x)), 2)
        pooled = F.interpolate(self.pool_conv2(self.pool_conv1(pooled)), scale_factor=2.0)
        return x + self.conv3(self.conv2(self.conv1(x))) + pooled


class Hourglass(nn.Module):
    """Encoder and decoder; shortcuts of finer resolutions have more hourglass residual units."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        pooled = (PooledResidual(_WIDTH) for _ in range(depth - 2))
        branch = nn.Sequential(Residual(_WIDTH, _WIDTH), *pooled) if depth > 1 else Residual(_WIDTH, _WIDTH)
        self.up = nn.Sequential(branch)
        self.low1 = nn.Sequential(Residual(_WIDTH, _WIDTH))
        self.low2: nn.Module = Hourglass(depth - 1) if depth > 1 else Residual(_WIDTH, _WIDTH)
        self.low3 = Residual(_WIDTH, _WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 256, H, W) -> the same shape; sides are multiples of 2^depth."""
        low = self.low3(self.low2(self.low1(F.max_pool2d(x, 2))))
        return self.up(x) + F.interpolate(low, scale_factor=2.0)


class Attention(nn.Module):
    """Features weighted by one attention map, a conditional random field after three mean-field steps (section 4.2)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.u = nn.Conv2d(width, 1, 3, padding=1)
        self.spread = nn.Conv2d(1, 1, _REACH, padding=_REACH // 2)

    def forward(self, x: Tensor) -> Tensor:
        """(N, width, H, W) -> the same shape."""
        own = weights = self.u(x)
        for _ in range(_ITERATIONS):
            weights = torch.sigmoid(self.spread(weights) + own)
        return x * weights


class Parts(nn.Module):
    """The heatmap of each joint from features with an attention map of its own."""

    def __init__(self, width: int, joints: int) -> None:
        super().__init__()
        self.att = nn.ModuleList(Attention(width) for _ in range(joints))
        self.out = nn.ModuleList(nn.Conv2d(width, 1, 1) for _ in range(joints))

    def forward(self, x: Tensor) -> Tensor:
        """(N, width, H, W) -> (N, joints, H, W)."""
        return torch.cat([out(attend(x)) for attend, out in zip(self.att, self.out, strict=True)], 1)


class Stack(nn.Module):
    """An hourglass, attention, heatmaps, and what is added to the input of the next one."""

    def __init__(self, joints: int, *, parts: bool, last: bool) -> None:
        super().__init__()
        width = 2 * _WIDTH if last else _WIDTH
        self.hg = Hourglass(_DEPTH)
        self.lin1 = ConvBnAct(_WIDTH, width, 1, bias=True)
        self.lin2 = ConvBnAct(width, width, 1, bias=True)
        self.att = Attention(width)
        self.heatmaps = "parts" if parts else "out"
        self.add_module(self.heatmaps, Parts(width, joints) if parts else nn.Conv2d(width, joints, 1))
        self.back_out = None if last else nn.Conv2d(joints, _WIDTH, 1)
        self.lin3 = None if last else ConvBnAct(_WIDTH, _WIDTH, 1, bias=True)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 256, h, w) -> heatmaps (N, joints, h, w), input of the next stack."""
        features = self.lin1(self.hg(x))
        maps = self.get_submodule(self.heatmaps)(self.att(self.lin2(features)))
        if self.back_out is None or self.lin3 is None:
            return maps, x
        return maps, x + self.back_out(maps) + self.lin3(features)


class PoseAttention(nn.Module):
    """Stem to stride 4 and stacked hourglasses with attention, by default for the 16 joints of MPII."""

    def __init__(self, stacks: int, *, joints: int = _JOINTS) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, padding=3)
        self.bn1 = nn.BatchNorm2d(64)
        self.r1 = Residual(64, 64)
        self.r2 = Residual(64, 64)
        self.r3 = Residual(64, 128)
        self.r4 = Residual(128, 128)
        self.r5 = Residual(128, 128)
        self.r6 = Residual(128, _WIDTH)
        self.stacks = nn.ModuleList(Stack(joints, parts=i >= stacks // 2, last=i == stacks - 1) for i in range(stacks))

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, stacks, joints, H/4, W/4)."""
        x = self.r1(F.relu(self.bn1(self.conv1(images))))
        x = self.r3(self.r2(F.max_pool2d(x, 2)))
        x = self.r6(self.r5(self.r4(F.max_pool2d(x, 2))))
        stacked = []
        for stack in self.stacks:
            maps, x = stack(x)
            stacked.append(maps)
        return torch.stack(stacked, 1)
