"""MobileNetV2 and three deconvolutions.

Papers: Sandler et al. 2018, "MobileNetV2: Inverted Residuals and Linear Bottlenecks"; Xiao et al. 2018, "Simple
Baselines for Human Pose Estimation and Tracking". Original code: open-mmlab/mmpose 1.x, Apache-2.0; keys as there.

Input: one person, 256 x 192 (H x W; other multiples of 32 work), RGB, mean 123.675, 116.28, 103.53, deviation 58.395,
57.12, 57.375 (0..255), the box 1.25 times as large. Output: a heatmap per joint at stride 4, with no activation.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import partial

from torch import Tensor, nn
from torch.nn import functional as F

from estimators.networks.deconvolution import deconvolutions
from posetrail.layers import ConvBnAct

_STEM, _TOP = 32, 1280
_LAYERS = (
    (16, 1, 1),
    (24, 2, 2),
    (32, 3, 2),
    (64, 4, 2),
    (96, 3, 1),
    (160, 3, 2),
    (320, 1, 1),
)  # width, blocks, stride

_Conv = partial(ConvBnAct, activation=F.relu6)


class InvertedResidual(nn.Module):
    """1x1 to a wide layer, 3x3 per channel, 1x1 back to a narrow one; the input is added where shapes allow."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = inputs * expansion
        self.conv = nn.Sequential(
            *([_Conv(inputs, wide, 1)] if expansion > 1 else []),
            _Conv(wide, wide, 3, stride, groups=wide),
            ConvBnAct(wide, outputs, 1, activation=None),
        )
        self.adds_input = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H / stride, W / stride)."""
        return x + self.conv(x) if self.adds_input else self.conv(x)


class MobileNetV2(nn.Sequential):
    """(N, 3, H, W) -> (N, 1280, H / 32, W / 32)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = _Conv(3, _STEM, 3, 2)
        inputs = _STEM
        for number, (width, blocks, stride) in enumerate(_LAYERS, start=1):
            layer = nn.Sequential()
            for i in range(blocks):
                layer.append(InvertedResidual(inputs, width, 1 if i else stride, 6 if number > 1 else 1))
                inputs = width
            self.add_module(f"layer{number}", layer)
        self.conv2 = _Conv(inputs, _TOP, 1)


class MobileNetV2Simple(nn.Module):
    """Body and head."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = MobileNetV2()
        self.head = nn.Sequential(
            OrderedDict(deconv_layers=deconvolutions(_TOP, 256, 256, 256), final_layer=nn.Conv2d(256, 17, 1))
        )

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> heatmaps (N, 17, H / 4, W / 4)."""
        return self.head(self.backbone(images))
