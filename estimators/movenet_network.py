"""MoveNet SinglePose Thunder v4, the built-in top-down network: MobileNetV2, a feature pyramid to stride 4, four heads.

Original and weights: Google, MoveNet, Apache-2.0, a CenterNet (Zhou et al. 2019, "Objects as Points") for one person.
Backbone: Sandler et al. 2018, "MobileNetV2: Inverted Residuals and Linear Bottlenecks". Batch norm is folded into the
convolutions.

Input: crops (N, 256, 256, 3) uint8 RGB; the network scales them to -1..1. Outputs: four maps of 64 x 64 cells, see
`MoveNetNetwork.forward`; `estimators.decode` decodes them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

JOINTS = 17

_STEM_WIDTH = 56
_EXPANSION = 6
_BLOCKS = (  # (width, stride) of the inverted residuals; the pyramid has a level before each stride of 2
    *((32, 1),),
    *((40, 2), (40, 1)),
    *((56, 2), (56, 1), (56, 1)),
    *((112, 2), (112, 1), (112, 1), (112, 1)),
    *((168, 1), (168, 1), (168, 1)),
    *((280, 2), (280, 1), (280, 1)),
    *((560, 1),),
)
_LEVELS = (2, 5, 9)  # blocks whose outputs are inputs of the neck: strides 4, 8, 16
_TOP_WIDTH = 1280
_NECK_WIDTHS = (24, 32, 64, 64)  # channels of the lateral convolutions, stride 4 first
_HEAD_WIDTH = 96


class SameConv(nn.Conv2d):
    """Convolution with TensorFlow's SAME padding: with stride 2, even sides are padded by one cell at the end only."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1, bias: bool = True):
        super().__init__(
            inputs, outputs, kernel, stride, padding=kernel // 2 if stride == 1 else 0, groups=groups, bias=bias
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H / stride, W / stride)."""
        return super().forward(F.pad(x, (0, 1, 0, 1)) if self.stride == (2, 2) else x)


class InvertedResidual(nn.Module):
    """Inverted residual: 1x1 expansion, 3x3 depthwise, 1x1 projection; a shortcut where the shapes are equal."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = inputs * expansion
        self.expand = SameConv(inputs, wide, 1) if expansion > 1 else None
        self.depthwise = SameConv(wide, wide, 3, stride, groups=wide)
        self.project = SameConv(wide, outputs, 1)
        self.adds_input = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H / stride, W / stride)."""
        wide = x if self.expand is None else F.relu6(self.expand(x))
        narrow = self.project(F.relu6(self.depthwise(wide)))
        return x + narrow if self.adds_input else narrow


class SeparableConv(nn.Module):
    """3x3 depthwise convolution without bias, 1x1 convolution with bias, ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.depthwise = SameConv(inputs, inputs, 3, groups=inputs, bias=False)
        self.pointwise = SameConv(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H, W)."""
        return F.relu(self.pointwise(self.depthwise(x)))


class Body(nn.Module):
    """MobileNetV2 with 1.75 times the channels of the original."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = SameConv(3, _STEM_WIDTH, 3, stride=2)
        inputs = (_STEM_WIDTH, *(width for width, _ in _BLOCKS))
        self.blocks = nn.ModuleList(
            InvertedResidual(inputs[i], width, stride, _EXPANSION if i else 1)
            for i, (width, stride) in enumerate(_BLOCKS)
        )
        self.top = SameConv(inputs[-1], _TOP_WIDTH, 1)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(N, 3, H, W) -> features at strides 4, 8, 16, 32 with 40, 56, 112, 1280 channels."""
        levels = []
        x = F.relu6(self.stem(x))
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i in _LEVELS:
                levels.append(x)
        return [*levels, F.relu6(self.top(x))]


class Neck(nn.Module):
    """Top-down feature pyramid: upsample, add the lateral convolution, smooth."""

    def __init__(self) -> None:
        super().__init__()
        inputs = (*(_BLOCKS[i][0] for i in _LEVELS), _TOP_WIDTH)
        finer = (_NECK_WIDTHS[0], *_NECK_WIDTHS[:2])  # a level is smoothed to the width of the next finer one
        self.laterals = nn.ModuleList(SameConv(n, width, 1) for n, width in zip(inputs, _NECK_WIDTHS, strict=True))
        self.smooth = nn.ModuleList(SeparableConv(n, width) for n, width in zip(_NECK_WIDTHS, finer, strict=False))

    def forward(self, levels: list[Tensor]) -> Tensor:
        """Features of the backbone -> (N, 24, H, W) of its finest level."""
        *finer, x = (lateral(level) for lateral, level in zip(self.laterals, levels, strict=True))
        for i in reversed(range(len(finer))):
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = self.smooth[i](x + finer[i])
        return x


class Head(nn.Module):
    """A separable convolution and a 1x1 to the head's channels."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.conv = SeparableConv(_NECK_WIDTHS[0], _HEAD_WIDTH)
        self.out = SameConv(_HEAD_WIDTH, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 24, h, w) -> (N, outputs, h, w)."""
        return self.out(self.conv(x))


class MoveNetNetwork(nn.Module):
    """Crops of one person to four maps at stride 4 for K joints; decoding is in estimators/decode.py."""

    def __init__(self, joints: int = JOINTS) -> None:
        super().__init__()
        self.body = Body()
        self.neck = Neck()
        self.heat = Head(joints)
        self.centre = Head(1)
        self.regress = Head(2 * joints)
        self.offset = Head(2 * joints)

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Crops (N, 256, 256, 3) uint8 RGB -> maps of 64 x 64 cells, float32.

        Returns:
            heat (N, K, 64, 64) 0..1: probability of each joint;
            centre (N, 1, 64, 64) 0..1: probability of the person's centre;
            regress (N, 2 K, 64, 64) cells: from the centre to each joint, (dy, dx) pairs;
            offset (N, 2 K, 64, 64) cells: from a cell to the joint in it, (dy, dx) pairs.
        """
        return self.maps(crops.permute(0, 3, 1, 2).float() / 127.5 - 1)

    def maps(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The maps of crops (N, 3, 256, 256) that are scaled to -1..1."""
        x = self.neck(self.body(images))
        return torch.sigmoid(self.heat(x)), torch.sigmoid(self.centre(x)), self.regress(x), self.offset(x)
