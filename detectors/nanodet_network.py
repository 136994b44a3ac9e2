"""NanoDet-g, the built-in person detector: CSP backbone, path aggregation without convolutions, one head per level.

Original code and weights: NanoDet, https://github.com/RangiLyu/nanodet, Apache-2.0; NanoDet-g is its variant for
accelerators, without depthwise convolutions and without convolutions in the neck. Batch norm is folded into the
convolutions; of the 80 COCO classes only the person is kept.

Input: (N, H, W, 3) uint8 RGB, letterboxed, H and W multiples of 32; the network subtracts ImageNet's mean and divides
by its standard deviation. Outputs: (N, 45, H / stride, W / stride) for strides 8, 16 and 32: the person logit, then 11
bins each for left, top, right and bottom.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from detectors.decode import STRIDES
from posetrail.preprocessing import IMAGENET_MEAN, IMAGENET_STD

BINS = 11
"""Each distance is a distribution over 0, 1, ..., 10 strides (Generalized Focal Loss, Li et al. 2020, section 3.2)."""

_STAGES = ((32, 1, 1), (64, 2, 2), (128, 2, 2), (256, 2, 3))  # width, stride, pairs of convolutions
_NECK_WIDTH = 128


class Conv(nn.Conv2d):
    """Convolution with bias, padded to keep the size (or halve it), then LeakyReLU(0.1)."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__(inputs, outputs, 3, stride, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H / stride, W / stride)."""
        return F.leaky_relu(super().forward(x), 0.1)


class Pair(nn.Module):
    """Two convolutions with half the channels each; their outputs are concatenated, second first."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = Conv(width, width // 2)
        self.second = Conv(width // 2, width // 2)

    def forward(self, x: Tensor) -> Tensor:
        """(N, width, H, W) -> the same shape."""
        first = self.first(x)
        return torch.cat([self.second(first), first], dim=1)


class Stage(nn.Module):
    """Cross stage partial block: the pairs in parallel with a shortcut from the first convolution."""

    def __init__(self, inputs: int, width: int, stride: int, pairs: int) -> None:
        super().__init__()
        self.enter = Conv(inputs, width, stride)
        self.pairs = nn.Sequential(*(Pair(width) for _ in range(pairs)))
        self.leave = Conv(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, 2 width, H / stride, W / stride)."""
        shortcut = self.enter(x)
        return torch.cat([self.leave(self.pairs(shortcut)), shortcut], dim=1)


class Head(nn.Module):
    """Head of one level: the person logit in channel 0, then 11 bins each for left, top, right and bottom."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = Conv(_NECK_WIDTH, _NECK_WIDTH)
        self.out = nn.Conv2d(_NECK_WIDTH, 1 + 4 * BINS, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 128, h, w) -> (N, 45, h, w)."""
        return self.out(self.conv(x))


class NanoDetNetwork(nn.Module):
    """NanoDet-g without decoding, which is in detectors/nanodet.py."""

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(3, 1, 1), persistent=False)
        self.stem = Conv(3, 32, stride=2)
        inputs = [32, *(2 * width for width, _, _ in _STAGES)]
        self.stages = nn.ModuleList(Stage(n, *stage) for n, stage in zip(inputs, _STAGES, strict=False))
        self.laterals = nn.ModuleList(nn.Conv2d(n, _NECK_WIDTH, 1) for n in inputs[2:])
        self.heads = nn.ModuleList(Head() for _ in STRIDES)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Letterboxed images (N, H, W, 3) uint8 RGB -> per level (N, 45, H / stride, W / stride) float32."""
        x = (images.permute(0, 3, 1, 2).float() - self.mean) / self.std
        x = F.max_pool2d(self.stem(x), kernel_size=3, stride=2, padding=1)
        levels = []
        for stage in self.stages:
            x = stage(x)
            levels.append(x)
        fine, middle, coarse = (lateral(x) for lateral, x in zip(self.laterals, levels[1:], strict=True))

        # Path aggregation without convolutions: top-down, then bottom-up.
        middle = middle + _double(coarse)
        fine = fine + _double(middle)
        middle = middle + _halve(fine)
        coarse = coarse + _halve(middle)
        return self.heads[0](fine), self.heads[1](middle), self.heads[2](coarse)


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def _halve(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, 2)  # a bilinear resize to exactly half is the mean of 2 x 2 cells
