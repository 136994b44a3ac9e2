"""RTMPose: a CSPNeXt body, a large convolution to one map per joint, attention among joints, two 1-D classifications.

Paper: Jiang et al. 2023, "RTMPose: Real-Time Multi-Person Pose Estimation based on MMPose"; the coordinates as classes
are those of SimCC (Li et al. 2022). Original code: open-mmlab/mmpose 1.x, Apache-2.0; keys as there.
Input: one person, 192 wide and 256 high, RGB, mean 123.675, 116.28, 103.53, deviation 58.395, 57.12, 57.375 (0..255),
the box 1.25 times as large. The head's first layer is bound to that size.
Outputs: (N, 17, 384) along x and (N, 17, 512) along y, two bins per pixel, raw; estimators/decode.py reads them.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from posetrail.cspnext import CSPNeXt

_JOINTS = 17
_WIDTH, _HEIGHT = 192, 256
_STRIDE = 32
_BINS_PER_PIXEL = 2
_HIDDEN = 256  # numbers per joint
_EXPANDED = 512  # in the gated unit
_QUERY = 128
_MIN_NORM = 1e-5


class ScaleNorm(nn.Module):
    """Vectors brought to the length sqrt(n), times one learned number (Nguyen and Salazar 2019)."""

    def __init__(self) -> None:
        super().__init__()
        self.g = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        """(..., n) -> the same."""
        norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True) / math.sqrt(x.shape[-1])
        return x / norm.clamp(min=_MIN_NORM) * self.g


class Scale(nn.Module):
    """A learned factor per number."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(_HIDDEN))

    def forward(self, x: Tensor) -> Tensor:
        """(..., 256) -> the same."""
        return x * self.scale


class GatedAttentionUnit(nn.Module):
    """Attention among joints with squared ReLU for softmax and a gate for the linear layer (Hua et al. 2022).

    The scale sits on the shortcut, not on the branch; there is no code of the joint's position.
    """

    def __init__(self) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.rand(2, _QUERY))
        self.beta = nn.Parameter(torch.rand(2, _QUERY))
        self.o = nn.Linear(_EXPANDED, _HIDDEN, bias=False)
        self.uv = nn.Linear(_HIDDEN, 2 * _EXPANDED + _QUERY, bias=False)
        self.ln = ScaleNorm()
        self.res_scale = Scale()

    def forward(self, x: Tensor) -> Tensor:
        """(N, 17, 256) -> the same."""
        gate, value, base = torch.split(F.silu(self.uv(self.ln(x))), [_EXPANDED, _EXPANDED, _QUERY], dim=-1)
        query, key = (base[..., None, :] * self.gamma + self.beta).unbind(-2)
        kernel = F.relu(query @ key.mT / math.sqrt(_QUERY)).square()
        return self.res_scale(x) + self.o(gate * (kernel @ value))


class SimCCHead(nn.Module):
    """A map per joint, flattened to a vector, refined among joints, classified along x and along y."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        cells = (_WIDTH // _STRIDE) * (_HEIGHT // _STRIDE)
        self.final_layer = nn.Conv2d(inputs, _JOINTS, 7, padding=3)
        self.mlp = nn.Sequential(ScaleNorm(), nn.Linear(cells, _HIDDEN, bias=False))
        self.gau = GatedAttentionUnit()
        self.cls_x = nn.Linear(_HIDDEN, _WIDTH * _BINS_PER_PIXEL, bias=False)
        self.cls_y = nn.Linear(_HIDDEN, _HEIGHT * _BINS_PER_PIXEL, bias=False)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(N, inputs, 8, 6) -> (N, 17, 384), (N, 17, 512)."""
        joints = self.gau(self.mlp(self.final_layer(features).flatten(2)))
        return self.cls_x(joints), self.cls_y(joints)


class RTMPose(nn.Module):
    """The body's last stage and the head; `deepen` and `widen` as in CSPNeXt."""

    def __init__(self, deepen: float, widen: float) -> None:
        super().__init__()
        self.backbone = CSPNeXt(deepen, widen)
        self.head = SimCCHead(self.backbone.widths[-1])

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3, 256, 192) -> x (N, 17, 384), y (N, 17, 512), raw."""
        return self.head(self.backbone(images)[-1])
