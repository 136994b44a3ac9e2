"""RTMW, a top-down network for whole bodies: RTMPose whose joints are read from maps at two strides.

Paper: Jiang et al. 2024, "RTMW: Real-Time Multi-Person 2D and 3D Whole-body Pose Estimation". Original code and
weights: open-mmlab/mmpose 1.x, Apache-2.0; layers are named as there. The weights were trained on 14 data sets, some of
which are for non-commercial use.

Input and outputs: as of `estimators.networks.rtmpose`, for the 133 joints of COCO-WholeBody.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from estimators.networks.rtmpose import BINS_PER_PIXEL, HIDDEN, INPUT_SIZE, GatedAttentionUnit, ScaleNorm
from posetrail.cspnext import CSPNeXt, PathAggregation
from posetrail.layers import ConvBnAct

_JOINTS = 133
_NECK_BLOCKS = 2  # whatever the depth of the backbone
_COARSE, _FINE = 32, 16  # strides
_SHUFFLE = 2  # a coarse cell becomes 2 x 2 fine ones with a quarter of the channels


class TwoLevelHead(nn.Module):
    """SimCC head in which half of a joint's features come from the maps at stride 32, half from those at stride 16."""

    def __init__(self, width: int, joints: int, input_size: tuple[int, int]) -> None:
        super().__init__()
        wide, high = input_size
        cells = {stride: (wide // stride) * (high // stride) for stride in (_COARSE, _FINE)}
        shuffled = width // _SHUFFLE**2
        self.conv_dec = ConvBnAct(shuffled, shuffled, 7)
        self.final_layer = ConvBnAct(width, joints, 7)
        self.final_layer2 = ConvBnAct(shuffled + width // 2, joints, 7)
        self.mlp = nn.Sequential(ScaleNorm(), nn.Linear(cells[_COARSE], HIDDEN // 2, bias=False))
        self.mlp2 = nn.Sequential(ScaleNorm(), nn.Linear(cells[_FINE], HIDDEN // 2, bias=False))
        self.gau = GatedAttentionUnit()
        self.cls_x = nn.Linear(HIDDEN, wide * BINS_PER_PIXEL, bias=False)
        self.cls_y = nn.Linear(HIDDEN, high * BINS_PER_PIXEL, bias=False)

    def forward(self, fine: Tensor, coarse: Tensor) -> tuple[Tensor, Tensor]:
        """(N, width / 2, H/16, W/16), (N, width, H/32, W/32) -> (N, joints, 2 W), (N, joints, 2 H)."""
        decoded = self.conv_dec(F.pixel_shuffle(coarse, _SHUFFLE))
        from_coarse = self.mlp(self.final_layer(coarse).flatten(2))
        from_fine = self.mlp2(self.final_layer2(torch.cat([decoded, fine], 1)).flatten(2))
        joints = self.gau(torch.cat([from_coarse, from_fine], 2))
        return self.cls_x(joints), self.cls_y(joints)


class RTMW(nn.Module):
    """RTMW.

    Args:
        deepen: factor on the depth of CSPNeXt.
        widen: factor on its width.
        joints: number of joints.
        input_size: width and height of the crops, pixels; multiples of 32.
    """

    def __init__(
        self, deepen: float, widen: float, *, joints: int = _JOINTS, input_size: tuple[int, int] = INPUT_SIZE
    ) -> None:
        super().__init__()
        self.backbone = CSPNeXt(deepen, widen)
        widths = self.backbone.widths[1:]
        self.neck = PathAggregation(widths, _NECK_BLOCKS)
        self.head = TwoLevelHead(widths[-1], joints, input_size)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3, H, W) -> logits along x (N, joints, 2 W) and y (N, joints, 2 H)."""
        _, fine, coarse = self.neck(self.backbone(images)[1:])
        return self.head(fine, coarse)
