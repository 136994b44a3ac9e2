"""MobileNetV2 with the head of SimpleBaseline, three deconvolutions: a small top-down network.

Papers: Sandler et al. 2018, "MobileNetV2: Inverted Residuals and Linear Bottlenecks"; Xiao et al. 2018, "Simple
Baselines for Human Pose Estimation and Tracking". Original code and weights: open-mmlab/mmpose 1.x, Apache-2.0; layers
are named as there.

Input: crops (N, 3, H, W) of 192 x 256 (W x H; sides are multiples of 32), RGB, mean 123.675, 116.28, 103.53, standard
deviation 58.395, 57.12, 57.375 (of 0..255); the box is enlarged by 1.25. Output: heatmaps (N, 17, H/4, W/4) without
activation.
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
    """Inverted residual: 1x1 expansion, 3x3 depthwise, 1x1 projection; a shortcut where the shapes are equal."""

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
    """Backbone: (N, 3, H, W) -> (N, 1280, H/32, W/32)."""

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
    """MobileNetV2 and the head of SimpleBaseline."""

    def __init__(self, *, joints: int = 17) -> None:
        super().__init__()
        self.backbone = MobileNetV2()
        self.head = nn.Sequential(
            OrderedDict(deconv_layers=deconvolutions(_TOP, 256, 256, 256), final_layer=nn.Conv2d(256, joints, 1))
        )

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> heatmaps (N, joints, H/4, W/4)."""
        return self.head(self.backbone(images))
