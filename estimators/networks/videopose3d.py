"""VideoPose3D: convolutions over time from 2-D joints to 3-D joints (Pavllo et al., CVPR 2019).

One convolution to 1024 channels, then residual blocks of a dilated convolution and one of width 1, each with batch
normalisation, ReLU and dropout, then a convolution of width 1 to the joints. Filters of widths 3, 3, 3 have a receptive
field of 27 frames; nothing is padded inside, so T frames give T - 26 poses. With filters of width 1 it is the network
of Martinez et al. (ICCV 2017, "A simple yet effective baseline") applied to each frame.

`VideoPose3D` has the keys of the authors' checkpoints, `VideoPose3DMMPose` those of MMPose's. Written from descriptions
of the network: the authors' code is under CC BY-NC 4.0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

from torch import Tensor, nn
from torch.nn import functional

_CHANNELS = 1024
_DROPOUT = 0.25

Layer = tuple[nn.Conv1d, nn.BatchNorm1d]


class VideoPose3D(nn.Module):
    """The network with the authors' keys.

    Args:
        widths: of the first convolution and of that of each block, odd; their product is the receptive field.
        joints: 2-D joints taken.
        joints_out: 3-D joints returned; 1 for a trajectory model, which returns the root in the camera.
        causal: whether a pose depends on frames before it only; otherwise it is that of the middle frame.
        channels: of the convolutions.
        dropout: share of values set to zero in training.
    """

    def __init__(
        self,
        widths: Sequence[int],
        *,
        joints: int = 17,
        joints_out: int = 17,
        causal: bool = False,
        channels: int = _CHANNELS,
        dropout: float = _DROPOUT,
    ) -> None:
        super().__init__()
        self.widths, self.causal, self.dropout = tuple(widths), causal, dropout
        self.expand_conv = nn.Conv1d(2 * joints, channels, widths[0], bias=False)
        self.expand_bn = nn.BatchNorm1d(channels)
        blocks = [width for wide in widths[1:] for width in (wide, 1)]
        self.layers_conv = nn.ModuleList(nn.Conv1d(channels, channels, width, bias=False) for width in blocks)
        self.layers_bn = nn.ModuleList(nn.BatchNorm1d(channels) for _ in blocks)
        self.shrink = nn.Conv1d(channels, 3 * joints_out, 1)

    @property
    def receptive_field(self) -> int:
        """Number of frames that a pose depends on."""
        return math.prod(self.widths)

    def forward(self, keypoints: Tensor) -> Tensor:
        """3-D joints (N, T - receptive field + 1, M, 3) of normalised 2-D joints (N, T, K, 2)."""
        layers = [cast(Layer, pair) for pair in zip(self.layers_conv, self.layers_bn, strict=True)]
        return _lifted(
            keypoints,
            (self.expand_conv, self.expand_bn),
            layers,
            self.shrink,
            self.causal,
            self.dropout * self.training,
        )


class VideoPose3DMMPose(nn.Module):
    """The network with MMPose's keys; arguments as of `VideoPose3D`."""

    def __init__(
        self,
        widths: Sequence[int],
        *,
        joints: int = 17,
        joints_out: int = 17,
        causal: bool = False,
        channels: int = _CHANNELS,
        dropout: float = _DROPOUT,
    ) -> None:
        super().__init__()
        self.widths, self.causal, self.dropout = tuple(widths), causal, dropout
        self.backbone = nn.ModuleDict(
            {
                "expand_conv": _layer(2 * joints, channels, widths[0]),
                "tcn_blocks": nn.ModuleList(
                    nn.ModuleDict({"conv1": _alone(channels, width), "conv2": _alone(channels, 1)})
                    for width in widths[1:]
                ),
            }
        )
        self.head = nn.ModuleDict({"conv": nn.Conv1d(channels, 3 * joints_out, 1)})

    @property
    def receptive_field(self) -> int:
        """Number of frames that a pose depends on."""
        return math.prod(self.widths)

    def forward(self, keypoints: Tensor) -> Tensor:
        """3-D joints (N, T - receptive field + 1, M, 3) of normalised 2-D joints (N, T, K, 2)."""
        blocks = cast(nn.ModuleList, self.backbone["tcn_blocks"])
        pairs = [
            cast(nn.ModuleList, cast(nn.ModuleDict, block)[name]) for block in blocks for name in ("conv1", "conv2")
        ]
        layers = [_pair(alone[0]) for alone in pairs]
        head = cast(nn.Conv1d, self.head["conv"])
        first = _pair(self.backbone["expand_conv"])
        return _lifted(keypoints, first, layers, head, self.causal, self.dropout * self.training)


def _layer(channels_in: int, channels: int, width: int) -> nn.ModuleDict:
    return nn.ModuleDict({"conv": nn.Conv1d(channels_in, channels, width, bias=False), "bn": nn.BatchNorm1d(channels)})


def _alone(channels: int, width: int) -> nn.ModuleList:
    return nn.ModuleList([_layer(channels, channels, width)])


def _pair(layer: nn.Module) -> Layer:
    named = cast(nn.ModuleDict, layer)
    return cast(nn.Conv1d, named["conv"]), cast(nn.BatchNorm1d, named["bn"])


def _lifted(
    keypoints: Tensor, first: Layer, layers: Sequence[Layer], shrink: nn.Conv1d, causal: bool, dropout: float
) -> Tensor:
    """The 3-D joints (N, T', M, 3) of 2-D joints (N, T, K, 2).

    With exactly as many frames as the receptive field, only those values are computed that the one pose depends on:
    strides replace dilations, with the same result. In training, batch statistics then come from those values alone, as
    the authors train.
    """
    widths = [first[0].kernel_size[0], *(convolution.kernel_size[0] for convolution, _ in layers[::2])]
    N, T = keypoints.shape[:2]
    if math.prod(widths) > T:
        raise ValueError(f"keypoints: expected at least {math.prod(widths)} frames, got {T}; repeat the first and last")
    strided = math.prod(widths) == T

    def activated(x: Tensor, layer: Layer, stride: int = 1, dilation: int = 1) -> Tensor:
        convolution, norm = layer
        x = functional.conv1d(x, convolution.weight, stride=stride, dilation=dilation)
        return functional.dropout(functional.relu(norm(x)), dropout, training=dropout > 0)

    x = keypoints.reshape(N, T, -1).transpose(1, 2)
    x = activated(x, first, stride=widths[0] if strided else 1)
    for block, width in enumerate(widths[1:]):
        wide, narrow = layers[2 * block], layers[2 * block + 1]
        stride, dilation = (width, 1) if strided else (1, math.prod(widths[: block + 1]))
        now = dilation * (width - 1 if causal else width // 2)  # place, within the filter, of the frame to be predicted
        residual = x[:, :, now : x.shape[2] - dilation * (width - 1) + now : stride]
        x = residual + activated(activated(x, wide, stride, dilation), narrow)
    return shrink(x).transpose(1, 2).reshape(N, -1, shrink.out_channels // 3, 3)
