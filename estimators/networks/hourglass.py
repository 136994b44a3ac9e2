"""Stacked hourglass networks: top-down (joints of one person) and bottom-up (joints and tags of all people).

Papers: Newell et al. 2016, "Stacked Hourglass Networks for Human Pose Estimation"; Newell et al. 2017, "Associative
Embedding: End-to-End Learning for Joint Detection and Grouping". Original code and weights:
princeton-vl/pytorch_stacked_hourglass and princeton-vl/pose-ae-train, BSD-3-Clause; layers are named as there.
Checkpoints have the prefix `model.module.`.

Input: (N, 3, H, W), RGB in 0..1 without mean, where the originals take (N, H, W, 3). Top-down: crops of 256 x 256, a
square of 200 pixels times the scale in MPII's annotations. Bottom-up: the image, with sides that are multiples of 64;
trained at 512.
Output: (N, stacks, channels, H/4, W/4); the last stack is the result. Top-down: heatmaps of MPII's 16 joints.
Bottom-up: heatmaps of COCO's 17 joints, 17 tag maps, whose values are similar within a person, and 34 unused channels.

Each `Residual` has a 1x1 convolution for its shortcut, which is used only where the number of channels changes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from posetrail.layers import ConvBnAct

_WIDTH = 256
_DEPTH = 4
_JOINTS = 16
_GROUPED_CHANNELS = 4 * 17
_WIDER = 128  # additional channels per level of the bottom-up hourglass

Conv = partial(ConvBnAct, bias=True, norm=False, activation=None)
ConvBnRelu = partial(ConvBnAct, bias=True)
ConvRelu = partial(ConvBnAct, kernel=3, bias=True, norm=False)

Block = Callable[[int, int], nn.Module]
"""(inputs, outputs) -> layers between two changes of resolution."""


class Residual(nn.Module):
    """Pre-activation bottleneck: norm, ReLU and convolution three times, plus a shortcut (He et al. 2016)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        half = outputs // 2
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = Conv(inputs, half, 1)
        self.bn2 = nn.BatchNorm2d(half)
        self.conv2 = Conv(half, half, 3)
        self.bn3 = nn.BatchNorm2d(half)
        self.conv3 = Conv(half, outputs, 1)
        self.skip_layer = Conv(inputs, outputs, 1)
        self.changes_width = inputs != outputs
        self.skip_layer.requires_grad_(self.changes_width)  # in checkpoints, but unused where the width stays

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H, W)."""
        y = self.conv1(F.relu(self.bn1(x)))
        y = self.conv2(F.relu(self.bn2(y)))
        y = self.conv3(F.relu(self.bn3(y)))
        return y + (self.skip_layer(x) if self.changes_width else x)


class Hourglass(nn.Module):
    """Encoder and decoder with a shortcut at each resolution.

    Args:
        depth: how many times the resolution is halved.
        width: number of channels of input and output.
        block: makes the layers between two changes of resolution.
        wider: additional channels with each halving.
    """

    def __init__(self, depth: int, width: int, block: Block, wider: int = 0) -> None:
        super().__init__()
        inner = width + wider
        self.up1 = block(width, width)
        self.low1 = block(width, inner)
        self.low2 = Hourglass(depth - 1, inner, block, wider) if depth > 1 else block(inner, inner)
        self.low3 = block(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        """(N, width, H, W) -> the same shape; sides are multiples of 2^depth."""
        low = self.low3(self.low2(self.low1(F.max_pool2d(x, 2))))
        return self.up1(x) + F.interpolate(low, scale_factor=2.0)


class Stacks(nn.Module):
    """Stacked hourglasses; the input of the next is the input of one plus its features and outputs.

    Args:
        stacks: number of hourglasses.
        width: number of channels between them.
        outputs: number of channels of the outputs.
        pre: maps images to features at stride 4.
        hourglass: makes an hourglass.
        features: makes the layers between an hourglass and its output convolution.
    """

    def __init__(
        self,
        stacks: int,
        width: int,
        outputs: int,
        pre: nn.Module,
        hourglass: Callable[[], nn.Module],
        features: Callable[[], nn.Module],
    ) -> None:
        super().__init__()
        self.pre = pre
        self.hgs = nn.ModuleList(nn.Sequential(hourglass()) for _ in range(stacks))
        self.features = nn.ModuleList(features() for _ in range(stacks))
        self.outs = nn.ModuleList(Conv(width, outputs, 1) for _ in range(stacks))
        self.merge_features = nn.ModuleList(_merge(width, width) for _ in range(stacks - 1))
        self.merge_preds = nn.ModuleList(_merge(outputs, width) for _ in range(stacks - 1))

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, stacks, outputs, H/4, W/4)."""
        x = self.pre(images)
        stacked: list[Tensor] = []
        for i in range(len(self.outs)):
            features = self.features[i](self.hgs[i](x))
            stacked.append(self.outs[i](features))
            if i < len(self.merge_preds):
                x = x + self.merge_preds[i](stacked[i]) + self.merge_features[i](features)
        return torch.stack(stacked, 1)


def _merge(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(OrderedDict(conv=Conv(inputs, outputs, 1)))


def to_stride_4(first: nn.Module, block: Block, width: int) -> nn.Sequential:
    """Stem: the first layer (64 channels, stride 2), a block, max pooling and two blocks."""
    return nn.Sequential(first, block(64, 128), nn.MaxPool2d(2), block(128, 128), block(128, width))


def stacked_hourglass(stacks: int, *, joints: int = _JOINTS) -> Stacks:
    """Top-down network, by default for the 16 joints of MPII."""
    return Stacks(
        stacks,
        _WIDTH,
        joints,
        to_stride_4(ConvBnRelu(3, 64, 7, 2), Residual, _WIDTH),
        lambda: Hourglass(_DEPTH, _WIDTH, Residual),
        lambda: nn.Sequential(Residual(_WIDTH, _WIDTH), ConvBnRelu(_WIDTH, _WIDTH, 1)),
    )


def associative_hourglass(stacks: int) -> Stacks:
    """Bottom-up network for COCO's 17 joints and tags: no residual blocks, no norms, wider at coarser levels."""

    def features() -> nn.Sequential:
        hourglass = Hourglass(_DEPTH, _WIDTH, ConvRelu, _WIDER)
        return nn.Sequential(hourglass, ConvRelu(_WIDTH, _WIDTH), ConvRelu(_WIDTH, _WIDTH))

    # In the original, the hourglasses are part of `features`, so `hgs` is the identity.
    pre = to_stride_4(ConvBnAct(3, 64, 7, 2, bias=True, norm=False), ConvRelu, _WIDTH)
    return Stacks(stacks, _WIDTH, _GROUPED_CHANNELS, pre, nn.Identity, features)
