"""Heatmaps with a Gaussian around each joint, whose rows and columns are computed separately and multiplied.

Published code disagrees on three questions: whether the centre is a whole cell or the exact position, where the cells
lie in the crop, and when a joint outside the map still counts. Each function is one published set of answers. In all
of them an occluded joint is trained like a visible one, and a joint that is not labelled has weight 0.
"""

from __future__ import annotations

import torch
from torch import Tensor

from posetrail.errors import InputError
from training.targets.joints import labelled_weights, numbered, size_of, without_nan

_HOURGLASS_REACH = 4  # sigmas
_REACH = 3  # sigmas at which a Gaussian is cut off
_DISK_RADIUS = 0.0546875  # of the height of the map: 3.5 cells of 64


def gaussian_maps(
    keypoints: Tensor, visibility: Tensor, crop_size: tuple[int, int], *, stride: int = 4, sigma: float = 2.0
) -> tuple[Tensor, Tensor]:
    """Gaussians of height 1 around the nearest cell, cut to a square of 3 sigma.

    Xiao, Wu, Wei 2018, "Simple Baselines", published code; also HRNet, AlphaPose and MMPose. Cell i is at pixel
    i * stride. A joint outside the map counts while its square reaches a cell of the map or the row or column before
    it, in which case its map is empty.

    Args:
        keypoints: (B, K, 2) x y, pixels of the crop.
        visibility: (B, K).
        crop_size: width and height, pixels.
        stride: pixels per cell.
        sigma: cells.

    Returns:
        maps (B, K, H, W) 0..1; weights (B, K), 0 or 1.
    """
    size = map_size(crop_size, stride)
    cells = torch.trunc(without_nan(keypoints) / stride + 0.5)  # towards 0: a joint at -5 pixels is in cell 0
    weights = labelled_weights(visibility) * _touches(cells, _REACH * sigma, size)
    return _outer(cells, cells, weights, size, sigma, _REACH * sigma), weights


def exact_maps(
    keypoints: Tensor, visibility: Tensor, crop_size: tuple[int, int], *, stride: int = 4, sigma: float = 2.0
) -> tuple[Tensor, Tensor]:
    """Gaussians around the exact position of the joint, over the whole map.

    Zhang et al. 2020, "Distribution-Aware Coordinate Representation" (DARK), section 3.2. Arguments and results are
    those of `gaussian_maps`; the highest value of a map is below 1 where the joint lies between cells.
    """
    size = map_size(crop_size, stride)
    centres = without_nan(keypoints) / stride
    weights = labelled_weights(visibility) * _touches(centres, _REACH * sigma, size)
    return _outer(centres, centres, weights, size, sigma, torch.inf), weights


def udp_maps(
    keypoints: Tensor, visibility: Tensor, crop_size: tuple[int, int], *, stride: int = 4, sigma: float = 2.0
) -> tuple[Tensor, Tensor]:
    """Gaussians around the exact position, cut to a square of 3 sigma around the nearest cell.

    Huang et al. 2020, "The Devil is in the Details: Delving into Unbiased Data Processing". The centres of the first
    and last cells are those of the first and last pixels, so the targets of mirrored joints are the mirrored targets.
    Arguments and results are those of `gaussian_maps`.
    """
    size = map_size(crop_size, stride)
    centres = _between_ends(keypoints, crop_size, size)
    nearest = torch.trunc(centres + 0.5)
    weights = labelled_weights(visibility) * _touches(nearest, _REACH * sigma, size)
    return _outer(centres, nearest, weights, size, sigma, _REACH * sigma), weights


def udp_offset_maps(
    keypoints: Tensor, visibility: Tensor, crop_size: tuple[int, int], *, stride: int = 4, everywhere: bool = False
) -> tuple[Tensor, Tensor]:
    """Disks around the joints, and offsets from the cells of each disk to its joint, in units of its radius.

    Papandreou et al. 2017, "Towards Accurate Multi-person Pose Estimation in the Wild", section 3.2, with the cells and
    the radius of UDP's published code: 3.5 cells on maps 64 high. Joints outside the crop keep their weight; their
    disks are partial or empty. Read by the decoders in `estimators.offsets`.

    Args:
        keypoints: (B, K, 2) x y, pixels of the crop.
        visibility: (B, K).
        crop_size: width and height, pixels.
        stride: pixels per cell.
        everywhere: keep the offsets outside the disks, as in MMPose; the loss does not count them.

    Returns:
        maps (B, 3 K, H, W): disk, x offset and y offset of the first joint, then of the next; weights (B, K).
    """
    size = map_size(crop_size, stride)
    radius = _DISK_RADIUS * size[1]
    centres = _between_ends(keypoints, crop_size, size)
    x, y = _steps_from(centres, size)
    shape = *centres.shape[:2], size[1], size[0]
    to_joint = -torch.stack([x[..., None, :].expand(shape), y[..., :, None].expand(shape)], dim=2)
    weights = labelled_weights(visibility)
    disks = (to_joint.square().sum(dim=2) <= radius**2) & (weights > 0)[..., None, None]
    kept = (weights > 0)[..., None, None].expand_as(disks) if everywhere else disks
    maps = torch.cat([disks[:, :, None], kept[:, :, None] * (to_joint / radius)], dim=2)
    return maps.flatten(1, 2).float(), weights


def hourglass_maps(
    keypoints: Tensor,
    visibility: Tensor,
    crop_size: tuple[int, int],
    *,
    stride: int = 4,
    sigma: float = 1.0,
    unlabelled_as_empty: bool = False,
) -> tuple[Tensor, Tensor]:
    """Gaussians around the cell that contains the joint, for joints inside the map.

    Newell, Yang, Deng 2016, "Stacked Hourglass Networks", published PyTorch code. As there, a joint at x <= 0 has an
    empty map.

    Args:
        keypoints: (B, K, 2) x y, pixels of the crop.
        visibility: (B, K).
        crop_size: width and height, pixels.
        stride: pixels per cell.
        sigma: cells.
        unlabelled_as_empty: train joints that are not labelled or outside the map to an empty map, as published,
            instead of leaving them out. Not for data in which visible joints are not labelled.

    Returns:
        maps (B, K, H, W) 0..1; weights (B, K), all 1 with `unlabelled_as_empty`.
    """
    size = map_size(crop_size, stride)
    centres = without_nan(keypoints) / stride
    cells = torch.trunc(centres)
    inside = ((cells >= 0) & (cells < size_of(size, cells))).all(dim=-1) & (centres[..., 0] > 0)
    weights = labelled_weights(visibility) * inside
    maps = _outer(cells, cells, weights, size, sigma, _HOURGLASS_REACH * sigma)
    return maps, torch.ones_like(weights) if unlabelled_as_empty else weights


def map_size(crop_size: tuple[int, int], stride: int) -> tuple[int, int]:
    """Width and height in cells of the maps of a crop.

    Raises:
        InputError: a side is not a multiple of the stride.
    """
    if stride < 1 or any(side % stride or side < stride for side in crop_size):
        raise InputError(f"crop_size: expected multiples of the network's stride {stride}, got {crop_size}")
    return crop_size[0] // stride, crop_size[1] // stride


def _between_ends(keypoints: Tensor, crop_size: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """Positions in cells, with the centres of first and last cells at those of first and last pixels."""
    return without_nan(keypoints) / ((size_of(crop_size, keypoints) - 1) / (size_of(size, keypoints) - 1))


def _touches(centres: Tensor, reach: float, size: tuple[int, int]) -> Tensor:
    """Which squares (B, K) count as reaching the map; published code lets them end up to two cells before it."""
    return ((centres - reach < size_of(size, centres)) & (centres + reach > -2)).all(dim=-1)


def _outer(
    centres: Tensor, cells: Tensor, weights: Tensor, size: tuple[int, int], sigma: float, reach: float
) -> Tensor:
    """Gaussians (B, K, H, W) around `centres`, 0 farther than `reach` from `cells` and where the weight is 0."""
    x, y = (
        torch.exp(-steps.square() / (2 * sigma**2)) * (window.abs() <= reach)
        for steps, window in zip(_steps_from(centres, size), _steps_from(cells, size), strict=True)
    )
    y = y * (weights > 0)[..., None]
    return y.float()[..., :, None] * x.float()[..., None, :]


def _steps_from(centres: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Distances of columns (B, K, W) and rows (B, K, H) from centres (B, K, 2), cells."""
    return (
        numbered(size[0], centres) - centres[..., 0, None],
        numbered(size[1], centres) - centres[..., 1, None],
    )
