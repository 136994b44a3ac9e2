"""DeepPose, a top-down network: a ResNet and a linear layer that regress coordinates, optionally with spreads (RLE).

Papers: Toshev and Szegedy 2014, "DeepPose: Human Pose Estimation via Deep Neural Networks"; Li et al. 2021, "Human Pose
Regression with Residual Log-likelihood Estimation" (RLE). Original code and weights: open-mmlab/mmpose 1.x, Apache-2.0;
layers are named as there.

Input: crops (N, 3, H, W) of 192 x 256 (W x H), RGB, mean 123.675, 116.28, 103.53, standard deviation 58.395, 57.12,
57.375 (of 0..255); the box is enlarged by 1.25. Output: (N, 17, 2) x y relative to the width and height of the input,
not clipped; with RLE (N, 17, 4), where the sigmoid of the last two numbers s is the spread along x and y, and the score
of a joint is the mean of 1 - sigmoid(s). Coordinates in a mirrored crop are mapped back by x -> 1 - x - 1/192.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from estimators.networks.resnet import ResNet


class Flow(nn.Module):
    """RealNVP (Dinh et al. 2017), the error distribution in the loss of RLE: in checkpoints, used in training only."""

    def __init__(self) -> None:
        super().__init__()
        couplings = 6
        self.register_buffer("loc", torch.zeros(2))
        self.register_buffer("cov", torch.eye(2))
        self.register_buffer("mask", torch.tensor([[0.0, 1.0], [1.0, 0.0]]).repeat(couplings // 2, 1))
        self.s = nn.ModuleList(_perceptron(nn.Tanh()) for _ in range(couplings))
        self.t = nn.ModuleList(_perceptron() for _ in range(couplings))


def _perceptron(*last: nn.Module) -> nn.Sequential:
    hidden = 64
    return nn.Sequential(
        nn.Linear(2, hidden), nn.LeakyReLU(), nn.Linear(hidden, hidden), nn.LeakyReLU(), nn.Linear(hidden, 2), *last
    )


class DeepPose(nn.Module):
    """DeepPose: backbone, global average pooling and one linear layer.

    Args:
        rle: whether to regress spreads too.
        joints: number of joints.
    """

    def __init__(self, *, rle: bool = False, joints: int = 17) -> None:
        super().__init__()
        self.joints = joints
        self.backbone = ResNet(50)
        self.head = nn.ModuleDict({"fc": nn.Linear(2048, joints * (4 if rle else 2))})
        if rle:
            self.head["loss_module"] = nn.ModuleDict({"flow_model": Flow()})

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, joints, 2) x y, or (N, joints, 4) x y and their spreads before the sigmoid."""
        means = self.backbone(images)[-1].mean((2, 3))
        return self.head["fc"](means).unflatten(1, (self.joints, -1))
