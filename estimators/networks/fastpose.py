"""FastPose, the top-down network of AlphaPose: a ResNet with squeeze and excitation, and upsampling by pixel shuffle.

Paper: Fang et al. 2022, "AlphaPose: Whole-Body Regional Multi-Person Pose Estimation and Tracking in Real-Time".
Original code and weights: MVIG-SJTU/AlphaPose, for non-commercial use only; layers are named as there.

Input: crops (N, 3, H, W) of 192 x 256 (W x H; sides are multiples of 32), RGB / 255 minus 0.406, 0.457, 0.480 (a mean
in the order BGR, subtracted from RGB as published), not divided by a standard deviation; the box is enlarged by 1.25.
Output: heatmaps (N, 17, H/4, W/4) without activation.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from estimators.networks.resnet import GatedBottleneck, ResNet
from posetrail.layers import ConvBnAct


class FastPose(nn.Module):
    """FastPose: backbone and three pixel shuffles, each of which doubles the resolution.

    Args:
        depth: number of layers of the ResNet: 50 or 152.
        width: number of channels at stride 4 ("CONV_DIM" in the original code).
        joints: number of joints.
    """

    def __init__(self, depth: int, *, width: int = 128, joints: int = 17) -> None:
        super().__init__()
        self.preact = ResNet(depth, block=GatedBottleneck)
        self.duc1 = ConvBnAct(512, 1024, 3)
        self.duc2 = ConvBnAct(256, 4 * width, 3)
        self.conv_out = nn.Conv2d(width, joints, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> heatmaps (N, joints, H/4, W/4)."""
        x = F.pixel_shuffle(self.preact(images)[-1], 2)
        x = F.pixel_shuffle(self.duc1(x), 2)
        return self.conv_out(F.pixel_shuffle(self.duc2(x), 2))
