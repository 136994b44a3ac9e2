"""RMPE's symmetric spatial transformer: a network that moves the person into the middle of the crop, and maps back.

Fang et al. 2017, "RMPE: Regional Multi-Person Pose Estimation", section 3.2. A localisation network reads an affine
transform off the crop, a spatial transformer (STN) applies it, any network for one person reads the result, and the
inverse transformer (SDTN) maps its heatmaps back. The branch beside it, a network of the same kind with frozen weights
whose heatmaps are not mapped back, exists in training alone: its loss is large unless the person is in the middle.

Transforms are theta (N, 2, 3), from x y of the result to x y of the input, both -1..1 between the centres of the first
and last pixels; beyond the border lies 0. Authors: Fang-Haoshu/multi-human-pose, in Torch7, with y before x.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import resnet18

_IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


class SSTN(nn.Module):
    """A network for one person between a spatial transformer and its inverse.

    Args:
        network: maps images (N, 3, H, W) to heatmaps (N, K, h, w), or to a list of them.
        frozen: the branch of training, such as a trained network of the same kind; its weights are frozen here. None
            for none.
        localiser: maps images to (N, 6), its last layer linear with a bias; a ResNet-18 if not given.
    """

    def __init__(self, network: nn.Module, frozen: nn.Module | None = None, localiser: nn.Module | None = None) -> None:
        super().__init__()
        self.network = network
        self.localiser = resnet18(num_classes=6) if localiser is None else localiser
        last = [module for module in self.localiser.modules() if isinstance(module, nn.Linear)][-1]
        nn.init.zeros_(last.weight)
        with torch.no_grad():
            last.bias.copy_(torch.tensor(_IDENTITY))
        self.frozen = frozen
        if frozen is not None:
            frozen.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> SSTN:
        """Switch to training; the frozen branch keeps its statistics."""
        super().train(mode)
        if self.frozen is not None:
            self.frozen.eval()
        return self

    def forward(self, images: Tensor) -> Any:
        """Images (N, 3, H, W) -> the network's heatmaps, mapped back.

        In training with a frozen branch: a tuple of them and the heatmaps of that branch, not mapped back.
        """
        theta = self.localiser(images).unflatten(1, (2, 3))
        moved = sampled(images, theta)
        maps = _each_sampled(self.network(moved), inverted(theta))
        return maps if self.frozen is None or not self.training else (maps, self.frozen(moved))


def sampled(maps: Tensor, theta: Tensor) -> Tensor:
    """Maps (N, C, H, W) read at the places of theta (N, 2, 3), bilinear, 0 beyond the border."""
    grid = F.affine_grid(theta, list(maps.shape), align_corners=True)
    return F.grid_sample(maps, grid, mode="bilinear", padding_mode="zeros", align_corners=True)


def inverted(theta: Tensor) -> Tensor:
    """The inverse transforms (N, 2, 3): the inverse of the linear part, and minus it times the shift (RMPE, eq. 3)."""
    (a, b, x), (c, d, y) = (row.unbind(dim=1) for row in theta.unbind(dim=1))
    determinant = a * d - b * c
    rows = [[d, -b, b * y - d * x], [-c, a, c * x - a * y]]
    return torch.stack([torch.stack(row, dim=1) for row in rows], dim=1) / determinant[:, None, None]


def joints_in_input(joints: Tensor, theta: Tensor, size: tuple[int, int]) -> Tensor:
    """Joints (N, K, 2) in pixels of the transformed crop, as pixels of the crop before.

    Args:
        joints: x y.
        theta: (N, 2, 3).
        size: width and height of both, pixels.
    """
    last = joints.new_tensor(size) - 1
    places = 2 * joints / last - 1
    return (places @ theta[:, :, :2].transpose(1, 2) + theta[:, None, :, 2] + 1) / 2 * last


def _each_sampled(outputs: Any, theta: Tensor) -> Any:
    """The heatmaps of one or of several outputs mapped by theta."""
    if isinstance(outputs, Tensor):
        return sampled(outputs, theta)
    return [_each_sampled(each, theta) for each in outputs]
