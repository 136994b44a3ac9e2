"""RTMPose, a top-down network: CSPNeXt backbone, attention among joints, two 1-D classifications per joint (SimCC).

Papers: Jiang et al. 2023, "RTMPose: Real-Time Multi-Person Pose Estimation based on MMPose"; Li et al. 2022, "SimCC: a
Simple Coordinate Classification Perspective for Human Pose Estimation". Original code and weights: open-mmlab/mmpose
1.x, Apache-2.0; layers are named as there. Some weights were trained on data for non-commercial use, see
`estimators.published`.

Input: crops (N, 3, H, W), RGB, mean 123.675, 116.28, 103.53, standard deviation 58.395, 57.12, 57.375 (of 0..255);
the box is enlarged by 1.25. The head is made for one size of crops: 256 x 192 or 384 x 288 for bodies, 256 x 256 for
hands and faces.
Outputs: logits (N, joints, 2 W) along x and (N, joints, 2 H) along y, two bins per pixel; `estimators.simcc` decodes
them.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from posetrail.cspnext import CSPNeXt

INPUT_SIZE = (192, 256)
_STRIDE = 32
BINS_PER_PIXEL = 2
HIDDEN = 256  # features per joint
_EXPANDED = 512  # features of gate and value in the attention unit
_QUERY = 128
_MIN_NORM = 1e-5


class ScaleNorm(nn.Module):
    """Scales vectors to length sqrt(n) times one learned factor (Nguyen and Salazar 2019)."""

    def __init__(self) -> None:
        super().__init__()
        self.g = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        """(..., n) -> the same shape."""
        norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True) / math.sqrt(x.shape[-1])
        return x / norm.clamp(min=_MIN_NORM) * self.g


class Scale(nn.Module):
    """One learned factor per feature."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(HIDDEN))

    def forward(self, x: Tensor) -> Tensor:
        """(..., 256) -> the same shape."""
        return x * self.scale


class GatedAttentionUnit(nn.Module):
    """Attention among joints with squared ReLU instead of softmax, and a gate (Hua et al. 2022).

    Unlike in the paper, the learned scale is on the shortcut, and joints have no position encoding.
    """

    def __init__(self) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.rand(2, _QUERY))
        self.beta = nn.Parameter(torch.rand(2, _QUERY))
        self.o = nn.Linear(_EXPANDED, HIDDEN, bias=False)
        self.uv = nn.Linear(HIDDEN, 2 * _EXPANDED + _QUERY, bias=False)
        self.ln = ScaleNorm()
        self.res_scale = Scale()

    def forward(self, x: Tensor) -> Tensor:
        """(N, joints, 256) -> the same shape."""
        gate, value, base = torch.split(F.silu(self.uv(self.ln(x))), [_EXPANDED, _EXPANDED, _QUERY], dim=-1)
        query, key = (base[..., None, :] * self.gamma + self.beta).unbind(-2)
        kernel = F.relu(query @ key.mT / math.sqrt(_QUERY)).square()
        return self.res_scale(x) + self.o(gate * (kernel @ value))


class SimCCHead(nn.Module):
    """SimCC head: one map per joint, flattened, refined by attention, classified along x and y."""

    def __init__(self, inputs: int, joints: int, input_size: tuple[int, int]) -> None:
        super().__init__()
        width, height = input_size
        cells = (width // _STRIDE) * (height // _STRIDE)
        self.final_layer = nn.Conv2d(inputs, joints, 7, padding=3)
        self.mlp = nn.Sequential(ScaleNorm(), nn.Linear(cells, HIDDEN, bias=False))
        self.gau = GatedAttentionUnit()
        self.cls_x = nn.Linear(HIDDEN, width * BINS_PER_PIXEL, bias=False)
        self.cls_y = nn.Linear(HIDDEN, height * BINS_PER_PIXEL, bias=False)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(N, inputs, H/32, W/32) -> (N, joints, 2 W), (N, joints, 2 H)."""
        joints = self.gau(self.mlp(self.final_layer(features).flatten(2)))
        return self.cls_x(joints), self.cls_y(joints)


class RTMPose(nn.Module):
    """RTMPose.

    Args:
        deepen: factor on the depth of CSPNeXt.
        widen: factor on its width.
        joints: number of joints.
        input_size: width and height of the crops, pixels; multiples of 32.
    """

    def __init__(
        self, deepen: float, widen: float, *, joints: int = 17, input_size: tuple[int, int] = INPUT_SIZE
    ) -> None:
        super().__init__()
        self.backbone = CSPNeXt(deepen, widen)
        self.head = SimCCHead(self.backbone.widths[-1], joints, input_size)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3, H, W) -> logits along x (N, joints, 2 W) and y (N, joints, 2 H)."""
        return self.head(self.backbone(images)[-1])
