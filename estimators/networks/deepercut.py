"""DeeperCut, a bottom-up network: part detection with offsets, and offsets to the other joints of the same person.

Papers: Insafutdinov et al. 2016, "DeeperCut: A Deeper, Stronger, and Faster Multi-Person Pose Estimation Model"; 2017,
"ArtTrack". Original code and weights: eldar/pose-tensorflow, LGPL-3.0; layers are named as there, with `.` for `/`.

The trunk is the ResNet-101 of TF-slim: the stride is in the last unit of a block, the third block has stride 1 and the
fourth one dilated convolutions, so that the features have stride 16.

Input: (N, 3, H, W) RGB, mean 123.68, 116.779, 103.939 (of 0..255), both sides multiples of 16. Outputs, at stride 8:
part_pred (N, K, h, w), logits of the joints; locref (N, 2 K, h, w), x and y from the centre of the cell to the joint,
divided by 7.2801 pixels; pairwise_pred (N, 2 K (K - 1), h, w), normalised x and y to every other joint, for several
people only; part_pred_interm, like part_pred from the middle of the third block, for training only.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_BLOCKS = (  # units, width, stride of the last unit, dilation
    (3, 64, 2, 1),
    (4, 128, 2, 1),
    (23, 256, 1, 1),
    (3, 512, 1, 2),
)
_INTERMEDIATE = (3, 12)  # block and unit with supervision in training
_LOCREF_PX = 7.2801


class ConvNorm(nn.Conv2d):
    """Convolution with symmetric padding, and batch norm."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, dilation: int = 1) -> None:
        padding = dilation * (kernel // 2)
        super().__init__(inputs, outputs, kernel, stride, padding, dilation=dilation, bias=False)
        self.BatchNorm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H / stride, W / stride)."""
        return self.BatchNorm(super().forward(x))


class Bottleneck(nn.Module):
    """Residual unit; without a change of width, its shortcut is the input at every stride-th cell."""

    def __init__(self, inputs: int, width: int, stride: int, dilation: int) -> None:
        super().__init__()
        self.stride = stride
        self.shortcut = ConvNorm(inputs, 4 * width, 1, stride) if inputs != 4 * width else None
        self.conv1 = ConvNorm(inputs, width, 1)
        self.conv2 = ConvNorm(width, width, 3, stride, dilation)
        self.conv3 = ConvNorm(width, 4 * width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, 4 width, H / stride, W / stride)."""
        shortcut = x[:, :, :: self.stride, :: self.stride] if self.shortcut is None else self.shortcut(x)
        return F.relu(shortcut + self.conv3(F.relu(self.conv2(F.relu(self.conv1(x))))))


class Trunk(nn.Module):
    """ResNet-101."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = ConvNorm(3, 64, 7, 2)
        inputs = 64
        for block, (units, width, stride, dilation) in enumerate(_BLOCKS, 1):
            row = nn.ModuleDict()
            for unit in range(1, units + 1):
                at = stride if unit == units else 1
                row[f"unit_{unit}"] = nn.ModuleDict({"bottleneck_v1": Bottleneck(inputs, width, at, dilation)})
                inputs = 4 * width
            self.add_module(f"block{block}", row)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3, H, W) -> features (N, 2048, H/16, W/16), and those of the third block (N, 1024, H/16, W/16)."""
        x = F.relu(self.conv1(images))
        x = F.max_pool2d(F.pad(x, (*_same(x.shape[3]), *_same(x.shape[2])), value=-torch.inf), 3, 2)
        middle = x
        for block, (units, *_) in enumerate(_BLOCKS, 1):
            for unit in range(1, units + 1):
                x = self.get_submodule(f"block{block}.unit_{unit}.bottleneck_v1")(x)
                if (block, unit) == _INTERMEDIATE:
                    middle = x
        return x, middle


def _same(length: int) -> tuple[int, int]:
    """Padding before and after of TensorFlow's SAME for a kernel of 3 with stride 2: more at the end."""
    return (length % 2, 1)


class Head(nn.Module):
    """Transposed convolution to twice the size."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.block4 = nn.ConvTranspose2d(inputs, outputs, 3, 2)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, h, w) -> (N, outputs, 2 h, 2 w)."""
        return self.block4(x)[:, :, :-1, :-1]


class DeeperCut(nn.Module):
    """Part detection of one person or several.

    Args:
        joints: number of joints.
        pairwise: whether the network predicts offsets to the other joints.
    """

    def __init__(self, *, joints: int, pairwise: bool) -> None:
        super().__init__()
        self.resnet_v1_101 = Trunk()
        self.pose = nn.ModuleDict({"part_pred": Head(2048, joints), "locref_pred": Head(2048, 2 * joints)})
        if pairwise:
            self.pose["pairwise_pred"] = Head(2048, 2 * joints * (joints - 1))
        self.pose["intermediate_supervision"] = Head(1024, joints)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """(N, 3, H, W) -> part_pred, locref, pairwise_pred if it has it, and part_pred_interm."""
        features, middle = self.resnet_v1_101(images)
        outputs = {"part_pred": self.pose["part_pred"](features), "locref": self.pose["locref_pred"](features)}
        if "pairwise_pred" in self.pose:
            outputs["pairwise_pred"] = self.pose["pairwise_pred"](features)
        return outputs | {"part_pred_interm": self.pose["intermediate_supervision"](middle)}


class DeeperCutMaps(nn.Module):
    """DeeperCut's outputs as the grouping reads them: probabilities, offsets in pixels, and offsets of pairs."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """(N, 3, H, W) -> probabilities (N, K, h, w), offsets (N, 2 K, h, w), and normalised pairwise offsets."""
        outputs = self.network(images)
        maps = outputs["part_pred"].sigmoid(), _LOCREF_PX * outputs["locref"]
        return (*maps, outputs["pairwise_pred"]) if "pairwise_pred" in outputs else maps
