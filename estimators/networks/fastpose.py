"""FastPose, the estimator of AlphaPose: a gated ResNet, and pixels shuffled out of channels instead of deconvolutions.

Paper: Fang et al. 2022, "AlphaPose: Whole-Body Regional Multi-Person Pose Estimation and Tracking in Real-Time".
Original code: MVIG-SJTU/AlphaPose, whose licence, for its weights too, allows no commercial use; keys as
there.

Input: one person, 256 x 192 (H x W; other multiples of 32 work), RGB, /255, less 0.406, 0.457, 0.480 - a mean in the
order BGR, taken from RGB as published - and over no deviation; the box 1.25 times as large. Output: a heatmap per joint
at stride 4, with no activation.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from estimators.networks.resnet import GatedBottleneck, ResNet
from posetrail.layers import ConvBnAct


class FastPose(nn.Module):
    """Body and three doublings of the resolution.

    Args:
        depth: of the ResNet.
        width: channels at stride 4 ("CONV_DIM").
    """

    def __init__(self, depth: int, *, width: int = 128) -> None:
        super().__init__()
        self.preact = ResNet(depth, block=GatedBottleneck)
        self.duc1 = ConvBnAct(512, 1024, 3)
        self.duc2 = ConvBnAct(256, 4 * width, 3)
        self.conv_out = nn.Conv2d(width, 17, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> heatmaps (N, 17, H / 4, W / 4)."""
        x = F.pixel_shuffle(self.preact(images)[-1], 2)
        x = F.pixel_shuffle(self.duc1(x), 2)
        return self.conv_out(F.pixel_shuffle(self.duc2(x), 2))
