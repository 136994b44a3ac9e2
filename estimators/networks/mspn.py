"""MSPN, a top-down network: up to four stages, each a ResNet-50 encoder and a decoder that passes its features on.

Paper: Li et al. 2019, "Rethinking on Multi-Stage Networks for Human Pose Estimation". Layers are named as in
megvii-detection/MSPN, which states no licence for its code and weights; its code was not read for this implementation.
Its checkpoints contain the weights under `model`.

Input: crops (N, 3, H, W) of 192 x 256 or 288 x 384 (W x H; sides are multiples of 32), BGR / 255, mean 0.406, 0.456,
0.485, standard deviation 0.225, 0.224, 0.229; the box is enlarged by 1.09 in width and 1.135 in height. Outputs: a dict
of heatmaps (N, 17, H/4, W/4) for each stage and level: stage0_res0 (coarsest), ..., stage0_res3 (finest), stage1_res0,
...; the last is the result. Trained on Gaussians of height 255.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from posetrail.layers import ConvBnAct

_WIDTH = 256
_STEM = 64
_LAYERS = ((256, 3), (512, 4), (1024, 6), (2048, 3))  # channels and blocks of ResNet-50, finest level first

_Conv = partial(ConvBnAct, bias=True)  # has no effect before a batch norm, but is in the checkpoints
_Linear = partial(_Conv, activation=None)


def _resize(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, like.shape[-2:], mode="bilinear", align_corners=True)


class Stem(nn.Module):
    """Stem to stride 4: convolution and max pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = _Conv(3, _STEM, 7, 2)

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, 64, H / 4, W / 4)."""
        return F.max_pool2d(self.conv(images), 3, 2, 1)


class Bottleneck(nn.Module):
    """Bottleneck: 1x1, 3x3 and 1x1 convolution, and a shortcut with a convolution where the shapes differ."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        width = outputs // 4
        self.conv_bn_relu1 = _Conv(inputs, width, 1)
        self.conv_bn_relu2 = _Conv(width, width, 3, stride)
        self.conv_bn_relu3 = _Linear(width, outputs, 1)
        self.downsample = nn.Identity() if inputs == outputs else _Linear(inputs, outputs, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H / stride, W / stride)."""
        return F.relu(self.conv_bn_relu3(self.conv_bn_relu2(self.conv_bn_relu1(x))) + self.downsample(x))


def _layer(inputs: int, outputs: int, stride: int, blocks: int) -> nn.Sequential:
    return nn.Sequential(
        Bottleneck(inputs, outputs, stride), *(Bottleneck(outputs, outputs, 1) for _ in range(1, blocks))
    )


class Up(nn.Module):
    """One level of the decoder: combines the next coarser level with the encoder's features of this level.

    Args:
        inputs: number of channels of the encoder at this level.
        joints: number of joints.
        coarsest: whether this is the coarsest level.
        hands_on: whether another stage follows.
        crosses: whether the next stage starts from this level.
    """

    def __init__(self, inputs: int, joints: int, *, coarsest: bool, hands_on: bool, crosses: bool) -> None:
        super().__init__()
        self.u_skip = _Linear(inputs, _WIDTH, 1)
        if not coarsest:
            self.up_conv = _Linear(_WIDTH, _WIDTH, 1)
        self.res_conv1 = _Conv(_WIDTH, _WIDTH, 1)
        self.res_conv2 = _Linear(_WIDTH, joints, 3)
        self.hands_on = hands_on
        if hands_on:
            self.skip1 = _Conv(inputs, inputs, 1)
            self.skip2 = _Conv(_WIDTH, inputs, 1)
        self.cross_conv = _Conv(_WIDTH, _STEM, 1) if crosses else nn.Identity()

    def forward(self, level: Tensor, below: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
        """(N, inputs, h, w), (N, 256, h / 2, w / 2) -> (N, 256, h, w), heatmaps (N, joints, h, w), (N, inputs, h, w).

        The first output is the input of the next finer level; from the finest level it has 64 channels and is the input
        of the next stage. The third is added to the encoder's features of the same level in the next stage.
        """
        x = self.u_skip(level)
        if below is not None:
            x = x + self.up_conv(_resize(below, like=level))
        x = F.relu(x)
        addition = self.skip1(level) + self.skip2(x) if self.hands_on else None
        return self.cross_conv(x), self.res_conv2(self.res_conv1(x)), addition


class Stage(nn.Module):
    """One stage: a ResNet-50 encoder and a decoder.

    Args:
        joints: number of joints.
        last: whether no stage follows.
    """

    def __init__(self, joints: int, *, last: bool) -> None:
        super().__init__()
        self.downsample, self.upsample = nn.ModuleDict(), nn.ModuleDict()
        inputs = _STEM
        for i, (outputs, blocks) in enumerate(_LAYERS, start=1):
            self.downsample[f"layer{i}"] = _layer(inputs, outputs, 1 if i == 1 else 2, blocks)
            inputs = outputs
        for i, (inputs, _) in enumerate(reversed(_LAYERS), start=1):
            crosses = i == len(_LAYERS) and not last
            self.upsample[f"up{i}"] = Up(inputs, joints, coarsest=i == 1, hands_on=not last, crosses=crosses)

    def forward(self, x: Tensor, additions: Sequence[Tensor]) -> tuple[list[Tensor], Tensor, list[Tensor]]:
        """Input and additions of this stage -> heatmaps, coarsest first; input and additions of the next stage.

        The input is (N, 64, H/4, W/4); additions are one tensor per level, finest first, or empty.
        """
        levels: list[Tensor] = []
        for i, layer in enumerate(self.downsample.values()):
            x = layer(x) + additions[i] if additions else layer(x)
            levels.append(x)
        heatmaps, additions_of_next = [], []
        below: Any = None  # the coarsest level has no coarser one
        for up, level in zip(self.upsample.values(), reversed(levels), strict=True):
            below, heatmap, addition = up(level, below)
            heatmaps.append(_resize(heatmap, like=levels[0]))
            additions_of_next.append(addition)
        return heatmaps, below, additions_of_next[::-1]


class MSPN(nn.Module):
    """MSPN: stem and stages.

    Args:
        stages: number of stages, 1 to 4 in the paper.
        joints: number of joints.
    """

    def __init__(self, stages: int, *, joints: int = 17) -> None:
        super().__init__()
        self.top = Stem()
        for i in range(stages):
            self.add_module(f"stage{i}", Stage(joints, last=i == stages - 1))

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """(N, 3, H, W) -> heatmaps (N, joints, H/4, W/4) by `stage{i}_res{level}`; the last are the result."""
        top, *stages = self.children()
        x, additions = top(images), ()
        outputs: dict[str, Tensor] = {}
        for i, stage in enumerate(stages):
            heatmaps, x, additions = stage(x, additions)
            outputs |= {f"stage{i}_res{level}": heatmap for level, heatmap in enumerate(heatmaps)}
        return outputs
