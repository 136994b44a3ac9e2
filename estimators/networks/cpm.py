"""Convolutional pose machine: six guesses of the joints, each from the image's features and the guess before it.

Paper: Wei et al. 2016, "Convolutional Pose Machines". Original code of this variant: open-mmlab/mmpose 1.x, Apache-2.0;
keys as there. It has batch norm and needs no map of the person's centre, unlike the authors' Caffe networks.
Input: one person, 192 x 256 or 288 x 384, RGB, mean 123.675, 116.28, 103.53, deviation 58.395, 57.12, 57.375 (0..255).
Output: a list of six (N, 17, H/8, W/8), a map per joint; the last counts.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from posetrail.layers import ConvBnAct

_JOINTS = 17
_WIDTH = 128
_IMAGE_WIDTH = 32  # channels of the image's features beside a guess
_STAGES = 6

Score = partial(ConvBnAct, outputs=_JOINTS, kernel=1, bias=True, norm=False, activation=None)


def _to_stride_8() -> list[nn.Module]:
    layers: list[nn.Module] = []
    for inputs in (3, _WIDTH, _WIDTH):
        layers += [ConvBnAct(inputs, _WIDTH, 9), nn.MaxPool2d(3, 2, 1)]
    return layers


class Stage(nn.Module):
    """Three large convolutions over a guess and the image's features."""

    def __init__(self) -> None:
        super().__init__()
        widths = (_JOINTS + _IMAGE_WIDTH, _WIDTH, _WIDTH)
        self.model = nn.Sequential(*(ConvBnAct(inputs, _WIDTH, 11) for inputs in widths))

    def forward(self, x: Tensor) -> Tensor:
        """(N, 49, h, w) -> (N, 128, h, w)."""
        return self.model(x)


class CPMBody(nn.Module):
    """The first guess from the image alone, the others from a second look at it and the guess before."""

    def __init__(self) -> None:
        super().__init__()
        later = range(_STAGES - 1)
        self.stem = nn.Sequential(
            *_to_stride_8(),
            ConvBnAct(_WIDTH, _IMAGE_WIDTH, 5),
            ConvBnAct(_IMAGE_WIDTH, 512, 9),
            ConvBnAct(512, 512, 1),
            Score(512),
        )
        self.middle = nn.Sequential(*_to_stride_8())
        self.cpm_stages = nn.ModuleList(Stage() for _ in later)
        self.middle_conv = nn.ModuleList(nn.Sequential(ConvBnAct(_WIDTH, _IMAGE_WIDTH, 5)) for _ in later)
        self.out_convs = nn.ModuleList(nn.Sequential(ConvBnAct(_WIDTH, _WIDTH, 1), Score(_WIDTH)) for _ in later)

    def forward(self, images: Tensor) -> list[Tensor]:
        """(N, 3, H, W) -> six (N, 17, H/8, W/8)."""
        guesses = [self.stem(images)]
        seen = self.middle(images)
        for stage, look, score in zip(self.cpm_stages, self.middle_conv, self.out_convs, strict=True):
            guesses.append(score(stage(torch.cat([guesses[-1], look(seen)], 1))))
        return guesses


class CPM(nn.Module):
    """The body; there is nothing behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = CPMBody()

    def forward(self, images: Tensor) -> list[Tensor]:
        """(N, 3, H, W) -> six (N, 17, H/8, W/8)."""
        return self.backbone(images)
