"""YOLOX, an anchor-free one-stage detector: CSPDarknet backbone, path aggregation neck, decoupled head.

Paper: Ge et al. 2021, "YOLOX: Exceeding YOLO Series in 2021". Original code and weights: Megvii-BaseDetection/YOLOX,
Apache-2.0; layers are named as there, and the released files contain them under "model". Published AP on COCO val: 25.8
(nano) and 32.8 (tiny) at 416 x 416, 40.5 (s) and 46.9 (m) at 640 x 640.

Input: (N, 3, H, W), BGR 0..255 without normalisation (weights since 0.1.1rc0); the image is scaled to fit and placed at
the top left of a canvas of grey 114. H and W are multiples of 32.
Outputs: boxes and scores of COCO's 80 classes, person first, per cell at strides 8, 16 and 32, see `YOLOX.forward`.
Batch norm has eps 1e-3, not torch's 1e-5.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from detectors.decode import STRIDES
from posetrail.cspnext import SpatialPyramid
from posetrail.layers import ConvBnAct

CLASSES = 80

_EPS = 1e-3
_Conv = partial(ConvBnAct, activation=F.silu)


class SeparableConv(nn.Module):
    """Depthwise and pointwise convolution, each with batch norm and SiLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.dconv = _Conv(inputs, inputs, kernel, stride, groups=inputs)
        self.pconv = _Conv(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H / stride, W / stride)."""
        return self.pconv(self.dconv(x))


def _spatial(separable: bool) -> type[SeparableConv] | partial[ConvBnAct]:
    return SeparableConv if separable else _Conv


class Focus(nn.Module):
    """Space-to-depth stem: the four pixels of each 2 x 2 block become channels, then a 3x3 convolution."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.conv = _Conv(12, outputs, 3)

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, outputs, H / 2, W / 2)."""
        phases = [images[..., y::2, x::2] for x in (0, 1) for y in (0, 1)]
        return self.conv(torch.cat(phases, 1))


class Bottleneck(nn.Module):
    """1x1 and 3x3 convolution, optionally with a shortcut."""

    def __init__(self, width: int, *, shortcut: bool, separable: bool) -> None:
        super().__init__()
        self.conv1 = _Conv(width, width, 1)
        self.conv2 = _spatial(separable)(width, width, 3)
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """(N, width, H, W) -> the same."""
        y = self.conv2(self.conv1(x))
        return x + y if self.shortcut else y


class CSPLayer(nn.Module):
    """Cross stage partial layer: half of the channels pass through bottlenecks, half bypass them."""

    def __init__(self, inputs: int, outputs: int, blocks: int, *, shortcut: bool, separable: bool) -> None:
        super().__init__()
        half = outputs // 2
        self.conv1 = _Conv(inputs, half, 1)
        self.conv2 = _Conv(inputs, half, 1)
        self.conv3 = _Conv(outputs, outputs, 1)
        self.m = nn.Sequential(*(Bottleneck(half, shortcut=shortcut, separable=separable) for _ in range(blocks)))

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H, W)."""
        return self.conv3(torch.cat([self.m(self.conv1(x)), self.conv2(x)], 1))


class Darknet(nn.Module):
    """CSPDarknet backbone: a stem and four stages, each of which halves the resolution."""

    def __init__(self, deepen: float, width: int, *, separable: bool) -> None:
        super().__init__()
        blocks = max(round(3 * deepen), 1)
        self.stem = Focus(width)

        def stage(factor: int, blocks: int, *, last: bool = False) -> nn.Sequential:
            inputs, outputs = width * factor // 2, width * factor
            return nn.Sequential(
                _spatial(separable)(inputs, outputs, 3, 2),
                *([SpatialPyramid(outputs)] if last else []),
                CSPLayer(outputs, outputs, blocks, shortcut=not last, separable=separable),
            )

        self.dark2 = stage(2, blocks)
        self.dark3 = stage(4, 3 * blocks)
        self.dark4 = stage(8, 3 * blocks)
        self.dark5 = stage(16, blocks, last=True)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(N, 3, H, W) -> maps at strides 8, 16, 32 with 4, 8, 16 times `width` channels."""
        fine = self.dark3(self.dark2(self.stem(images)))
        middle = self.dark4(fine)
        return fine, middle, self.dark5(middle)


class PathAggregation(nn.Module):
    """Backbone and path aggregation neck: a top-down path, then a bottom-up path (Liu et al. 2018)."""

    def __init__(self, deepen: float, width: int, *, separable: bool) -> None:
        super().__init__()
        fine, middle, coarse = 4 * width, 8 * width, 16 * width
        csp = partial(CSPLayer, blocks=round(3 * deepen), shortcut=False, separable=separable)
        self.backbone = Darknet(deepen, width, separable=separable)
        self.lateral_conv0 = _Conv(coarse, middle, 1)
        self.C3_p4 = csp(2 * middle, middle)
        self.reduce_conv1 = _Conv(middle, fine, 1)
        self.C3_p3 = csp(2 * fine, fine)
        self.bu_conv2 = _spatial(separable)(fine, fine, 3, 2)
        self.C3_n3 = csp(2 * fine, middle)
        self.bu_conv1 = _spatial(separable)(middle, middle, 3, 2)
        self.C3_n4 = csp(2 * middle, coarse)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(N, 3, H, W) -> maps at strides 8, 16, 32 with 4, 8, 16 times `width` channels."""
        fine, middle, coarse = self.backbone(images)
        lateral_coarse = self.lateral_conv0(coarse)
        middle = self.C3_p4(torch.cat([_doubled(lateral_coarse), middle], 1))
        lateral_middle = self.reduce_conv1(middle)
        fine = self.C3_p3(torch.cat([_doubled(lateral_middle), fine], 1))
        middle = self.C3_n3(torch.cat([self.bu_conv2(fine), lateral_middle], 1))
        coarse = self.C3_n4(torch.cat([self.bu_conv1(middle), lateral_coarse], 1))
        return fine, middle, coarse


def _doubled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="nearest")


class Head(nn.Module):
    """Decoupled head with two branches per level: classes; boxes and objectness."""

    def __init__(self, width: int, *, separable: bool) -> None:
        super().__init__()
        hidden = 4 * width
        conv = _spatial(separable)

        def branches() -> nn.ModuleList:
            return nn.ModuleList(nn.Sequential(conv(hidden, hidden, 3), conv(hidden, hidden, 3)) for _ in STRIDES)

        def predictions(channels: int) -> nn.ModuleList:
            return nn.ModuleList(nn.Conv2d(hidden, channels, 1) for _ in STRIDES)

        self.stems = nn.ModuleList(_Conv(factor * width, hidden, 1) for factor in (4, 8, 16))
        self.cls_convs, self.reg_convs = branches(), branches()
        self.cls_preds, self.reg_preds, self.obj_preds = predictions(CLASSES), predictions(4), predictions(1)

    def forward(self, levels: tuple[Tensor, Tensor, Tensor]) -> dict[str, Tensor]:
        """Maps of three levels -> the outputs of `YOLOX.forward`."""
        raw, scores, decoded = [], [], []
        for i, (stride, level) in enumerate(zip(STRIDES, levels, strict=True)):
            x = self.stems[i](level)
            box, kind = self.reg_convs[i](x), self.cls_convs[i](x)
            reg = _rows(self.reg_preds[i](box))
            raw.append(reg)
            scores.append(_rows(torch.cat([self.obj_preds[i](box), self.cls_preds[i](kind)], 1)).sigmoid())
            decoded.append(torch.cat([(reg[..., :2] + _cells(level)) * stride, reg[..., 2:].exp() * stride], 2))
        return {"reg": torch.cat(raw, 1), "objcls": torch.cat(scores, 1), "decoded_xywh": torch.cat(decoded, 1)}


def _rows(x: Tensor) -> Tensor:
    return x.flatten(2).transpose(1, 2)  # (N, channels, H, W) -> (N, H W, channels)


def _cells(level: Tensor) -> Tensor:
    """Column and row of each cell, (H W, 2), row by row."""
    height, width = level.shape[2:]
    row, column = torch.meshgrid(
        torch.arange(height, device=level.device), torch.arange(width, device=level.device), indexing="ij"
    )
    return torch.stack([column, row], 2).reshape(-1, 2).to(level.dtype)


class YOLOX(nn.Module):
    """YOLOX.

    Args:
        deepen: factor on the number of blocks.
        widen: factor on the number of channels.
        separable: whether 3x3 convolutions are depthwise separable (nano).
    """

    def __init__(self, deepen: float, widen: float, *, separable: bool = False) -> None:
        super().__init__()
        width = int(64 * widen)
        self.backbone = PathAggregation(deepen, width, separable=separable)
        self.head = Head(width, separable=separable)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eps = _EPS

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """(N, 3, H, W) -> `reg`, `objcls`, `decoded_xywh` for the A cells of all levels, finest first, row by row.

        reg (N, A, 4) are the boxes before decoding; objcls (N, A, 81) are objectness and class probabilities, 0..1;
        decoded_xywh (N, A, 4) are centre x, centre y, width and height in input pixels.
        """
        return self.head(self.backbone(images))
