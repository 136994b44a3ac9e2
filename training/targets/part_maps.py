"""Targets of convolutional pose machines: Gaussians in pixels, a background map, and the map of a person's centre.

Wei et al. 2016, "Convolutional Pose Machines", published Caffe code; OpenPose's first release has the same maps.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from training.targets.heatmaps import map_size
from training.targets.joints import labelled_weights, numbered, without_nan

_LARGEST_EXPONENT = math.log(100)  # Gaussians end at a hundredth of their height; as published, 4.6052
_TO_CELL_CENTRE = 0.5  # of the stride, less half a pixel


def part_maps(
    keypoints: Tensor, visibility: Tensor, crop_size: tuple[int, int], *, stride: int = 8, sigma_px: float = 7.0
) -> tuple[Tensor, Tensor]:
    """Maps of the joints of the person in each crop, and of the background: 1 less the highest map of a joint.

    Args:
        keypoints: (B, K, 2) x y, pixels of the crop.
        visibility: (B, K).
        crop_size: width and height, pixels.
        stride: pixels per cell; cell i is at pixel (i + 0.5) stride - 0.5.
        sigma_px: pixels.

    Returns:
        maps (B, K + 1, H, W) 0..1; weights (B, K + 1), 0 or 1. The background counts if a joint is labelled.
    """
    labelled = labelled_weights(visibility)
    maps = part_maps_of_people(keypoints[:, None], visibility[:, None], crop_size, stride=stride, sigma_px=sigma_px)
    return maps, torch.cat([labelled, labelled.amax(dim=1, keepdim=True)], dim=1)


def part_maps_of_people(
    keypoints: Tensor,
    visibility: Tensor,
    crop_size: tuple[int, int],
    *,
    stride: int = 8,
    sigma_px: float = 7.0,
    highest: bool = False,
) -> Tensor:
    """Maps of `part_maps` for several people in a crop: the sum of their Gaussians, at most 1.

    The authors train the first stage with all people in the crop, and later stages with the person in the middle.

    Args:
        keypoints: (B, people, K, 2) x y, pixels of the crop.
        visibility: (B, people, K).
        crop_size: width and height, pixels.
        stride: pixels per cell.
        sigma_px: pixels.
        highest: where several people overlap, take the highest Gaussian instead of the sum, as OpenPose since 2018.

    Returns:
        maps (B, K + 1, H, W) 0..1.
    """
    bumps = _bumps(without_nan(keypoints), map_size(crop_size, stride), stride, sigma_px)
    bumps = bumps * (visibility > 0)[..., None, None]
    maps = bumps.amax(dim=1) if highest else bumps.sum(dim=1).clamp(max=1)
    background = (1 - maps.amax(dim=1, keepdim=True)).clamp(min=0)
    return torch.cat([maps, background], dim=1)


def centre_maps(centres: Tensor, crop_size: tuple[int, int], *, sigma_px: float = 21.0) -> Tensor:
    """Gaussians (B, 1, height, width) around the centres (B, 2) of people: a fourth channel of the authors' CPM."""
    return _bumps(without_nan(centres)[:, None], crop_size, 1, sigma_px)


def _bumps(places: Tensor, size: tuple[int, int], stride: int, sigma_px: float) -> Tensor:
    """Gaussians (..., H, W) of height 1 around places (..., 2) in pixels, 0 below a hundredth."""
    first = _TO_CELL_CENTRE * stride - 0.5
    x, y = (numbered(size[axis], places) * stride + first - places[..., axis, None] for axis in range(2))
    exponents = (x.square()[..., None, :] + y.square()[..., :, None]) / (2 * sigma_px**2)
    return (torch.exp(-exponents) * (exponents <= _LARGEST_EXPONENT)).float()
