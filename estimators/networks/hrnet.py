"""HRNet, a top-down network with a map at stride 4 throughout, and HigherHRNet, its bottom-up version with stride 2.

Papers: Sun et al. 2019, "Deep High-Resolution Representation Learning for Human Pose Estimation"; Cheng et al. 2020,
"HigherHRNet: Scale-Aware Representation Learning for Bottom-Up Human Pose Estimation". Original code and weights:
leoxiaobin/deep-high-resolution-net.pytorch and HRNet/HigherHRNet-Human-Pose-Estimation, both MIT; layers are named as
there. Checkpoints of HigherHRNet can have the prefix `1.`, of a wrapper used in training.

Input: (N, 3, H, W), RGB, ImageNet's mean and standard deviation, sides multiples of 32. HRNet: crops of 192 x 256 or
288 x 384 (W x H). HigherHRNet: the image with its shorter side scaled to 512.
Outputs: HRNet: heatmaps (N, 17, H/4, W/4). HigherHRNet: a list of (N, 34, H/4, W/4), which are 17 heatmaps and 17 tag
maps, whose values are similar within a person, and of finer heatmaps (N, 17, H/2, W/2); decoding averages both
heatmaps.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.resnet import BasicBlock, Bottleneck

from .resolutions import Fusion, Transition, conv_bn, plain_step

_JOINTS = 17
_STEM_WIDTH = 64
_FIRST_WIDTH = 256  # channels after the bottlenecks
_BLOCKS = 4  # residual blocks per branch
_MODULES = (1, 4, 3)  # modules of stages 2, 3 and 4, which have 2, 3 and 4 resolutions


def _basic_blocks(width: int) -> nn.Sequential:
    return nn.Sequential(*(BasicBlock(width, width) for _ in range(_BLOCKS)))


class HighResolutionModule(nn.Module):
    """Residual blocks at each resolution, then fusion of all resolutions."""

    def __init__(self, widths: list[int], outputs: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(_basic_blocks(width) for width in widths)
        self.fuse_layers = Fusion(widths, outputs, plain_step)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Maps, finest first -> the `outputs` finest maps."""
        maps = [branch(x) for branch, x in zip(self.branches, maps, strict=True)]
        return [F.relu(x) for x in self.fuse_layers(maps)]


class HRNetBody(nn.Module):
    """Backbone: stem, bottlenecks at stride 4, and three stages with 2, 3 and 4 resolutions."""

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
                outputs[-1] = 1  # the heads use the finest map only
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
    """HRNet; `width`, 32 or 48, is the number of channels of the finest map."""

    def __init__(self, width: int, *, joints: int = _JOINTS) -> None:
        super().__init__(width)
        self.final_layer = nn.Conv2d(width, joints, 1)

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, joints, H/4, W/4)."""
        return self.final_layer(self.features(images))


class HigherHRNet(HRNetBody):
    """HigherHRNet; `width` is the number of channels of the finest map."""

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
