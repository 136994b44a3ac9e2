"""CSPNeXt, the backbone of RTMDet (detectors), RTMPose and RTMW (estimators), and the neck of RTMDet and RTMW.

Paper: Lyu et al. 2022, "RTMDet: An Empirical Study of Designing Real-Time Object Detectors"; original code:
open-mmlab/mmdetection and mmpose, Apache-2.0. Keys as there. Batch norm's eps is 1e-5, SiLU everywhere.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .layers import ConvBnAct, SeparableConv

_WIDTHS = (64, 128, 256, 512, 1024)  # of the stem and the four stages at widen = 1
_BLOCKS = (3, 6, 6, 3)  # per stage at deepen = 1
_POOLS = (5, 9, 13)

Conv = partial(ConvBnAct, activation=F.silu)
Separable = partial(SeparableConv, activation=F.silu)


class CSPNeXtBlock(nn.Module):
    """3x3, then separable 5x5 convolution; with `shortcut` the input is added, without an activation."""

    def __init__(self, width: int, *, shortcut: bool, separable: bool = False) -> None:
        super().__init__()
        self.conv1 = (Separable if separable else Conv)(width, width, 3)
        self.conv2 = Separable(width, width, 5)
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """(N, width, H, W) -> the same."""
        y = self.conv2(self.conv1(x))
        return x + y if self.shortcut else y


class ChannelAttention(nn.Module):
    """Channels weighted by a hard sigmoid of their means."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, width, H, W) -> the same."""
        return x * F.hardsigmoid(self.fc(x.mean((2, 3), keepdim=True)))


class CSPLayer(nn.Module):
    """Half of the channels pass the blocks (cross stage partial); then attention and a 1x1 convolution."""

    def __init__(
        self, inputs: int, outputs: int, blocks: int, *, shortcut: bool, attention: bool, separable: bool = False
    ) -> None:
        super().__init__()
        half = outputs // 2
        self.main_conv = Conv(inputs, half, 1)
        self.short_conv = Conv(inputs, half, 1)
        self.final_conv = Conv(outputs, outputs, 1)
        self.blocks = nn.Sequential(
            *(CSPNeXtBlock(half, shortcut=shortcut, separable=separable) for _ in range(blocks))
        )
        self.attention = ChannelAttention(outputs) if attention else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H, W)."""
        return self.final_conv(self.attention(torch.cat([self.blocks(self.main_conv(x)), self.short_conv(x)], 1)))


class SpatialPyramid(nn.Module):
    """Spatial pyramid pooling (He et al. 2014): the map with its maxima over three neighbourhoods."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = Conv(width, width // 2, 1)
        self.conv2 = Conv(width // 2 * (1 + len(_POOLS)), width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, width, H, W) -> the same."""
        x = self.conv1(x)
        return self.conv2(torch.cat([x, *(F.max_pool2d(x, size, 1, size // 2) for size in _POOLS)], 1))


class CSPNeXt(nn.Module):
    """A stem and four stages.

    Args:
        deepen: factor on the number of blocks per stage.
        widen: factor on the number of channels.
        separable: separable 3x3 convolutions after the stem (RTMDet nano).
    """

    def __init__(self, deepen: float, widen: float, *, separable: bool = False) -> None:
        super().__init__()
        stem, *stages = (int(width * widen) for width in _WIDTHS)
        self.stem = nn.Sequential(Conv(3, stem // 2, 3, 2), Conv(stem // 2, stem // 2, 3), Conv(stem // 2, stem, 3))
        self.widths = stages
        inputs = stem
        for i, (width, blocks) in enumerate(zip(stages, _BLOCKS, strict=True)):
            last = i == len(stages) - 1
            layers: list[nn.Module] = [(Separable if separable else Conv)(inputs, width, 3, 2)]
            if last:
                layers.append(SpatialPyramid(width))
            depth = max(round(blocks * deepen), 1)
            layers.append(CSPLayer(width, width, depth, shortcut=not last, attention=True, separable=separable))
            self.add_module(f"stage{i + 1}", nn.Sequential(*layers))
            inputs = width

    def forward(self, images: Tensor) -> list[Tensor]:
        """(N, 3, H, W) -> the outputs of the four stages, strides 4, 8, 16, 32, with `widths` channels."""
        x = self.stem(images)
        outputs = []
        for i in range(len(self.widths)):
            x = self.get_submodule(f"stage{i + 1}")(x)
            outputs.append(x)
        return outputs


class PathAggregation(nn.Module):
    """Path aggregation neck: a top-down path to the finest level, then a bottom-up path back (Liu et al. 2018).

    Args:
        widths: channels of the maps at strides 8, 16 and 32.
        blocks: number of blocks of each layer.
        outputs: channels of all three levels after a last convolution; without it they keep `widths`.
        separable: separable 3x3 convolutions (RTMDet nano).
    """

    def __init__(self, widths: list[int], blocks: int, *, outputs: int | None = None, separable: bool = False) -> None:
        super().__init__()
        fine, middle, coarse = widths
        spatial = Separable if separable else Conv
        csp = partial(CSPLayer, blocks=blocks, shortcut=False, attention=False, separable=separable)
        self.reduce_layers = nn.ModuleList([Conv(coarse, middle, 1), Conv(middle, fine, 1)])
        self.top_down_blocks = nn.ModuleList([csp(2 * middle, middle), csp(2 * fine, fine)])
        self.downsamples = nn.ModuleList([spatial(fine, fine, 3, 2), spatial(middle, middle, 3, 2)])
        self.bottom_up_blocks = nn.ModuleList([csp(2 * fine, middle), csp(2 * middle, coarse)])
        self.out_convs = nn.ModuleList(
            nn.Identity() if outputs is None else spatial(width, outputs, 3) for width in widths
        )

    def forward(self, levels: list[Tensor]) -> list[Tensor]:
        """Maps at strides 8, 16, 32 with `widths` channels -> the same strides with `widths` or `outputs` channels."""
        fine, middle, coarse = levels
        lateral_coarse = self.reduce_layers[0](coarse)
        middle = self.top_down_blocks[0](torch.cat([_doubled(lateral_coarse), middle], 1))
        lateral_middle = self.reduce_layers[1](middle)
        fine = self.top_down_blocks[1](torch.cat([_doubled(lateral_middle), fine], 1))
        middle = self.bottom_up_blocks[0](torch.cat([self.downsamples[0](fine), lateral_middle], 1))
        coarse = self.bottom_up_blocks[1](torch.cat([self.downsamples[1](middle), lateral_coarse], 1))
        return [conv(level) for conv, level in zip(self.out_convs, (fine, middle, coarse), strict=True)]


def _doubled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="nearest")
