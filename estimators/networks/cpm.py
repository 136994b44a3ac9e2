"""Convolutional pose machine, a top-down network: six stages, each of which refines the heatmaps of the one before.

Paper: Wei et al. 2016, "Convolutional Pose Machines". Original code and weights of this variant: open-mmlab/mmpose 1.x,
Apache-2.0; layers are named as there. Unlike the authors' Caffe networks, it has batch norm and needs no map of the
person's centre.

Input: crops (N, 3, H, W) of 192 x 256 or 288 x 384 (W x H), RGB, mean 123.675, 116.28, 103.53, standard deviation
58.395, 57.12, 57.375 (of 0..255). Outputs: a list of six heatmaps (N, 17, H/8, W/8), one per stage; the last is the
result.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from posetrail.layers import ConvBnAct

_WIDTH = 128
_IMAGE_WIDTH = 32  # channels of the image features that are concatenated with the heatmaps
_STAGES = 6

Score = partial(ConvBnAct, kernel=1, bias=True, norm=False, activation=None)


def _to_stride_8() -> list[nn.Module]:
    layers: list[nn.Module] = []
    for inputs in (3, _WIDTH, _WIDTH):
        layers += [ConvBnAct(inputs, _WIDTH, 9), nn.MaxPool2d(3, 2, 1)]
    return layers


class Stage(nn.Module):
    """Three 11x11 convolutions over the heatmaps of the stage before and the image features."""

    def __init__(self, joints: int) -> None:
        super().__init__()
        widths = (joints + _IMAGE_WIDTH, _WIDTH, _WIDTH)
        self.model = nn.Sequential(*(ConvBnAct(inputs, _WIDTH, 11) for inputs in widths))

    def forward(self, x: Tensor) -> Tensor:
        """(N, joints + 32, h, w) -> (N, 128, h, w)."""
        return self.model(x)


class CPMBody(nn.Module):
    """Stem, which computes the first heatmaps from the image alone, and five refining stages."""

    def __init__(self, joints: int) -> None:
        super().__init__()
        later = range(_STAGES - 1)
        self.stem = nn.Sequential(
            *_to_stride_8(),
            ConvBnAct(_WIDTH, _IMAGE_WIDTH, 5),
            ConvBnAct(_IMAGE_WIDTH, 512, 9),
            ConvBnAct(512, 512, 1),
            Score(512, joints),
        )
        self.middle = nn.Sequential(*_to_stride_8())
        self.cpm_stages = nn.ModuleList(Stage(joints) for _ in later)
        self.middle_conv = nn.ModuleList(nn.Sequential(ConvBnAct(_WIDTH, _IMAGE_WIDTH, 5)) for _ in later)
        self.out_convs = nn.ModuleList(
            nn.Sequential(ConvBnAct(_WIDTH, _WIDTH, 1), Score(_WIDTH, joints)) for _ in later
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        """(N, 3, H, W) -> six (N, joints, H/8, W/8)."""
        heatmaps = [self.stem(images)]
        features = self.middle(images)
        for stage, reduce, score in zip(self.cpm_stages, self.middle_conv, self.out_convs, strict=True):
            heatmaps.append(score(stage(torch.cat([heatmaps[-1], reduce(features)], 1))))
        return heatmaps


class CPM(nn.Module):
    """CPM: the backbone, whose outputs are the heatmaps."""

    def __init__(self, *, joints: int = 17) -> None:
        super().__init__()
        self.backbone = CPMBody(joints)

    def forward(self, images: Tensor) -> list[Tensor]:
        """(N, 3, H, W) -> six (N, joints, H/8, W/8)."""
        return self.backbone(images)
