"""HRNet, which keeps a map at stride 4 all the way beside coarser ones, and HigherHRNet, which adds one at stride 2.

Papers: Sun et al. 2019, "Deep High-Resolution Representation Learning for Human Pose Estimation"; Cheng et al. 2020,
"HigherHRNet: Scale-Aware Representation Learning for Bottom-Up Human Pose Estimation". Original code:
leoxiaobin/deep-high-resolution-net.pytorch and HRNet/HigherHRNet-Human-Pose-Estimation, both MIT; keys as there.

Input: RGB, ImageNet's mean and deviation, sides multiples of 32. HRNet: one person, 192 x 256 or 288 x 384 pixels.
HigherHRNet: the whole image, its short side 512.
Outputs: HRNet (N, 17, H/4, W/4), a map per joint. HigherHRNet a list: (N, 34, H/4, W/4), 17 heatmaps then 17 maps of
tags that are alike within a person, and (N, 17, H/2, W/2), finer heatmaps; decoding averages the heatmaps of both.
Checkpoints of HigherHRNet may carry a leading `1.` before every key, from a wrapper used in training.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.resnet import BasicBlock, Bottleneck

from .resolutions import Fusion, Transition, conv_bn, plain_step

_JOINTS = 17
_STEM_WIDTH = 64
_FIRST_WIDTH = 256  # behind the bottlenecks
_BLOCKS = 4  # in a row
_MODULES = (1, 4, 3)  # of stages 2, 3, 4, which have 2, 3, 4 resolutions


def _basic_blocks(width: int) -> nn.Sequential:
    return nn.Sequential(*(BasicBlock(width, width) for _ in range(_BLOCKS)))


class HighResolutionModule(nn.Module):
    """Residual blocks at every resolution, then each resolution hears of all others."""

    def __init__(self, widths: list[int], outputs: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(_basic_blocks(width) for width in widths)
        self.fuse_layers = Fusion(widths, outputs, plain_step)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Maps, finest first -> the finest `outputs` of them."""
        maps = [branch(x) for branch, x in zip(self.branches, maps, strict=True)]
        return [F.relu(x) for x in self.fuse_layers(maps)]


class HRNetBody(nn.Module):
    """Stem, bottlenecks at stride 4, three stages of growing numbers of resolutions; the finest map comes out."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv_bn(3, _STEM_WIDTH, 3, 2, relu=False)
        self.conv2, self.bn2 = conv_bn(_STEM_WIDTH, _STEM_WIDTH, 3, 2, relu=False)
        widen = conv_bn(_STEM_WIDTH, _FIRST_WIDTH, 1, relu=False)
        self.layer1 = nn.Sequential(
            Bottleneck(_STEM_WIDTH, _STEM_WIDTH, downsample=widen),
            *(Bottleneck(_FIRST_WIDTH, _STEM_WIDTH) for _ in range(_BLOCKS - 1)),
        )
        before = [_FIRST_WIDTH]
        for i, modules in enumerate(_MODULES):
            widths = [width * 2**level for level in range(i + 2)]
            outputs = [len(widths)] * modules
            if i == len(_MODULES) - 1:
                outputs[-1] = 1  # nobody reads the coarser maps of the end
            self.add_module(f"transition{i + 1}", Transition(before, widths, plain_step))
            self.add_module(f"stage{i + 2}", nn.Sequential(*(HighResolutionModule(widths, n) for n in outputs)))
            before = widths

    def features(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, width, H/4, W/4)."""
        x = F.relu(self.bn1(self.conv1(images)))
        maps = [self.layer1(F.relu(self.bn2(self.conv2(x))))]
        for i in range(len(_MODULES)):
            maps = self.get_submodule(f"transition{i + 1}")(maps)
            maps = self.get_submodule(f"stage{i + 2}")(maps)
        return maps[0]


class HRNet(HRNetBody):
    """One person's joints; `width` (32 or 48) is that of the finest map."""

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.final_layer = nn.Conv2d(width, _JOINTS, 1)

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, 17, H/4, W/4)."""
        return self.final_layer(self.features(images))


class HigherHRNet(HRNetBody):
    """Everybody's joints and tags; `width` is that of the finest map."""

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.final_layers = nn.ModuleList([nn.Conv2d(width, 2 * _JOINTS, 1), nn.Conv2d(width, _JOINTS, 1)])
        double = nn.ConvTranspose2d(width + 2 * _JOINTS, width, 4, 2, 1, bias=False)
        refine = (nn.Sequential(BasicBlock(width, width)) for _ in range(_BLOCKS))
        double_and_refine = nn.Sequential(nn.Sequential(double, nn.BatchNorm2d(width), nn.ReLU()), *refine)
        self.deconv_layers = nn.ModuleList([double_and_refine])

    def forward(self, images: Tensor) -> list[Tensor]:
        """(N, 3, H, W) -> [(N, 34, H/4, W/4), (N, 17, H/2, W/2)]."""
        x = self.features(images)
        coarse = self.final_layers[0](x)
        return [coarse, self.final_layers[1](self.deconv_layers[0](torch.cat([x, coarse], 1)))]
