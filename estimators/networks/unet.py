"""A small U-Net for one's own data: 1 million parameters that learn from a few hundred people, on a CPU in minutes.

Paper: Ronneberger et al. 2015, "U-Net: Convolutional Networks for Biomedical Image Segmentation". Networks of this kind
are what pose estimation of animals trains from random weights on few frames (Pereira et al. 2022, "SLEAP"). There are
no published weights: `posetrail train` makes them.

Input: crops (N, 3, H, W), sides multiples of 32, normalised with ImageNet's mean and standard deviation.
Output: heatmaps (N, joints, H/4, W/4), without activation.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from posetrail.layers import ConvBnAct

_WIDTHS = (24, 48, 64, 96, 128)  # of the levels at 1/2 to 1/32 of the crop
_TOP = 64  # of the levels on the way up, to 1/4


class UNet(nn.Module):
    """U-Net of five levels. Unlike in the paper, levels are halved by strides and added, as in feature pyramids.

    Args:
        joints: number of joints.
    """

    def __init__(self, *, joints: int = 17) -> None:
        super().__init__()
        inputs = (3, *_WIDTHS[:-1])
        self.down = nn.ModuleList(
            nn.Sequential(ConvBnAct(a, b, 3, 2), *([ConvBnAct(b, b, 3)] if i else []))
            for i, (a, b) in enumerate(zip(inputs, _WIDTHS, strict=True))
        )
        self.lateral = nn.ModuleList(nn.Conv2d(width, _TOP, 1) for width in _WIDTHS[1:])
        self.smooth = nn.ModuleList(ConvBnAct(_TOP, _TOP, 3) for _ in _WIDTHS[2:])
        self.final_layer = nn.Conv2d(_TOP, joints, 1)

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> heatmaps (N, joints, H/4, W/4)."""
        levels = []
        for down in self.down:
            images = down(images)
            levels.append(images)
        x = self.lateral[-1](levels[-1])
        for level, lateral, smooth in zip(levels[-2:0:-1], list(self.lateral)[-2::-1], self.smooth, strict=True):
            x = smooth(lateral(level) + F.interpolate(x, level.shape[2:]))
        return self.final_layer(x)
