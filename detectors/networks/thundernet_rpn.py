"""The first stage of ThunderNet with SNet146, by another port: backbone, context, proposals, spatial attention.

Paper: Qin et al. 2019, see `thundernet`. Layers are named as in qinzheng93/ThunderNet, whose second stage needs a
compiled operator and is not part of this network. It shares no weights with `thundernet`: blocks split channels into
even and odd ones, the convolutions of the first stage have no bias, and an anchor has one logit.

Input: as `thundernet`, 320 x 320.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from detectors.networks.thundernet import ANCHORS, DEPTHS, WIDTHS

_CONTEXT = 245
_RPN = 256


def _conv_norm(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(outputs)]


class Block(nn.Module):
    """ShuffleNetV2 block with 5x5 depthwise convolutions; the first of a stage has a second branch."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        given = inputs if stride == 2 else inputs // 2
        middle = outputs // 2
        self.branch = nn.Sequential(
            *_conv_norm(given, middle, 1),
            nn.ReLU(),
            *_conv_norm(middle, middle, 5, stride, middle),
            *_conv_norm(middle, outputs - given, 1),
            nn.ReLU(),
        )
        self.branch_left = (
            nn.Sequential(*_conv_norm(inputs, inputs, 5, 2, inputs), *_conv_norm(inputs, inputs, 1), nn.ReLU())
            if stride == 2
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H / stride, W / stride)."""
        if self.branch_left is not None:
            return torch.cat([self.branch_left(x), self.branch(x)], dim=1)
        return torch.cat([x[:, 0::2], self.branch(x[:, 1::2])], dim=1)


class Backbone(nn.Module):
    """SNet146."""

    def __init__(self) -> None:
        super().__init__()
        first, *stages = WIDTHS["snet146"]
        self.first_conv = nn.Sequential(*_conv_norm(3, first, 3, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1))
        self.stage = nn.ModuleList(
            nn.Sequential(Block(inputs, outputs, 2), *(Block(outputs, outputs, 1) for _ in range(depth - 1)))
            for inputs, outputs, depth in zip([first, *stages], stages, DEPTHS, strict=False)
        )

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3, H, W) -> (N, 264, H / 16, W / 16) and (N, 528, H / 32, W / 32)."""
        x = self.stage[0](self.first_conv(images))
        stride_16 = self.stage[1](x)
        return stride_16, self.stage[2](stride_16)


class Context(nn.Module):
    """Context enhancement: adds maps at strides 16 and 32 and the global average of the last."""

    def __init__(self) -> None:
        super().__init__()
        _, _, stride_16, stride_32 = WIDTHS["snet146"]
        self.C4 = nn.Conv2d(stride_16, _CONTEXT, 1)
        self.C5 = nn.Conv2d(stride_32, _CONTEXT, 1)
        self.Cglb = nn.Conv2d(stride_32, _CONTEXT, 1)

    def forward(self, stride_16: Tensor, stride_32: Tensor) -> Tensor:
        """Two maps -> (N, 245, H / 16, W / 16)."""
        wide = F.interpolate(self.C5(stride_32), size=stride_16.shape[2:], mode="nearest")
        return self.C4(stride_16) + wide + self.Cglb(stride_32.mean(dim=(2, 3), keepdim=True))


class ProposalHead(nn.Module):
    """Logits and deltas of the anchors, and the context map weighted by spatial attention."""

    def __init__(self) -> None:
        super().__init__()
        self.rpn_conv = nn.Sequential(
            *_conv_norm(_CONTEXT, _CONTEXT, 5, groups=_CONTEXT), nn.ReLU(), *_conv_norm(_CONTEXT, _RPN, 1), nn.ReLU()
        )
        self.sam_convs = nn.Sequential(*_conv_norm(_RPN, _CONTEXT, 1), nn.Sigmoid())
        self.rpn_cls = nn.Conv2d(_RPN, ANCHORS, 1)
        self.rpn_reg = nn.Conv2d(_RPN, 4 * ANCHORS, 1)

    def forward(self, context: Tensor) -> dict[str, Tensor]:
        """(N, 245, H, W) -> the outputs of `ThunderNetRPN.forward`."""
        x = self.rpn_conv(context)
        return {
            "rpn_cls": self.rpn_cls(x),
            "rpn_reg": self.rpn_reg(x),
            "sam_feat": self.sam_convs(x) * context,
            "cem": context,
        }


class ThunderNetRPN(nn.Module):
    """First stage of ThunderNet with SNet146."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = Backbone()
        self.neck = Context()
        self.rpn_head = ProposalHead()

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """(N, 3, H, W) -> `rpn_cls` (N, 25, h, w), `rpn_reg` (N, 100, h, w), `sam_feat` and `cem` (N, 245, h, w)."""
        return self.rpn_head(self.neck(*self.backbone(images)))
