"""Stacked hourglasses: one person's joints, or everybody's with tags that tell people apart.

Papers: Newell et al. 2016, "Stacked Hourglass Networks for Human Pose Estimation"; Newell et al. 2017, "Associative
Embedding". Original code: princeton-vl/pytorch_stacked_hourglass and princeton-vl/pose-ae-train, BSD-3; keys as there.

Input: RGB in 0..1 without a mean, (N, 3, H, W) where the originals take (N, H, W, 3). One person: 256 x 256, a square
of 200 pixels times MPII's scale. Everybody: sides multiples of 64, trained at 512.
Output: (N, stacks, channels, H/4, W/4), the last stack counts. One person: the 16 joints of MPII. Everybody: heatmaps
of COCO's 17 joints, 17 maps of tags that are alike within a person, 34 channels that nobody reads.

Every Residual has a 1x1 convolution for its shortcut, though only those that change the width use it. Checkpoints carry
`model.module.` before every key.
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
_WIDER = 128  # per level of the hourglass for everybody

Conv = partial(ConvBnAct, bias=True, norm=False, activation=None)
ConvBnRelu = partial(ConvBnAct, bias=True)
ConvRelu = partial(ConvBnAct, kernel=3, bias=True, norm=False)

Block = Callable[[int, int], nn.Module]
"""(inputs, outputs) -> what stands between two resizings."""


class Residual(nn.Module):
    """1x1, 3x3, 1x1, each behind a norm and a ReLU (He et al. 2016, "Identity Mappings"); the input is added."""

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

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H, W)."""
        y = self.conv1(F.relu(self.bn1(x)))
        y = self.conv2(F.relu(self.bn2(y)))
        y = self.conv3(F.relu(self.bn3(y)))
        return y + (self.skip_layer(x) if self.changes_width else x)


class Hourglass(nn.Module):
    """Down by halves, `depth` times, and up again; at each size what was there before is added.

    Args:
        depth: how often the map is halved.
        width: channels that come in and go out.
        block: what stands between two resizings.
        wider: channels more with each halving.
    """

    def __init__(self, depth: int, width: int, block: Block, wider: int = 0) -> None:
        super().__init__()
        inner = width + wider
        self.up1 = block(width, width)
        self.low1 = block(width, inner)
        self.low2 = Hourglass(depth - 1, inner, block, wider) if depth > 1 else block(inner, inner)
        self.low3 = block(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        """(N, width, H, W) -> the same, sides multiples of 2^depth."""
        low = self.low3(self.low2(self.low1(F.max_pool2d(x, 2))))
        return self.up1(x) + F.interpolate(low, scale_factor=2.0)


class Stacks(nn.Module):
    """Hourglasses in a row; each one's features and answers are added to what it read, for the next to mend.

    Args:
        stacks: how many hourglasses.
        width: channels between them.
        outputs: channels of an answer.
        pre: image -> features at stride 4.
        hourglass: makes an hourglass.
        features: makes what stands between an hourglass and its answer.
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
        answers: list[Tensor] = []
        for i in range(len(self.outs)):
            seen = self.features[i](self.hgs[i](x))
            answers.append(self.outs[i](seen))
            if i < len(self.merge_preds):
                x = x + self.merge_preds[i](answers[i]) + self.merge_features[i](seen)
        return torch.stack(answers, 1)


def _merge(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(OrderedDict(conv=Conv(inputs, outputs, 1)))


def to_stride_4(first: nn.Module, block: Block, width: int) -> nn.Sequential:
    """The first layer (64 channels, stride 2) and blocks around a halving."""
    return nn.Sequential(first, block(64, 128), nn.MaxPool2d(2), block(128, 128), block(128, width))


def stacked_hourglass(stacks: int) -> Stacks:
    """One person's 16 joints."""
    return Stacks(
        stacks,
        _WIDTH,
        _JOINTS,
        to_stride_4(ConvBnRelu(3, 64, 7, 2), Residual, _WIDTH),
        lambda: Hourglass(_DEPTH, _WIDTH, Residual),
        lambda: nn.Sequential(Residual(_WIDTH, _WIDTH), ConvBnRelu(_WIDTH, _WIDTH, 1)),
    )


def associative_hourglass(stacks: int) -> Stacks:
    """Everybody's 17 joints and tags: nothing residual, no norms, and wider where the map is smaller."""

    def features() -> nn.Sequential:
        hourglass = Hourglass(_DEPTH, _WIDTH, ConvRelu, _WIDER)
        return nn.Sequential(hourglass, ConvRelu(_WIDTH, _WIDTH), ConvRelu(_WIDTH, _WIDTH))

    # The original keeps its hourglasses among the features, so nothing stands before them.
    pre = to_stride_4(ConvBnAct(3, 64, 7, 2, bias=True, norm=False), ConvRelu, _WIDTH)
    return Stacks(stacks, _WIDTH, _GROUPED_CHANNELS, pre, nn.Identity, features)
