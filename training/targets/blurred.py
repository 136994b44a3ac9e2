"""Blurred pixels of height 255: the targets of CPN and MSPN, one level of maps for each size of the blur.

Chen et al. 2018, "Cascaded Pyramid Network"; Li et al. 2019, "Rethinking on Multi-Stage Networks for Human Pose
Estimation". Coarse outputs are trained with broad targets and fine ones with narrow targets. The blur is OpenCV's
Gaussian of a given size and the spread that belongs to it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from posetrail.errors import InputError
from training.targets.heatmaps import map_size
from training.targets.joints import numbered, size_of, without_nan

_HIGHEST = 255.0
_SMALL = {  # the tables that OpenCV has for small sizes; times 256
    1: (256,),
    3: (64, 128, 64),
    5: (16, 64, 96, 64, 16),
    7: (8, 28, 56, 72, 56, 28, 8),
    9: (4, 13, 30, 51, 60, 51, 30, 13, 4),
}

MSPN_KERNELS = (15, 11, 9, 7, 5)
CPN_KERNELS = (15, 11, 9, 7)


def blurred_maps(
    keypoints: Tensor,
    visibility: Tensor,
    crop_size: tuple[int, int],
    *,
    stride: int = 4,
    kernels: Sequence[int] = MSPN_KERNELS,
    border: Literal["zero", "reflect"] = "zero",
) -> tuple[Tensor, Tensor]:
    """Maps of every level: the pixel at the joint's cell, blurred and brought to the height 255.

    Args:
        keypoints: (B, K, 2) x y, pixels of the crop.
        visibility: (B, K).
        crop_size: width and height, pixels.
        stride: pixels per cell; cell i covers pixels i * stride to (i + 1) * stride.
        kernels: sizes of the blur in cells (odd), the coarsest level first.
        border: what the blur sees outside the map. With "reflect", as published, the maximum moves to the border if the
            joint is one or two cells from it.

    Returns:
        maps (B, levels, K, H, W) 0..255; visibility (B, K) float32, 0 for joints outside the crop, whose maps are
        empty. The losses in `losses.coarse_to_fine` tell occluded joints from visible ones.

    Raises:
        InputError: a kernel is even.
    """
    size = map_size(crop_size, stride)
    places = without_nan(keypoints)
    inside = ((places >= 0) & (places <= size_of(crop_size, places) - 1)).all(dim=-1)
    visibility = visibility.float() * inside
    cells = torch.trunc(places / stride)
    taps = [_taps(kernel, places) for kernel in kernels]
    x, y = (
        torch.stack([_blurred_ones(cells[..., axis], size[axis], each, border) for each in taps], dim=1).float()
        for axis in range(2)
    )
    y = _HIGHEST * y * (visibility > 0)[:, None, :, None]
    return y[..., :, None] * x[..., None, :], visibility


def _taps(kernel: int, like: Tensor) -> Tensor:
    """OpenCV's Gaussian of a size (odd) and the spread that it chooses for it; adds up to 1."""
    if kernel < 1 or kernel % 2 == 0:
        raise InputError(f"kernels: expected odd sizes, such as 7, got {kernel}")
    if kernel in _SMALL:
        values = [tap / 256 for tap in _SMALL[kernel]]
    else:
        middle = (kernel - 1) / 2
        sigma = 0.3 * (middle - 1) + 0.8
        heights = [math.exp(-((i - middle) ** 2) / (2 * sigma**2)) for i in range(kernel)]
        values = [height / sum(heights) for height in heights]
    return torch.tensor(values, dtype=like.dtype, device=like.device)


def _blurred_ones(cells: Tensor, count: int, taps: Tensor, border: Literal["zero", "reflect"]) -> Tensor:
    """Rows (B, K, count) with a one at each cell, blurred and divided by their maxima."""
    columns = numbered(count, cells)
    rows = _tap_at(taps, columns - cells[..., None])
    if border == "reflect":  # the border cell itself is not repeated
        last = count - 1
        rows = rows + _tap_at(taps, columns + cells[..., None]) * (cells > 0)[..., None]
        rows = rows + _tap_at(taps, 2 * last - cells[..., None] - columns) * (cells < last)[..., None]
    return rows / rows.amax(dim=-1, keepdim=True).clamp(min=taps.min())  # cells outside have no maximum


def _tap_at(taps: Tensor, steps: Tensor) -> Tensor:
    """The kernel's values at whole steps from its middle, 0 beyond its ends."""
    middle = len(taps) // 2
    within = steps.abs() <= middle
    return taps[(steps.clamp(-middle, middle) + middle).long()] * within
