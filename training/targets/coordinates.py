"""Coordinates as targets: positions of joints as shares of the crop (DeepPose, RLE, integral regression)."""

from __future__ import annotations

from torch import Tensor

from training.targets.heatmaps import gaussian_maps
from training.targets.joints import labelled_weights, size_of, without_nan

_TINY = 1e-24  # keeps empty maps empty


def relative_coordinates(
    keypoints: Tensor, visibility: Tensor, crop_size: tuple[int, int], *, outside: bool = False
) -> tuple[Tensor, Tensor]:
    """Positions relative to the width and height of the crop.

    As in MMPose. The code of RLE's authors has the same numbers less 0.5, and regresses joints outside the crop too.

    Args:
        keypoints: (B, K, 2) x y, pixels of the crop.
        visibility: (B, K).
        crop_size: width and height, pixels.
        outside: whether joints outside the crop are regressed; by default they have weight 0.

    Returns:
        positions (B, K, 2), 0..1 inside the crop; weights (B, K), 0 or 1.
    """
    places = without_nan(keypoints)
    size = size_of(crop_size, places)
    weights = labelled_weights(visibility)
    if not outside:
        weights = weights * ((places >= 0) & (places <= size - 1)).all(dim=-1)
    return (places / size).float(), weights


def integral_targets(
    keypoints: Tensor, visibility: Tensor, crop_size: tuple[int, int], *, stride: int = 4, sigma: float = 2.0
) -> tuple[tuple[Tensor, Tensor], Tensor]:
    """Positions, and distributions over the cells of a map around them: heatmaps divided by their sums.

    Sun et al. 2018, "Integral Human Pose Regression"; published in MMPose.

    Args:
        keypoints: (B, K, 2) x y, pixels of the crop.
        visibility: (B, K).
        crop_size: width and height, pixels.
        stride: pixels per cell.
        sigma: cells.

    Returns:
        positions (B, K, 2) of `relative_coordinates`; maps (B, K, H, W) of `heatmaps.gaussian_maps`, each with the sum
        1 or empty; weights (B, K), 0 for joints outside the crop.
    """
    positions, weights = relative_coordinates(keypoints, visibility, crop_size)
    maps, _ = gaussian_maps(keypoints, visibility, crop_size, stride=stride, sigma=sigma)
    return (positions, maps / (maps.sum(dim=(2, 3), keepdim=True) + _TINY)), weights
