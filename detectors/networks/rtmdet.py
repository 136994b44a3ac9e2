"""RTMDet: a CSPNeXt body, a neck of the same blocks, and a head whose convolutions serve all three levels.

Paper: Lyu et al. 2022, "RTMDet: An Empirical Study of Designing Real-Time Object Detectors". Original code:
open-mmlab/mmdetection 3.3, Apache-2.0; keys as there. Tested there at 640 x 640 (person nano: 320 x 320) with an AP on
COCO val of 41.1 (tiny), 44.6 (s), 49.4 (m); for people alone 40.3 (person nano), 62.5 (person m).

Input: BGR less the mean (103.53, 116.28, 123.675), over (57.375, 57.12, 58.395), scaled to fit, in the top left corner
of a canvas of grey 114 (before the mean is taken); sides are multiples of 32. Classes are COCO's 80, person first, or
the person alone. The head's convolutions stand once in memory and under three keys in a checkpoint, where they are
equal; batch norm differs between the levels. tiny, s and nano answer with distances in strides, m with their
logarithms.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from detectors.decode import STRIDES
from posetrail.cspnext import Conv, CSPLayer, CSPNeXt, Separable

_STACKED = 2  # convolutions of a branch of the head


class PathAggregation(nn.Module):
    """Context flows down to the fine level, detail back up (Liu et al. 2018)."""

    def __init__(self, widths: list[int], outputs: int, blocks: int, *, separable: bool) -> None:
        super().__init__()
        fine, middle, coarse = widths
        spatial = Separable if separable else Conv
        csp = partial(CSPLayer, blocks=blocks, shortcut=False, attention=False, separable=separable)
        self.reduce_layers = nn.ModuleList([Conv(coarse, middle, 1), Conv(middle, fine, 1)])
        self.top_down_blocks = nn.ModuleList([csp(2 * middle, middle), csp(2 * fine, fine)])
        self.downsamples = nn.ModuleList([spatial(fine, fine, 3, 2), spatial(middle, middle, 3, 2)])
        self.bottom_up_blocks = nn.ModuleList([csp(2 * fine, middle), csp(2 * middle, coarse)])
        self.out_convs = nn.ModuleList(spatial(width, outputs, 3) for width in widths)

    def forward(self, levels: list[Tensor]) -> list[Tensor]:
        """Strides 8, 16, 32 with `widths` channels -> the same strides with `outputs` channels."""
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


class Head(nn.Module):
    """Per level: how sure each class is from one branch, the box from another.

    Args:
        width: channels.
        classes: how many.
        shared: the levels' convolutions are the same.
        logarithmic: the last layer gives logarithms of distances.
        separable: separable convolutions.
    """

    def __init__(self, width: int, classes: int, *, shared: bool, logarithmic: bool, separable: bool) -> None:
        super().__init__()
        conv = Separable if separable else Conv

        def branches() -> nn.ModuleList:
            levels = [nn.Sequential(*(conv(width, width, 3) for _ in range(_STACKED))) for _ in STRIDES]
            if shared:
                for level in levels[1:]:
                    for first, other in zip(levels[0], level, strict=True):
                        other.conv = first.conv
            return nn.ModuleList(levels)

        self.cls_convs, self.reg_convs = branches(), branches()
        self.rtm_cls = nn.ModuleList(nn.Conv2d(width, classes, 1) for _ in STRIDES)
        self.rtm_reg = nn.ModuleList(nn.Conv2d(width, 4, 1) for _ in STRIDES)
        self.logarithmic = logarithmic

    def forward(self, levels: list[Tensor]) -> dict[str, Tensor]:
        """Three levels -> what RTMDet.forward gives."""
        answers = {}
        for i, (stride, level) in enumerate(zip(STRIDES, levels, strict=True)):
            answers[f"cls{i}"] = self.rtm_cls[i](self.cls_convs[i](level))
            distances = self.rtm_reg[i](self.reg_convs[i](level))
            answers[f"reg{i}"] = (distances.exp() if self.logarithmic else distances) * stride
        return answers


class RTMDet(nn.Module):
    """The network.

    Args:
        deepen: factor on the number of blocks.
        widen: factor on the number of channels.
        classes: 80, or 1 for people alone.
        shared: the head's convolutions are the same on all levels.
        logarithmic: the head's last layer gives logarithms of distances.
        separable: separable 3x3 convolutions (nano).
    """

    def __init__(
        self,
        deepen: float,
        widen: float,
        *,
        classes: int = 80,
        shared: bool = True,
        logarithmic: bool = False,
        separable: bool = False,
    ) -> None:
        super().__init__()
        self.backbone = CSPNeXt(deepen, widen, separable=separable)
        widths = self.backbone.widths[1:]
        self.neck = PathAggregation(widths, widths[0], round(3 * deepen) or 1, separable=separable)
        self.bbox_head = Head(widths[0], classes, shared=shared, logarithmic=logarithmic, separable=separable)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """(N, 3, H, W) -> for the levels i = 0, 1, 2 of strides 8, 16, 32 in turn: cls_i and reg_i.

        cls0 (N, classes, H/8, W/8) logits; reg0 (N, 4, H/8, W/8) how far the box reaches to the left, top, right and
        bottom of the cell's top left corner, in input pixels; and so on.
        """
        return self.bbox_head(self.neck(self.backbone(images)[1:]))
