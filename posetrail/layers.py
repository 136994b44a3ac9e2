"""Layers that detectors and estimators share; imports torch, so only modules of networks import this one."""

from __future__ import annotations

import math
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
        centre_sigma_px: sigma of a Gaussian around the centre of the image, which the network takes as a fourth
            channel; None for no fourth channel.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, preprocessing: Preprocessing, centre_sigma_px: float | None = None) -> None:
        super().__init__()
        self.network = network
        self.centre_sigma_px = centre_sigma_px
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
        normalised = (ordered.permute(0, 3, 1, 2).float() - self.mean) / self.std
        if self.centre_sigma_px is not None:
            normalised = with_centre_map(normalised, self.centre_sigma_px)
        return self.network(normalised)


class CentreMap(nn.Module):
    """A network that takes a map of the centre, with that map: it takes images alone.

    Args:
        network: takes (N, 4, H, W), the last channel of which is the map.
        sigma_px: as of `with_centre_map`.
    """

    def __init__(self, network: nn.Module, sigma_px: float) -> None:
        super().__init__()
        self.network = network
        self.sigma_px = sigma_px

    def forward(self, images: Tensor) -> Any:
        """(N, 3, H, W) -> the outputs of the network."""
        return self.network(with_centre_map(images, self.sigma_px))


def with_centre_map(images: Tensor, sigma_px: float) -> Tensor:
    """Images (N, 3, H, W) with a fourth channel: a Gaussian of height 1 around the centre, 0 below a hundredth.

    Wei et al. 2016, "Convolutional Pose Machines", published code.
    """
    height, width = images.shape[2:]
    y = torch.arange(height, device=images.device) - (height - 1) / 2
    x = torch.arange(width, device=images.device) - (width - 1) / 2
    exponents = (y.square()[:, None] + x.square()) / (2 * sigma_px**2)
    centre = torch.exp(-exponents) * (exponents <= math.log(100))
    return torch.cat([images, centre.to(images).expand(len(images), 1, height, width)], 1)
