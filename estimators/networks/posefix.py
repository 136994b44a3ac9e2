"""PoseFix: corrects the pose of a person by looking at the image again, with the pose as a second input.

Paper: Moon, Chang, Lee 2019, "PoseFix: Model-agnostic General Human Pose Refinement Network" (CVPR). Code:
mks0601/PoseFix_RELEASE, MIT, TensorFlow 1. Keys are the names of its variables with "." for "/". A ResNet whose first
convolution takes the crop and one Gaussian map per joint, and the deconvolutions of Simple Baselines.

Input: (N, 3 + K, H, W): the crop, then the maps of `pose_maps`. Output: (N, K, H / 4, W / 4) logits, of which
`expected_cells` gives the joints.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_BLOCKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}  # units per block, by depth
_EPS = 1e-9  # of batch norm, as published
_PEAK = 255.0  # of the input maps
_LEAST = 1e-12  # smaller values are 0: convolutions of denormal numbers are slow


class PoseFix(nn.Module):
    """PoseFix.

    Args:
        depth: number of layers of the ResNet.
        joints: number of joints.
        width: channels of the first convolution and of the deconvolutions relative to the published ones.
    """

    def __init__(self, depth: int, *, joints: int = 17, width: float = 1.0) -> None:
        super().__init__()
        self._trunk = f"resnet_v1_{depth}"
        base, up = round(64 * width), round(256 * width)
        self.add_module(self._trunk, _ResNet(3 + joints, _BLOCKS[depth], base))
        self.up1, self.up2, self.up3 = (_UpBn(inputs, up) for inputs in (32 * base, up, up))
        self.out = nn.Conv2d(up, joints, 1)

    def forward(self, inputs: Tensor) -> Tensor:
        """(N, 3 + joints, H, W) -> logits (N, joints, H / 4, W / 4)."""
        x = self.get_submodule(self._trunk)(inputs)
        return self.out(self.up3(self.up2(self.up1(x))))


class _ConvBn(nn.Conv2d):
    """Convolution without bias, and batch norm."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.BatchNorm = nn.BatchNorm2d(outputs, eps=_EPS)

    def forward(self, x: Tensor) -> Tensor:
        return self.BatchNorm(super().forward(x))


class _UpBn(nn.ConvTranspose2d):
    """Deconvolution that doubles the resolution, batch norm and ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 4, 2, 1, bias=False)
        self.BatchNorm = nn.BatchNorm2d(outputs, eps=_EPS)

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override] # the output size is never given
        return F.relu(self.BatchNorm(super().forward(x)))


class _Bottleneck(nn.Module):
    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        if inputs != 4 * width:
            self.shortcut = _ConvBn(inputs, 4 * width, 1, stride)
        self.conv1 = _ConvBn(inputs, width, 1)
        self.conv2 = _ConvBn(width, width, 3, stride)
        self.conv3 = _ConvBn(width, 4 * width, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv3(F.relu(self.conv2(F.relu(self.conv1(x)))))
        return F.relu(y + (self.shortcut(x) if hasattr(self, "shortcut") else x))


class _ResNet(nn.Module):
    def __init__(self, inputs: int, blocks: tuple[int, ...], base: int) -> None:
        super().__init__()
        self.conv1 = _ConvBn(inputs, base, 7, 2)
        channels = base
        for b, units in enumerate(blocks):
            width, block = base << b, nn.Module()
            for u in range(units):
                unit = nn.Module()
                unit.add_module("bottleneck_v1", _Bottleneck(channels, width, 2 if b and not u else 1))
                block.add_module(f"unit_{u + 1}", unit)
                channels = 4 * width
            self.add_module(f"block{b + 1}", block)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.conv1(x)), 3, 2, 1)
        for module in self.modules():
            if isinstance(module, _Bottleneck):
                x = module(x)
        return x


def pose_maps(keypoints: Tensor, crop_size: tuple[int, int], sigma_px: float) -> Tensor:
    """One Gaussian per joint at the resolution of the crop, 255 at the joint; an empty map for a missing joint.

    Args:
        keypoints: (B, K, 2) x y, pixels of the crop; NaN where missing.
        crop_size: width and height, pixels.
        sigma_px: standard deviation.

    Returns:
        (B, K, height, width) of the dtype of the keypoints.
    """
    present = keypoints.isfinite().all(dim=-1)
    x, y = (
        torch.exp(-(_numbered(side, keypoints) - at[..., None]).square() / (2 * sigma_px**2))
        for side, at in zip(crop_size, keypoints.nan_to_num().unbind(-1), strict=True)
    )
    maps = _PEAK * y[..., :, None] * x[..., None, :] * present[..., None, None]
    return F.threshold(maps, _LEAST, 0.0)


def expected_cells(logits: Tensor) -> Tensor:
    """The mean position (B, K, 2) x y in cells under the softmax over the cells of each map (B, K, h, w)."""
    h, w = logits.shape[2:]
    shares = logits.flatten(2).softmax(dim=2).reshape(logits.shape)
    x = (shares.sum(dim=2) * _numbered(w, logits)).sum(dim=-1)
    y = (shares.sum(dim=3) * _numbered(h, logits)).sum(dim=-1)
    return torch.stack([x, y], dim=-1)


class ExpectedJoints(nn.Module):
    """A network whose logits become joints in pixels of the crop.

    Args:
        network: maps (N, 3 + K, H, W) to logits (N, K, h, w).
        crop_size: width and height, pixels.
    """

    def __init__(self, network: nn.Module, crop_size: tuple[int, int]) -> None:
        super().__init__()
        self.network = network
        self._height = crop_size[1]

    def forward(self, inputs: Tensor) -> Tensor:
        """(N, 3 + K, H, W) -> joints (N, K, 2) x y, pixels."""
        logits = self.network(inputs)
        return expected_cells(logits) * (self._height / logits.shape[2])


def _numbered(count: int, like: Tensor) -> Tensor:
    """0, 1, ..., count - 1 on the device and of the dtype of another tensor."""
    return torch.arange(count, dtype=like.dtype, device=like.device)
