"""BlazePose GHUM 3D: a crop of one person to 39 points in the image, 39 in metres, a flag and heatmaps.

Original and weights: Google, The MediaPipe Authors, Apache-2.0. Bazarevsky et al. 2020, "BlazePose: On-device
Real-time Body Pose tracking"; the published graphs, of three sizes, give the structure. Batch norm is folded into the
convolutions; the segmentation branch is left out. The modules are registered in the order in which the published graphs
number their layers, which `published_state` relies on.

Input: crops (N, 256, 256, 3) uint8 RGB; the network scales them to 0..1. Outputs: see `BlazePoseNetwork.forward`;
`estimators.blazepose_decode` decodes them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

POINTS = 39  # 33 landmarks and six auxiliary points
HEADS = {"landmarks": "convld_3d", "world": "convworld_3d", "flag": "conv_poseflag", "heatmap": "output_heatmap"}
"""The heads by their names here, with their names in the published graphs."""


@dataclass(frozen=True, kw_only=True)
class Size:
    """Widths and depths of one of the published networks."""

    stem: int
    stages: tuple[tuple[tuple[int, int, int, int], ...], ...]
    """At strides 4, 8, 16 and 32: of each inverted residual the inner width, kernel, stride and width."""
    neck: int
    trunk: int | None
    """Width of the input of the trunk, made from stride 32; None if that is the output of the neck."""
    levels: tuple[tuple[int, int], ...]
    """Width and number of residual blocks of each level of the trunk."""


def _stage(
    first: tuple[int, int, int, int], *more: tuple[int, int, int, int] | int
) -> tuple[tuple[int, int, int, int], ...]:
    """The blocks of a stage; a number repeats the block before it so many times more."""
    blocks = [first]
    for each in more:
        blocks += [blocks[-1]] * each if isinstance(each, int) else [each]
    return tuple(blocks)


LITE = Size(
    stem=8,
    stages=(
        _stage((32, 3, 2, 16), (96, 3, 1, 16)),
        _stage((96, 5, 2, 24), (144, 5, 1, 24)),
        _stage((144, 3, 2, 40), (240, 3, 1, 40), 1, (240, 5, 1, 56), (336, 5, 1, 56), 1),
        _stage((336, 5, 2, 96), (576, 5, 1, 96), 2),
    ),
    neck=32,
    trunk=192,
    levels=((192, 2), (192, 3)),
)
FULL = Size(
    stem=16,
    stages=(
        _stage((64, 3, 2, 24), (144, 3, 1, 24)),
        _stage((144, 5, 2, 32), (192, 5, 1, 32)),
        _stage((192, 3, 2, 64), (384, 3, 1, 64), 1, (384, 5, 1, 88), (528, 5, 1, 88), 1),
        _stage((528, 5, 2, 144), (864, 5, 1, 144), 2),
    ),
    neck=48,
    trunk=288,
    levels=((288, 4), (288, 5)),
)
HEAVY = Size(
    stem=24,
    stages=(
        _stage((96, 3, 2, 32), (128, 3, 1, 32), (192, 3, 1, 32), 1),
        _stage((192, 5, 2, 56), (336, 5, 1, 56), 2),
        _stage((336, 3, 2, 112), (672, 3, 1, 112), 4, (672, 5, 1, 160), (960, 5, 1, 160), 4),
        _stage((960, 5, 2, 272), (1632, 5, 1, 272), 6),
    ),
    neck=48,
    trunk=None,
    levels=((96, 6), (192, 7), (288, 7), (288, 7), (288, 7)),
)
SIZES = {"blazepose_lite": LITE, "blazepose_full": FULL, "blazepose_heavy": HEAVY}


def _depthwise(width: int, kernel: int = 3, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(width, width, kernel, stride, padding=kernel // 2, groups=width)


def _up2(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


class SeparableConv(nn.Module):
    """3x3 depthwise convolution and 1x1 convolution, both with ReLU6."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.depthwise = _depthwise(inputs)
        self.pointwise = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H, W)."""
        return F.relu6(self.pointwise(F.relu6(self.depthwise(x))))


class InvertedResidual(nn.Module):
    """Inverted residual: 1x1 expansion, depthwise, 1x1 projection; a shortcut where the shapes are equal."""

    def __init__(self, inputs: int, wide: int, kernel: int, stride: int, outputs: int) -> None:
        super().__init__()
        self.expand = nn.Conv2d(inputs, wide, 1)
        self.depthwise = _depthwise(wide, kernel, stride)
        self.project = nn.Conv2d(wide, outputs, 1)
        self.adds_input = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H / stride, W / stride)."""
        narrow = self.project(F.relu6(self.depthwise(F.relu6(self.expand(x)))))
        return x + narrow if self.adds_input else narrow


class Residual(nn.Module):
    """Residual block of the trunk: depthwise and 1x1 convolution, ReLU6 after the sum."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.depthwise = _depthwise(width)
        self.pointwise = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, width, H, W) -> the same shape."""
        return F.relu6(x + self.pointwise(F.relu6(self.depthwise(x))))


class Downsampling(nn.Module):
    """Residual block with stride 2; its shortcut is max pooling, with channels of zeros appended.

    The depthwise convolution pads even sides by one cell at the end only (TensorFlow's SAME).
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(inputs, inputs, 3, 2, groups=inputs)
        self.pointwise = nn.Conv2d(inputs, outputs, 1)
        self.added = outputs - inputs

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H / 2, W / 2)."""
        shortcut = F.pad(F.max_pool2d(x, 2), (0, 0, 0, 0, 0, self.added))
        return F.relu6(shortcut + self.pointwise(F.relu6(self.depthwise(F.pad(x, (0, 1, 0, 1))))))


class Backbone(nn.Module):
    """Inverted residuals; features at strides 4, 8, 16 and 32."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 24, 3, 2, padding=1)
        self.stem_depthwise = _depthwise(24)
        self.stem_project = nn.Conv2d(24, size.stem, 1)
        self.stages = nn.ModuleList()
        width = size.stem
        for stage in size.stages:
            blocks = nn.Sequential()
            for wide, kernel, stride, outputs in stage:
                blocks.append(InvertedResidual(width, wide, kernel, stride, outputs))
                width = outputs
            self.stages.append(blocks)
        top = size.stages[-1][-1][0]
        self.top = nn.Conv2d(width, top, 1)
        self.top_depthwise = _depthwise(top)
        self.widths = (*(stage[-1][3] for stage in size.stages[:3]), top)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(N, 3, H, W) -> features at strides 4, 8, 16, 32."""
        x = self.stem_project(F.relu6(self.stem_depthwise(F.relu6(self.stem(x)))))
        levels = []
        for stage in self.stages:
            x = stage(x)
            levels.append(x)
        levels[-1] = F.relu6(self.top_depthwise(F.relu6(self.top(x))))
        return levels


class Neck(nn.Module):
    """Top-down feature pyramid: upsample and add; all levels have the same width."""

    def __init__(self, inputs: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.laterals = nn.ModuleList(SeparableConv(n, width) for n in reversed(inputs))  # stride 32 first

    def forward(self, levels: list[Tensor]) -> Tensor:
        """Features of the backbone -> (N, width, H, W) of its finest level."""
        x, *finer = (lateral(level) for lateral, level in zip(self.laterals, reversed(levels), strict=True))
        for level in finer:
            x = _up2(x) + level
        return x


class Level(nn.Module):
    """A level of the trunk: downsampling, residual blocks, and optionally features of the backbone added."""

    def __init__(self, inputs: int, outputs: int, blocks: int, lateral: int | None) -> None:
        super().__init__()
        self.down = Downsampling(inputs, outputs)
        self.blocks = nn.Sequential(*(Residual(outputs) for _ in range(blocks)))
        self.lateral = None if lateral is None else SeparableConv(lateral, outputs)

    def forward(self, x: Tensor, features: Tensor | None) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H / 2, W / 2); `features` are of the output's height and width."""
        x = self.blocks(self.down(x))
        return x if self.lateral is None or features is None else x + self.lateral(features)


class Trunk(nn.Module):
    """Downsamples to 2 x 2 cells: from stride 32, or from stride 4 with features of the backbone added on the way."""

    def __init__(self, size: Size, inputs: tuple[int, ...]) -> None:
        super().__init__()
        self.entry = None if size.trunk is None else SeparableConv(inputs[-1], size.trunk)
        width = size.trunk or size.neck
        laterals = inputs[1:] if self.entry is None else ()
        self.levels = nn.ModuleList()
        for i, (outputs, blocks) in enumerate(size.levels):
            self.levels.append(Level(width, outputs, blocks, laterals[i] if i < len(laterals) else None))
            width = outputs
        self.width = width

    def forward(self, finest: Tensor, levels: list[Tensor]) -> Tensor:
        """Output of the neck and features of the backbone -> (N, width, 2, 2)."""
        x = finest if self.entry is None else self.entry(levels[-1])
        for i, level in enumerate(self.levels):
            x = level(x, levels[i + 1] if i + 1 < len(levels) else None)
        return x


class BlazePoseNetwork(nn.Module):
    """Crops of one person to landmarks, world landmarks, flag and heatmaps."""

    def __init__(self, size: Size = FULL) -> None:
        super().__init__()
        self.backbone = Backbone(size)
        self.neck = Neck(self.backbone.widths, size.neck)
        self.trunk = Trunk(size, self.backbone.widths)
        self.heatmap = nn.Conv2d(size.neck, POINTS, 1)
        self.landmarks = nn.Conv2d(self.trunk.width, 5 * POINTS, 2)
        self.world = nn.Conv2d(self.trunk.width, 3 * POINTS, 2)
        self.flag = nn.Conv2d(self.trunk.width, 1, 2)

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Crops (N, 256, 256, 3) uint8 RGB -> float32.

        Returns:
            landmarks (N, 39, 5): x and y in pixels of the crop, z, logits of visibility and presence;
            world (N, 39, 3) metres from the middle of the hips: x right, y down, z away from the camera;
            flag (N,) 0..1: probability that the crop shows a person;
            heatmaps (N, 39, 64, 64) 0..1.
        """
        levels = self.backbone(crops.permute(0, 3, 1, 2).float() / 255)
        finest = self.neck(levels)
        x = self.trunk(finest, levels)
        return (
            self.landmarks(x).reshape(-1, POINTS, 5),
            self.world(x).reshape(-1, POINTS, 3),
            torch.sigmoid(self.flag(x)).reshape(-1),
            torch.sigmoid(self.heatmap(finest)),
        )


def published_names(module: BlazePoseNetwork) -> Iterator[tuple[str, str, str, bool]]:
    """Of each convolution: its key here, the names of its weights and bias in the published graph, if it is depthwise.

    The published graphs number 1x1 and depthwise convolutions separately, in the order of computation.
    """
    counts = {"conv2d": 0, "depthwise_conv2d": 0}
    prefix = "StatefulPartitionedCall/model"
    for key, layer in module.named_modules():
        if not isinstance(layer, nn.Conv2d):
            continue
        if key in HEADS:
            name = f"{prefix}/{HEADS[key]}"
            yield key, f"{name}/Conv2D/ReadVariableOp", f"{name}/BiasAdd/ReadVariableOp", False
            continue
        depthwise = layer.groups > 1
        kind, operation = ("depthwise_conv2d", "depthwise") if depthwise else ("conv2d", "Conv2D")
        name = f"{prefix}/{kind}_{counts[kind]}" if counts[kind] else f"{prefix}/{kind}"
        counts[kind] += 1
        yield key, f"{name}/{operation}_weights", f"{name}/{operation}_bn_offset", depthwise


def published_state(tensors: Mapping[str, np.ndarray], module: BlazePoseNetwork) -> dict[str, np.ndarray]:
    """The state dict of a network from the tensors of a published graph (TensorFlow.js) by name.

    Raises:
        KeyError: a tensor is missing.
    """
    state = {}
    for key, weight, bias, depthwise in published_names(module):
        # (height, width, in, out), or (height, width, channel, 1) of a depthwise one, -> (out, in, height, width)
        state[f"{key}.weight"] = tensors[weight].transpose((2, 3, 0, 1) if depthwise else (3, 2, 0, 1))
        state[f"{key}.bias"] = tensors[bias]
    return state
