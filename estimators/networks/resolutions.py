"""Parts shared by HRNet and Lite-HRNet: maps at several resolutions, each half of the one before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from torch import Tensor, nn

Step = Callable[[int, int, int, bool], nn.Module]
"""(inputs, outputs, stride, relu) -> a 3x3 convolution with norm and, if `relu`, ReLU."""


def conv_bn(inputs: int, outputs: int, kernel: int, stride: int = 1, relu: bool = True) -> nn.Sequential:
    """Convolution, batch norm and optionally ReLU; parameters have keys 0 and 1."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), *([nn.ReLU()] if relu else []))


def separable_step(inputs: int, outputs: int, stride: int, relu: bool) -> nn.Sequential:
    """3x3 depthwise convolution and norm, 1x1 convolution and norm, optionally ReLU; keys 0 to 3."""
    depthwise = nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs, bias=False)
    return nn.Sequential(depthwise, nn.BatchNorm2d(inputs), *conv_bn(inputs, outputs, 1, relu=relu))


def plain_step(inputs: int, outputs: int, stride: int, relu: bool) -> nn.Sequential:
    """3x3 convolution and norm, optionally ReLU; keys 0 and 1."""
    return conv_bn(inputs, outputs, 3, stride, relu)


class Transition(nn.ModuleList):
    """Layers between two stages: adds a map at half the resolution of the coarsest.

    A map whose number of channels stays the same is not changed.
    """

    def __init__(self, before: Sequence[int], after: Sequence[int], step: Step) -> None:
        kept = (
            nn.Identity() if inputs == outputs else step(inputs, outputs, 1, True)
            for inputs, outputs in zip(before, after, strict=False)
        )
        super().__init__([*kept, nn.Sequential(step(before[-1], after[-1], 2, True))])

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Maps, finest first -> the same and a coarser one."""
        return [layer(x) for layer, x in zip(self, [*maps, maps[-1]], strict=True)]


class Row(nn.ModuleList):
    """One output of a fusion: module j resamples map j to the resolution and width of the output; all are summed."""

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Maps, finest first -> their sum."""
        first, *others = (resample(x) for resample, x in zip(self, maps, strict=True))
        return sum(others, start=first)


class Fusion(nn.ModuleList):
    """Fusion of all resolutions: row i sums all maps at the resolution of map i.

    Args:
        widths: numbers of channels of the maps, finest first.
        outputs: number of outputs, finest first.
        step: makes the convolution that halves a map; the last of several changes its width and has no ReLU.
    """

    def __init__(self, widths: Sequence[int], outputs: int, step: Step) -> None:
        resample = partial(_resample, widths, step)
        super().__init__(Row(resample(j, i) for j in range(len(widths))) for i in range(outputs))

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Maps, finest first -> the sums, before the ReLU."""
        return [row(maps) for row in self]


def _resample(widths: Sequence[int], step: Step, source: int, target: int) -> nn.Module:
    inputs, outputs = widths[source], widths[target]
    if source == target:
        return nn.Identity()
    if source > target:
        return nn.Sequential(*conv_bn(inputs, outputs, 1, relu=False), nn.Upsample(scale_factor=2 ** (source - target)))
    halvings = target - source
    return nn.Sequential(
        *(step(inputs, inputs, 2, True) for _ in range(halvings - 1)),
        step(inputs, outputs, 2, False),
    )
