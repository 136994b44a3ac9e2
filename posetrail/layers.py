"""Layers that detectors and estimators share; imports torch, so only modules of networks import this one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from posetrail.preprocessing import Preprocessing

Activation = Callable[[Tensor], Tensor]


class ConvBnAct(nn.Module):
    """Convolution padded to keep the size, batch norm, activation; keys `conv` and `bn` as in mmcv and YOLOX."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int = 1,
        *,
        groups: int = 1,
        bias: bool = False,
        norm: bool = True,
        activation: Activation | None = F.relu,
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=bias)
        # some networks replace it by another norm
        self.bn: nn.Module = nn.BatchNorm2d(outputs, eps=eps) if norm else nn.Identity()
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H / stride, W / stride)."""
        x = self.bn(self.conv(x))
        return x if self.activation is None else self.activation(x)


class SeparableConv(nn.Module):
    """Depthwise and pointwise convolution, each with batch norm and activation; keys as in mmcv."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, *, activation: Activation | None = F.relu
    ) -> None:
        super().__init__()
        self.depthwise_conv = ConvBnAct(inputs, inputs, kernel, stride, groups=inputs, activation=activation)
        self.pointwise_conv = ConvBnAct(inputs, outputs, 1, activation=activation)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H / stride, W / stride)."""
        return self.pointwise_conv(self.depthwise_conv(x))


class FromBytes(nn.Module):
    """A network with its preprocessing, so that it takes uint8 images and preprocessing runs on the device.

    Args:
        network: takes (N, 3, H, W) float32.
        preprocessing: the one it was trained with.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.network = network
        self.bgr = preprocessing.bgr
        self.register_buffer(
            "mean", torch.tensor(preprocessing.mean, dtype=torch.float32).view(3, 1, 1), persistent=False
        )
        self.register_buffer(
            "std", torch.tensor(preprocessing.std, dtype=torch.float32).view(3, 1, 1), persistent=False
        )

    def forward(self, images: Tensor) -> Any:
        """(N, H, W, 3) uint8 RGB -> the outputs of the network."""
        ordered = images.flip(3) if self.bgr else images
        return self.network((ordered.permute(0, 3, 1, 2).float() - self.mean) / self.std)
