"""Lite-HRNet, a small top-down network: HRNet with conditional channel weighting instead of 1x1 convolutions.

Paper: Yu et al. 2021, "Lite-HRNet: A Lightweight High-Resolution Network". Original code and weights: open-mmlab/mmpose
1.x, Apache-2.0; layers are named as there.

Input: crops (N, 3, H, W) of 192 x 256 or 288 x 384 (W x H), RGB, ImageNet's mean and standard deviation.
Output: heatmaps (N, 17, H/4, W/4).
"""

from __future__ import annotations

from collections import OrderedDict
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from posetrail.layers import ConvBnAct

from .resolutions import Fusion, Transition, separable_step

_STEM_WIDTH = 32
_WIDTHS = (40, 80, 160, 320)
_BLOCKS = 2  # per module
_CROSS_SQUEEZE = 8
_CHANNEL_SQUEEZE = 4

ConvBn = partial(ConvBnAct, activation=None)
Gate = partial(ConvBnAct, bias=True, norm=False)


def shuffled(*halves: Tensor) -> Tensor:
    """Interleave the channels of two maps (channel shuffle of ShuffleNet, Zhang et al. 2018)."""
    return torch.stack(halves, 2).flatten(1, 2)


class Stem(nn.Module):
    """Stem to stride 4: a convolution of stride 2, then a shuffle block whose branches both have stride 2."""

    def __init__(self) -> None:
        super().__init__()
        half = _STEM_WIDTH // 2
        self.conv1 = ConvBnAct(3, _STEM_WIDTH, 3, 2)
        self.branch1 = nn.Sequential(ConvBn(half, half, 3, 2, groups=half), ConvBnAct(half, half, 1))
        self.expand_conv = ConvBnAct(half, _STEM_WIDTH, 1)
        self.depthwise_conv = ConvBn(_STEM_WIDTH, _STEM_WIDTH, 3, 2, groups=_STEM_WIDTH)
        self.linear_conv = ConvBnAct(_STEM_WIDTH, half, 1)  # has a ReLU in spite of its name

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, 32, H/4, W/4)."""
        left, right = self.conv1(images).chunk(2, 1)
        return shuffled(self.branch1(left), self.linear_conv(self.depthwise_conv(self.expand_conv(right))))


class SpatialWeighting(nn.Module):
    """Channel weights computed from the channel means (squeeze and excitation, Hu et al. 2018)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = Gate(width, width // _CHANNEL_SQUEEZE, 1)
        self.conv2 = Gate(width // _CHANNEL_SQUEEZE, width, 1, activation=torch.sigmoid)

    def forward(self, x: Tensor) -> Tensor:
        """(N, width, H, W) -> the same shape."""
        return x * self.conv2(self.conv1(x.mean((2, 3), keepdim=True)))


class CrossResolutionWeighting(nn.Module):
    """Weights for each cell and channel, computed from all maps at the coarsest resolution."""

    def __init__(self, widths: list[int]) -> None:
        super().__init__()
        self.widths = widths
        total = sum(widths)
        self.conv1 = ConvBnAct(total, total // _CROSS_SQUEEZE, 1)
        self.conv2 = ConvBnAct(total // _CROSS_SQUEEZE, total, 1, activation=torch.sigmoid)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Maps, finest first -> the same shapes."""
        height, width = maps[-1].shape[2:]
        together = torch.cat([F.adaptive_avg_pool2d(x, (height, width)) for x in maps], 1)
        weights = torch.split(self.conv2(self.conv1(together)), self.widths, 1)
        return [x * F.interpolate(weight, x.shape[2:]) for x, weight in zip(maps, weights, strict=True)]


class ConditionalChannelWeighting(nn.Module):
    """Shuffle block over all resolutions: half of the channels are weighted, convolved and weighted again."""

    def __init__(self, widths: list[int]) -> None:
        super().__init__()
        halves = [width // 2 for width in widths]
        self.cross_resolution_weighting = CrossResolutionWeighting(halves)
        self.depthwise_convs = nn.ModuleList(ConvBn(width, width, 3, groups=width) for width in halves)
        self.spatial_weighting = nn.ModuleList(SpatialWeighting(width) for width in halves)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Maps, finest first -> the same shapes."""
        unchanged, weighted = ([x.chunk(2, 1)[half] for x in maps] for half in range(2))
        weighted = self.cross_resolution_weighting(weighted)
        weighted = [conv(x) for conv, x in zip(self.depthwise_convs, weighted, strict=True)]
        weighted = [weigh(x) for weigh, x in zip(self.spatial_weighting, weighted, strict=True)]
        return [shuffled(*halves) for halves in zip(unchanged, weighted, strict=True)]


class LiteModule(nn.Module):
    """Two blocks, then fusion of all resolutions.

    The published weights were trained with a fusion that differs from the paper: each sum contains the finest map
    twice, and the sums of coarser maps use the finest sum, before its ReLU, instead of the finest map.
    """

    def __init__(self, widths: list[int]) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(ConditionalChannelWeighting(widths) for _ in range(_BLOCKS)))
        self.fuse_layers = Fusion(widths, len(widths), separable_step)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Maps, finest first -> the same shapes."""
        maps = self.layers(maps)
        sums: list[Tensor] = []
        for row in self.fuse_layers:
            sums.append(row(maps) + row.get_submodule("0")(maps[0]))
            maps = [sums[0], *maps[1:]]
        return [F.relu(x) for x in sums]


def mixing(inputs: int, outputs: int) -> nn.Sequential:
    """3x3 depthwise convolution and norm, then 1x1 convolution, norm and ReLU."""
    depthwise = ConvBn(inputs, inputs, 3, groups=inputs)
    return nn.Sequential(OrderedDict(depthwise_conv=depthwise, pointwise_conv=ConvBnAct(inputs, outputs, 1)))


class IterativeHead(nn.Module):
    """From the coarsest map to the finest: upsample, add the next finer map, convolve."""

    def __init__(self) -> None:
        super().__init__()
        widths = _WIDTHS[::-1]
        self.projects = nn.ModuleList(
            mixing(inputs, outputs) for inputs, outputs in zip(widths, (*widths[1:], widths[-1]), strict=True)
        )

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Maps, finest first -> the finest, (N, 40, H/4, W/4)."""
        *finer, coarsest = maps
        x = self.projects[0](coarsest)
        for project, y in zip(list(self.projects)[1:], reversed(finer), strict=True):
            x = project(y + F.interpolate(x, y.shape[2:], mode="bilinear", align_corners=True))
        return x


class LiteHRNetBody(nn.Module):
    """Backbone: stem, three stages of 2, 3 and 4 resolutions with `modules` modules each, and the iterative head."""

    def __init__(self, modules: tuple[int, int, int]) -> None:
        super().__init__()
        self.stem = Stem()
        self.stages = len(modules)
        before = [_STEM_WIDTH]
        for i, count in enumerate(modules):
            widths = list(_WIDTHS[: i + 2])
            self.add_module(f"transition{i}", Transition(before, widths, separable_step))
            self.add_module(f"stage{i}", nn.Sequential(*(LiteModule(widths) for _ in range(count))))
            before = widths
        self.head_layer = IterativeHead()

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, 40, H/4, W/4)."""
        maps = [self.stem(images)]
        for i in range(self.stages):
            maps = self.get_submodule(f"transition{i}")(maps)
            maps = self.get_submodule(f"stage{i}")(maps)
        return self.head_layer(maps)


class Head(nn.Module):
    """Head: 1x1 convolution to one heatmap per joint."""

    def __init__(self, joints: int) -> None:
        super().__init__()
        self.final_layer = nn.Conv2d(_WIDTHS[0], joints, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 40, h, w) -> (N, joints, h, w)."""
        return self.final_layer(x)


class LiteHRNet(nn.Module):
    """Lite-HRNet; Lite-HRNet-18 has (2, 4, 2) modules, Lite-HRNet-30 has (3, 8, 3)."""

    def __init__(self, modules: tuple[int, int, int], *, joints: int = 17) -> None:
        super().__init__()
        self.backbone = LiteHRNetBody(modules)
        self.head = Head(joints)

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, joints, H/4, W/4)."""
        return self.head(self.backbone(images))
