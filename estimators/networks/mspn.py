"""MSPN: hourglasses made of ResNet-50s, one behind the other; each hands its features on at all levels.

Paper: Li et al. 2019, "Rethinking on Multi-Stage Networks for Human Pose Estimation". Keys are those of
megvii-detection/MSPN, which states no licence and of which no line was read for this (a checkpoint holds them under
`model`).

Input: one person, 256 x 192 or 384 x 288 (H x W; other multiples of 32 work), BGR, /255, mean 0.406, 0.456, 0.485,
deviation 0.225, 0.224, 0.229; the box 1.09 times as wide and 1.135 times as high. Outputs: heatmaps of every stage and
level, stage0_res0 (coarsest) ... stage0_res3 (finest), stage1_res0, ...; the last counts; all at stride 4, trained on
Gaussians of height 255.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from posetrail.layers import ConvBnAct

_JOINTS = 17
_WIDTH = 256
_STEM = 64
_LAYERS = ((256, 3), (512, 4), (1024, 6), (2048, 3))  # channels and blocks of ResNet-50, finest level first

_Conv = partial(ConvBnAct, bias=True)  # of no use before a batch norm, but published
_Linear = partial(_Conv, activation=None)


def _resize(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, like.shape[-2:], mode="bilinear", align_corners=True)


class Stem(nn.Module):
    """Convolution and pooling to stride 4."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = _Conv(3, _STEM, 7, 2)

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, 64, H / 4, W / 4)."""
        return F.max_pool2d(self.conv(images), 3, 2, 1)


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1, and the shortcut, with a convolution where shapes differ."""

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
    """One level on the way up: what comes from below and what the body saw here.

    Args:
        inputs: channels of the body here.
        coarsest: nothing comes from below.
        hands_on: there is a next stage.
        crosses: and this is the level from which it starts.
    """

    def __init__(self, inputs: int, *, coarsest: bool, hands_on: bool, crosses: bool) -> None:
        super().__init__()
        self.u_skip = _Linear(inputs, _WIDTH, 1)
        if not coarsest:
            self.up_conv = _Linear(_WIDTH, _WIDTH, 1)
        self.res_conv1 = _Conv(_WIDTH, _WIDTH, 1)
        self.res_conv2 = _Linear(_WIDTH, _JOINTS, 3)
        self.hands_on = hands_on
        if hands_on:
            self.skip1 = _Conv(inputs, inputs, 1)
            self.skip2 = _Conv(_WIDTH, inputs, 1)
        self.cross_conv = _Conv(_WIDTH, _STEM, 1) if crosses else nn.Identity()

    def forward(self, level: Tensor, below: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
        """(N, inputs, h, w), (N, 256, h / 2, w / 2) -> (N, 256, h, w), heatmaps (N, 17, h, w), (N, inputs, h, w).

        Of these the first goes to the next finer level, from the finest to the next stage's body (with 64 channels);
        the third is added to the same level there.
        """
        x = self.u_skip(level)
        if below is not None:
            x = x + self.up_conv(_resize(below, like=level))
        x = F.relu(x)
        addition = self.skip1(level) + self.skip2(x) if self.hands_on else None
        return self.cross_conv(x), self.res_conv2(self.res_conv1(x)), addition


class Stage(nn.Module):
    """A ResNet-50 down and its levels up again.

    Args:
        last: no stage follows.
    """

    def __init__(self, *, last: bool) -> None:
        super().__init__()
        self.downsample, self.upsample = nn.ModuleDict(), nn.ModuleDict()
        inputs = _STEM
        for i, (outputs, blocks) in enumerate(_LAYERS, start=1):
            self.downsample[f"layer{i}"] = _layer(inputs, outputs, 1 if i == 1 else 2, blocks)
            inputs = outputs
        for i, (inputs, _) in enumerate(reversed(_LAYERS), start=1):
            finest = i == len(_LAYERS)
            self.upsample[f"up{i}"] = Up(inputs, coarsest=i == 1, hands_on=not last, crosses=finest and not last)

    def forward(self, x: Tensor, additions: Sequence[Tensor]) -> tuple[list[Tensor], Tensor, list[Tensor]]:
        """Start and additions of this stage -> heatmaps, coarsest first; start and additions of the next.

        A stage starts from (N, 64, H / 4, W / 4); additions are one tensor per level, finest first, or none at all.
        """
        levels: list[Tensor] = []
        for i, layer in enumerate(self.downsample.values()):
            x = layer(x) + additions[i] if additions else layer(x)
            levels.append(x)
        heatmaps, handed_on = [], []
        below: Any = None  # under the coarsest level there is nothing
        for up, level in zip(self.upsample.values(), reversed(levels), strict=True):
            below, heatmap, addition = up(level, below)
            heatmaps.append(_resize(heatmap, like=levels[0]))
            handed_on.append(addition)
        return heatmaps, below, handed_on[::-1]


class MSPN(nn.Module):
    """Stem and stages.

    Args:
        stages: how many, 1 to 4 in the paper.
    """

    def __init__(self, stages: int) -> None:
        super().__init__()
        self.top = Stem()
        for i in range(stages):
            self.add_module(f"stage{i}", Stage(last=i == stages - 1))

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """(N, 3, H, W) -> heatmaps (N, 17, H / 4, W / 4) by `stage{i}_res{level}`; the last ones count."""
        top, *stages = self.children()
        x, additions = top(images), ()
        answers: dict[str, Tensor] = {}
        for i, stage in enumerate(stages):
            heatmaps, x, additions = stage(x, additions)
            answers |= {f"stage{i}_res{level}": heatmap for level, heatmap in enumerate(heatmaps)}
        return answers
