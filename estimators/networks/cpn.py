"""CPN: a pyramid that finds the joints, and a second network that refines what the pyramid saw at all its levels.

Paper: Chen et al. 2018, "Cascaded Pyramid Network for Multi-Person Pose Estimation". Keys are those of
GengDavid/pytorch-cpn, GPL-3.0, of which no line was read for this (a checkpoint holds them under `state_dict` with
`module.` in front).

Input: one person, 256 x 192 or 384 x 288 (H x W; other multiples of 32 work), RGB, /255, less
(122.7717, 115.9465, 102.9801)/255, over no deviation. Outputs: the pyramid's heatmaps from the coarsest level to the
finest, then the refined ones, which count; all at stride 4, trained on Gaussians of height 255.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn
from torchvision.models.resnet import Bottleneck

from estimators.networks.resnet import ResNet

_JOINTS = 17
_WIDTH = 256
_LEVELS = (2048, 1024, 512, 256)  # channels of the body, coarsest level first
_TO_FINEST = (8, 4, 2, 1)  # factors of resolution

_Upsample = partial(nn.Upsample, mode="bilinear", align_corners=True)


def _conv(inputs: int, outputs: int, kernel: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)


class GlobalNet(nn.Module):
    """Feature pyramid from the top down, with heatmaps at each level."""

    def __init__(self) -> None:
        super().__init__()
        norm = partial(nn.BatchNorm2d, _WIDTH)
        self.laterals = nn.ModuleList(nn.Sequential(_conv(n, _WIDTH), norm(), nn.ReLU()) for n in _LEVELS)
        self.upsamples = nn.ModuleList(
            nn.Sequential(_Upsample(scale_factor=2), _conv(_WIDTH, _WIDTH), norm()) for _ in _LEVELS[1:]
        )
        self.predict = nn.ModuleList(
            nn.Sequential(
                *(_conv(_WIDTH, _WIDTH), norm(), nn.ReLU()),
                *(_conv(_WIDTH, _JOINTS, 3), _Upsample(scale_factor=factor), nn.BatchNorm2d(_JOINTS)),
            )
            for factor in _TO_FINEST
        )

    def forward(self, levels: tuple[Tensor, ...]) -> tuple[list[Tensor], list[Tensor]]:
        """Levels of the body, finest first -> features (N, 256, h, w) and heatmaps, coarsest first."""
        laterals = [lateral(level) for lateral, level in zip(self.laterals, reversed(levels), strict=True)]
        features = laterals[:1]
        for upsample, lateral in zip(self.upsamples, laterals[1:], strict=True):
            features.append(lateral + upsample(features[-1]))
        return features, [predict(feature) for predict, feature in zip(self.predict, features, strict=True)]


class RefineBottleneck(Bottleneck):  # type: ignore[misc] # torchvision has no types
    """A bottleneck that widens by two, not four, and has a convolution in its shortcut even where shapes agree."""

    expansion = 2

    def __init__(self, inputs: int) -> None:
        shortcut = nn.Sequential(_conv(inputs, _WIDTH), nn.BatchNorm2d(_WIDTH))
        super().__init__(inputs, _WIDTH // self.expansion, downsample=shortcut)


class RefineNet(nn.Module):
    """All levels brought to the finest, the coarser the deeper, and joined."""

    def __init__(self) -> None:
        super().__init__()
        self.cascade = nn.ModuleList(
            nn.Sequential(*(RefineBottleneck(_WIDTH) for _ in range(blocks)), _Upsample(scale_factor=factor))
            for blocks, factor in zip((3, 2, 1, 0), _TO_FINEST, strict=True)
        )
        self.final_predict = nn.Sequential(
            RefineBottleneck(_WIDTH * len(_LEVELS)), _conv(_WIDTH, _JOINTS, 3), nn.BatchNorm2d(_JOINTS)
        )

    def forward(self, features: list[Tensor]) -> Tensor:
        """Features of the pyramid, coarsest first -> heatmaps (N, 17, H / 4, W / 4)."""
        ways = [way(feature) for way, feature in zip(self.cascade, features, strict=True)]
        return self.final_predict(torch.cat(ways, 1))


class CPN(nn.Module):
    """Body, pyramid and refinement.

    Args:
        depth: of the ResNet.
    """

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.resnet = ResNet(depth)
        self.global_net = GlobalNet()
        self.refine_net = RefineNet()

    def forward(self, images: Tensor) -> tuple[list[Tensor], Tensor]:
        """(N, 3, H, W) -> four times heatmaps (N, 17, H / 4, W / 4) of the pyramid, and the refined ones."""
        features, heatmaps = self.global_net(self.resnet(images))
        return heatmaps, self.refine_net(features)
