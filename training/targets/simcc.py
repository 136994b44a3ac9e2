"""SimCC's labels: a vector of bins per joint and axis, with a Gaussian or a one around the joint's bin.

Li et al. 2022, "SimCC: a Simple Coordinate Classification Perspective for Human Pose Estimation"; RTMPose (Jiang et al.
2023). A joint that lies too far outside on one axis has weight 0 and no label on either axis.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from training.targets.joints import labelled_weights, numbered, size_of, without_nan

_REACH = 3  # sigmas
_SIDE_PER_VARIANCE = 8  # RTMPose: sigma^2 is an eighth of the side


def simcc_gaussians(
    keypoints: Tensor,
    visibility: Tensor,
    crop_size: tuple[int, int],
    *,
    bins_per_pixel: float = 2.0,
    sigma: tuple[float, float] | None = None,
    normalised: bool = False,
    rounded: bool = True,
) -> tuple[tuple[Tensor, Tensor], Tensor]:
    """Gaussians over all bins around the nearest bin.

    Args:
        keypoints: (B, K, 2) x y, pixels of the crop.
        visibility: (B, K).
        crop_size: width and height, pixels.
        bins_per_pixel: the paper's splitting factor k.
        sigma: bins, of x and y. None is RTMPose's rule, sqrt(side / 8) to two decimals: (4.9, 5.66) for 192 x 256.
        normalised: divide by sigma sqrt(2 pi), so that a vector adds up to about 1 (SimCC), instead of height 1
            (RTMPose).
        rounded: False for Gaussians around the exact position, as in the code of SimCC's authors, where a joint counts
            up to 3 sigma pixels, not bins, outside the crop.

    Returns:
        labels of x (B, K, bins) and of y (B, K, bins); weights (B, K), 0 or 1.
    """
    if sigma is None:
        sigma = (_rtmpose_sigma(crop_size[0]), _rtmpose_sigma(crop_size[1]))
    places = without_nan(keypoints)
    bins = places * bins_per_pixel
    counts = round(crop_size[0] * bins_per_pixel), round(crop_size[1] * bins_per_pixel)
    reach = _REACH * torch.tensor(sigma, dtype=places.dtype, device=places.device)
    if rounded:
        bins = torch.round(bins)  # to the even number at x.5
        touches = (bins - reach < size_of(counts, bins)) & (bins + reach >= -1)
    else:
        touches = (places - reach < size_of(crop_size, places)) & (places + reach > -2)
    weights = labelled_weights(visibility) * touches.all(dim=-1)
    labels = [
        _gaussian(bins[..., axis], counts[axis], sigma[axis], normalised) * weights[..., None] for axis in range(2)
    ]
    return (labels[0], labels[1]), weights


def simcc_smoothed_one_hot(
    keypoints: Tensor,
    visibility: Tensor,
    crop_size: tuple[int, int],
    *,
    bins_per_pixel: float = 2.0,
    smoothing: float = 0.1,
) -> tuple[tuple[Tensor, Tensor], Tensor]:
    """1 - `smoothing` at the nearest bin, and the rest shared by all others.

    Arguments and results are those of `simcc_gaussians`; a joint outside the crop has weight 0.
    """
    bins = torch.round(without_nan(keypoints) * bins_per_pixel)
    counts = round(crop_size[0] * bins_per_pixel), round(crop_size[1] * bins_per_pixel)
    inside = ((bins >= 0) & (bins < size_of(counts, bins))).all(dim=-1)
    weights = labelled_weights(visibility) * inside
    labels = []
    for axis, count in enumerate(counts):
        hot = F.one_hot(bins[..., axis].clamp(0, count - 1).long(), count)
        label = torch.where(hot > 0, 1 - smoothing, smoothing / (count - 1))
        labels.append(label * weights[..., None])
    return (labels[0], labels[1]), weights


def _rtmpose_sigma(side: int) -> float:
    return round(math.sqrt(side / _SIDE_PER_VARIANCE), 2)


def _gaussian(bins: Tensor, count: int, sigma: float, normalised: bool) -> Tensor:
    """Gaussians (B, K, count) around positions (B, K)."""
    heights = torch.exp(-(numbered(count, bins) - bins[..., None]).square() / (2 * sigma**2))
    return (heights / (sigma * math.sqrt(2 * math.pi)) if normalised else heights).float()
