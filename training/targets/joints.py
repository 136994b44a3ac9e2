"""What all targets need of the joints: weights of labelled ones, positions without NaN, counts on their device."""

from __future__ import annotations

import torch
from torch import Tensor


def labelled_weights(visibility: Tensor) -> Tensor:
    """Weights (B, K) float32: 1 for labelled joints, whether visible or occluded, and 0 for others."""
    return (visibility > 0).float()


def without_nan(keypoints: Tensor) -> Tensor:
    """Keypoints with 0 for coordinates that are NaN; joints that are not labelled may be."""
    return torch.nan_to_num(keypoints)


def numbered(count: int, like: Tensor) -> Tensor:
    """0, 1, ..., count - 1 on the device and of the dtype of another tensor."""
    return torch.arange(count, dtype=like.dtype, device=like.device)


def size_of(size: tuple[int, int], like: Tensor) -> Tensor:
    """Width and height (2,) on the device and of the dtype of another tensor."""
    return torch.tensor(size, dtype=like.dtype, device=like.device)
