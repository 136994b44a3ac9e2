"""CPN, a top-down network: a ResNet feature pyramid that predicts heatmaps, and a second network that refines them.

Paper: Chen et al. 2018, "Cascaded Pyramid Network for Multi-Person Pose Estimation". Layers are named as in
GengDavid/pytorch-cpn, whose code and weights are under GPL-3.0; its code was not read for this implementation. Its
checkpoints contain the weights under `state_dict`, with the prefix `module.`.

Input: crops (N, 3, H, W) of 192 x 256 or 288 x 384 (W x H; sides are multiples of 32), RGB, mean 122.7717, 115.9465,
102.9801, standard deviation 255 (of 0..255). Outputs: four heatmaps (N, 17, H/4, W/4) of the pyramid, coarsest level
first, and the refined heatmaps, which are the result. Trained on Gaussians of height 255.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn
from torchvision.models.resnet import Bottleneck

from estimators.networks.resnet import ResNet

_WIDTH = 256
_LEVELS = (2048, 1024, 512, 256)  # channels of the backbone, coarsest level first
_TO_FINEST = (8, 4, 2, 1)  # upsampling factors to the finest level

_Upsample = partial(nn.Upsample, mode="bilinear", align_corners=True)


def _conv(inputs: int, outputs: int, kernel: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)


class GlobalNet(nn.Module):
    """Top-down feature pyramid with heatmaps at each level."""

    def __init__(self, joints: int) -> None:
        super().__init__()
        norm = partial(nn.BatchNorm2d, _WIDTH)
        self.laterals = nn.ModuleList(nn.Sequential(_conv(n, _WIDTH), norm(), nn.ReLU()) for n in _LEVELS)
        self.upsamples = nn.ModuleList(
            nn.Sequential(_Upsample(scale_factor=2), _conv(_WIDTH, _WIDTH), norm()) for _ in _LEVELS[1:]
        )
        self.predict = nn.ModuleList(
            nn.Sequential(
                *(_conv(_WIDTH, _WIDTH), norm(), nn.ReLU()),
                *(_conv(_WIDTH, joints, 3), _Upsample(scale_factor=factor), nn.BatchNorm2d(joints)),
            )
            for factor in _TO_FINEST
        )

    def forward(self, levels: tuple[Tensor, ...]) -> tuple[list[Tensor], list[Tensor]]:
        """Levels of the backbone, finest first -> features (N, 256, h, w) and heatmaps, coarsest first."""
        laterals = [lateral(level) for lateral, level in zip(self.laterals, reversed(levels), strict=True)]
        features = laterals[:1]
        for upsample, lateral in zip(self.upsamples, laterals[1:], strict=True):
            features.append(lateral + upsample(features[-1]))
        return features, [predict(feature) for predict, feature in zip(self.predict, features, strict=True)]


class RefineBottleneck(Bottleneck):  # type: ignore[misc] # torchvision has no types
    """Bottleneck with expansion 2 instead of 4, and a convolution in every shortcut."""

    expansion = 2

    def __init__(self, inputs: int) -> None:
        shortcut = nn.Sequential(_conv(inputs, _WIDTH), nn.BatchNorm2d(_WIDTH))
        super().__init__(inputs, _WIDTH // self.expansion, downsample=shortcut)


class RefineNet(nn.Module):
    """Refines and upsamples each level, with more blocks for coarser levels, and concatenates them."""

    def __init__(self, joints: int) -> None:
        super().__init__()
        self.cascade = nn.ModuleList(
            nn.Sequential(*(RefineBottleneck(_WIDTH) for _ in range(blocks)), _Upsample(scale_factor=factor))
            for blocks, factor in zip((3, 2, 1, 0), _TO_FINEST, strict=True)
        )
        self.final_predict = nn.Sequential(
            RefineBottleneck(_WIDTH * len(_LEVELS)), _conv(_WIDTH, joints, 3), nn.BatchNorm2d(joints)
        )

    def forward(self, features: list[Tensor]) -> Tensor:
        """Features of the pyramid, coarsest first -> heatmaps (N, joints, H / 4, W / 4)."""
        refined = [branch(feature) for branch, feature in zip(self.cascade, features, strict=True)]
        return self.final_predict(torch.cat(refined, 1))


class CPN(nn.Module):
    """CPN: backbone, pyramid and refinement.

    Args:
        depth: number of layers of the ResNet: 50 or 101.
        joints: number of joints.
    """

    def __init__(self, depth: int, *, joints: int = 17) -> None:
        super().__init__()
        self.resnet = ResNet(depth)
        self.global_net = GlobalNet(joints)
        self.refine_net = RefineNet(joints)

    def forward(self, images: Tensor) -> tuple[list[Tensor], Tensor]:
        """(N, 3, H, W) -> four heatmaps (N, joints, H/4, W/4) of the pyramid, and the refined heatmaps."""
        features, heatmaps = self.global_net(self.resnet(images))
        return heatmaps, self.refine_net(features)
