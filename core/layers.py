"""Layers that networks of several folders share; torch is imported here, so only files of networks import this."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional as F

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
        # some networks put another norm here
        self.bn: nn.Module = nn.BatchNorm2d(outputs, eps=eps) if norm else nn.Identity()
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H / stride, W / stride)."""
        x = self.bn(self.conv(x))
        return x if self.activation is None else self.activation(x)


class SeparableConv(nn.Module):
    """One filter per channel, then 1x1, with batch norm and activation each; keys as in mmcv."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, *, activation: Activation | None = F.relu
    ) -> None:
        super().__init__()
        self.depthwise_conv = ConvBnAct(inputs, inputs, kernel, stride, groups=inputs, activation=activation)
        self.pointwise_conv = ConvBnAct(inputs, outputs, 1, activation=activation)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H / stride, W / stride)."""
        return self.pointwise_conv(self.depthwise_conv(x))
