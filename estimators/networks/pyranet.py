"""PyraNet, a top-down network: stacked hourglasses of pyramid residual modules, which see a place at several scales.

Paper: Yang et al. 2017, "Learning Feature Pyramids for Human Pose Estimation". Original code and weights:
bearpaw/PyraNet, Apache-2.0, in Lua for Torch7. It has no names of layers that a state dict could keep: those here are
our own, in the order in which the original creates its layers, so a converter can go through both side by side.

Input: crops (N, 3, 256, 256), RGB in 0..1 less the data set's mean of each channel.
Output: heatmaps of MPII's 16 joints from two stacks, (N, 2, 16, H/4, W/4); the last stack is the result.

The original draws the places of its fractional max pooling anew in every pass, also in tests. Here they are drawn in
training alone, and fixed in tests, so that results can be repeated.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from posetrail.layers import ConvBnAct

_WIDTH = 256
_DEPTH = 4
_JOINTS = 16
_SCALES = 4
_BASE = 9  # of the channels of a module, one in so many goes through each scale
_WINDOW = 2  # side of the windows of fractional max pooling
_FIXED_PLACE = 0.45  # where no window begins close to a whole cell, so rounding does not move it


class NormReluConv(nn.Module):
    """Pre-activated convolution: norm, ReLU and convolution; without `norm`, the convolution alone."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, norm: bool = True) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(inputs) if norm else None
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H, W)."""
        return self.conv(x if self.bn is None else F.relu(self.bn(x)))


class Residual(nn.Module):
    """Pre-activated bottleneck plus a shortcut; with a pyramid, PRM-B of the paper.

    Args:
        inputs: number of channels.
        outputs: number of channels.
        pyramid: whether a second branch looks at the input at several scales.
        norm: whether the first convolutions have a norm and a ReLU before them.
        convolved: whether the shortcut has a convolution even where the number of channels stays, which keeps the
            variance from growing where shortcuts are added up (section 3.3).
    """

    def __init__(
        self, inputs: int, outputs: int, *, pyramid: bool = False, norm: bool = True, convolved: bool = False
    ) -> None:
        super().__init__()
        half, narrow = outputs // 2, outputs // _BASE
        self.conv1 = NormReluConv(inputs, half, 1, norm=norm)
        self.conv2 = NormReluConv(half, half, 3)
        self.has_pyramid = pyramid
        if pyramid:
            self.reduce = NormReluConv(inputs, narrow, 1, norm=norm)
            self.pyra_bn = nn.BatchNorm2d(narrow)
            self.pyramid = nn.ModuleList(nn.Conv2d(narrow, narrow, 3, padding=1) for _ in range(_SCALES))
            self.expand = NormReluConv(narrow, half, 1)
        self.conv3 = NormReluConv(half, outputs, 1)
        self.skip = NormReluConv(inputs, outputs, 1) if convolved or inputs != outputs else None

    def _scales(self, x: Tensor) -> Tensor:
        """Sum of the input at scales 2^(-1/4) to 1/2, each convolved and enlarged again; (N, outputs / 2, H, W)."""
        reduced = F.relu(self.pyra_bn(self.reduce(x)))
        size = (reduced.shape[2], reduced.shape[3])
        total = torch.zeros_like(reduced)
        for i, conv in enumerate(self.pyramid, 1):
            small = fractional_max_pool(reduced, 2 ** (-i / _SCALES), self._place())
            total = total + F.interpolate(conv(small), size=size, mode="bilinear", align_corners=True)
        return self.expand(total)

    def _place(self) -> float:
        return float(torch.rand((), device="cpu")) if self.training else _FIXED_PLACE

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H, W)."""
        inner = self.conv2(self.conv1(x))
        if self.has_pyramid:
            inner = inner + self._scales(x)
        return self.conv3(inner) + (x if self.skip is None else self.skip(x))


def fractional_max_pool(x: Tensor, ratio: float, place: float) -> Tensor:
    """Max pooling to a share of the size, with windows of 2 x 2 cells that overlap where they must (Graham 2014).

    Args:
        x: (N, C, H, W).
        ratio: of the sides; they are rounded down.
        place: 0..1, which shifts the windows; the same for both axes and all channels.
    """
    for axis in (2, 3):
        starts = torch.tensor(_window_starts(x.shape[axis], int(x.shape[axis] * ratio), place), device=x.device)
        x = torch.maximum(x.index_select(axis, starts), x.index_select(axis, starts + _WINDOW - 1))
    return x


def _window_starts(cells: int, windows: int, place: float) -> list[int]:
    """The first cells of windows over so many cells; the last window ends with the last cell."""
    last = cells - _WINDOW
    if windows < 2:
        return [last] * windows
    step = last / (windows - 1)
    return [int((i + place) * step) - int(place * step) for i in range(windows - 1)] + [last]


class Hourglass(nn.Module):
    """Encoder and decoder with a shortcut at each resolution; pyramids where maps are 16 cells wide or more."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        large = depth > _DEPTH - 2
        self.up1 = Residual(_WIDTH, _WIDTH, pyramid=depth > _DEPTH - 3)
        self.low1 = Residual(_WIDTH, _WIDTH, pyramid=large)
        self.low2: nn.Module = Hourglass(depth - 1) if depth > 1 else Residual(_WIDTH, _WIDTH)
        self.low3 = Residual(_WIDTH, _WIDTH, pyramid=large, convolved=True)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 256, H, W) -> the same shape; sides are multiples of 2^depth."""
        low = self.low3(self.low2(self.low1(F.max_pool2d(x, 2))))
        return self.up1(x) + F.interpolate(low, scale_factor=2.0)


class Stack(nn.Module):
    """An hourglass, its heatmaps, and what both add to the input of the next one."""

    def __init__(self, joints: int, *, last: bool) -> None:
        super().__init__()
        self.hg = Hourglass(_DEPTH)
        self.bn = nn.BatchNorm2d(_WIDTH)
        self.lin = ConvBnAct(_WIDTH, _WIDTH, 1, bias=True)
        self.out = nn.Conv2d(_WIDTH, joints, 1)
        self.back = None if last else nn.Conv2d(_WIDTH, _WIDTH, 1)
        self.back_out = None if last else nn.Conv2d(joints, _WIDTH, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 256, h, w) -> heatmaps (N, joints, h, w), input of the next stack."""
        features = self.lin(F.relu(self.bn(self.hg(x))))
        maps = self.out(features)
        if self.back is None or self.back_out is None:
            return maps, x
        return maps, x + self.back(features) + self.back_out(maps)


class PyraNet(nn.Module):
    """Stem to stride 4 and stacked hourglasses, by default for the 16 joints of MPII."""

    def __init__(self, stacks: int, *, joints: int = _JOINTS) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3)
        self.bn1 = nn.BatchNorm2d(64)
        self.r1 = Residual(64, 128, pyramid=True, norm=False)
        self.r4 = Residual(128, 128, pyramid=True)
        self.r5 = Residual(128, _WIDTH, pyramid=True)
        self.stacks = nn.ModuleList(Stack(joints, last=i == stacks - 1) for i in range(stacks))

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, stacks, joints, H/4, W/4)."""
        x = self.r1(F.relu(self.bn1(self.conv1(images))))
        x = self.r5(self.r4(F.max_pool2d(x, 2)))
        stacked = []
        for stack in self.stacks:
            maps, x = stack(x)
            stacked.append(maps)
        return torch.stack(stacked, 1)
