"""RTMDet, a one-stage detector: CSPNeXt backbone, path aggregation neck, head with convolutions shared between levels.

Paper: Lyu et al. 2022, "RTMDet: An Empirical Study of Designing Real-Time Object Detectors". Original code:
open-mmlab/mmdetection 3.3, Apache-2.0; layers are named as there. Published AP on COCO val at 640 x 640: 41.1 (tiny),
44.6 (s), 49.4 (m). For persons alone: 40.3 (nano, 320 x 320), 62.5 (m). Licences of the weights are in
`detectors.published`.

Input: (N, 3, H, W), BGR, mean 103.53, 116.28, 123.675, standard deviation 57.375, 57.12, 58.395 (of 0..255); the image
is scaled to fit and placed at the top left of a canvas of grey 114. H and W are multiples of 32.
Outputs: class logits and box distances at strides 8, 16 and 32, see `RTMDet.forward`. Classes are COCO's 80 with the
person first, or the person alone.

A checkpoint contains the shared convolutions three times, with equal values; batch norms differ between levels. The
last layer returns distances in strides (tiny, s, nano) or their logarithms (m).
"""

from __future__ import annotations

from torch import Tensor, nn

from detectors.decode import STRIDES
from posetrail.cspnext import Conv, CSPNeXt, PathAggregation, Separable

_STACKED = 2  # convolutions per branch of the head


class Head(nn.Module):
    """Head with two branches per level: class logits and box distances.

    Args:
        width: number of channels.
        classes: number of classes.
        shared: whether all levels share their convolutions.
        logarithmic: whether the last layer returns logarithms of distances.
        separable: whether 3x3 convolutions are depthwise separable.
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
        """Maps of three levels -> the outputs of `RTMDet.forward`."""
        outputs = {}
        for i, (stride, level) in enumerate(zip(STRIDES, levels, strict=True)):
            outputs[f"cls{i}"] = self.rtm_cls[i](self.cls_convs[i](level))
            distances = self.rtm_reg[i](self.reg_convs[i](level))
            outputs[f"reg{i}"] = (distances.exp() if self.logarithmic else distances) * stride
        return outputs


class RTMDet(nn.Module):
    """RTMDet.

    Args:
        deepen: factor on the number of blocks.
        widen: factor on the number of channels.
        classes: 80, or 1 for persons alone.
        shared: whether all levels share the convolutions of the head.
        logarithmic: whether the last layer of the head returns logarithms of distances.
        separable: whether 3x3 convolutions are depthwise separable (nano).
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
        self.neck = PathAggregation(widths, round(3 * deepen) or 1, outputs=widths[0], separable=separable)
        self.bbox_head = Head(widths[0], classes, shared=shared, logarithmic=logarithmic, separable=separable)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """(N, 3, H, W) -> `cls0`, `reg0`, `cls1`, `reg1`, `cls2`, `reg2` for strides 8, 16, 32.

        At stride s, cls (N, classes, H/s, W/s) are logits; reg (N, 4, H/s, W/s) are the distances from the top left
        corner of the cell to the left, top, right and bottom side of the box, in input pixels.
        """
        return self.bbox_head(self.neck(self.backbone(images)[1:]))
