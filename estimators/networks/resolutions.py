"""What HRNet and Lite-HRNet share: maps at several resolutions side by side, each a half of the one before it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from torch import Tensor, nn

Step = Callable[[int, int, int, bool], nn.Module]
"""(inputs, outputs, stride, relu) -> a 3x3 convolution of some kind with norm, and ReLU where asked for."""


def conv_bn(inputs: int, outputs: int, kernel: int, stride: int = 1, relu: bool = True) -> nn.Sequential:
    """Convolution, batch norm and perhaps ReLU: keys 0 and 1."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), *([nn.ReLU()] if relu else []))


def separable_step(inputs: int, outputs: int, stride: int, relu: bool) -> nn.Sequential:
    """A 3x3 filter per channel and norm, 1x1 and norm, perhaps ReLU: keys 0 to 3."""
    spread = nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs, bias=False)
    return nn.Sequential(spread, nn.BatchNorm2d(inputs), *conv_bn(inputs, outputs, 1, relu=relu))


def plain_step(inputs: int, outputs: int, stride: int, relu: bool) -> nn.Sequential:
    """A 3x3 convolution and norm, perhaps ReLU: keys 0 and 1."""
    return conv_bn(inputs, outputs, 3, stride, relu)


class Transition(nn.ModuleList):
    """From the maps of one stage to those of the next, which has one more: the coarsest is halved for it.

    A map that keeps its width goes through untouched.
    """

    def __init__(self, before: Sequence[int], after: Sequence[int], step: Step) -> None:
        kept = (
            nn.Identity() if inputs == outputs else step(inputs, outputs, 1, True)
            for inputs, outputs in zip(before, after, strict=False)
        )
        super().__init__([*kept, nn.Sequential(step(before[-1], after[-1], 2, True))])

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Maps, finest first -> one more of them."""
        return [bring(x) for bring, x in zip(self, [*maps, maps[-1]], strict=True)]


class Row(nn.ModuleList):
    """Number j brings map j to the resolution and width of one of the maps, where all are added."""

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Maps, finest first -> their sum."""
        first, *others = (bring(x) for bring, x in zip(self, maps, strict=True))
        return sum(others, start=first)


class Fusion(nn.ModuleList):
    """Each resolution hears of all others: row i adds them at the resolution of map i.

    Args:
        widths: of the maps, finest first.
        outputs: how many of them are made, the finest ones.
        step: what halves a map; the last of several halvings widens it and has no ReLU.
    """

    def __init__(self, widths: Sequence[int], outputs: int, step: Step) -> None:
        bring = partial(_bring, widths, step)
        super().__init__(Row(bring(j, i) for j in range(len(widths))) for i in range(outputs))

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Maps, finest first -> the sums, not yet through a ReLU."""
        return [row(maps) for row in self]


def _bring(widths: Sequence[int], step: Step, source: int, target: int) -> nn.Module:
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
