"""Parts of Li and Chan's network for 3-D poses (ACCV 2014), which detects joints in windows and regresses them.

The paper is without code, and widths of its network are not known, so there is no network here: these are its
normalisation within channels, its joints relative to their parents, and the sum of both losses.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional

H36M_PARENTS = (-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 9, 8, 11, 12, 8, 14, 15)
"""Of the 17 joints of Human3.6M."""
_WINDOW = 3


def normalised_within_channels(
    features: torch.Tensor, alpha: float, beta: float, *, padded: bool = False
) -> torch.Tensor:
    """Local response normalisation over 3 x 3 cells of the same channel: u / (1 + alpha * mean of u^2) ^ beta.

    Args:
        features: (N, C, H, W).
        alpha: weight of the mean.
        beta: exponent.
        padded: divide by 9 at the border too, where cells outside are 0, instead of by the number of cells inside.
    """
    means = functional.avg_pool2d(features**2, _WINDOW, stride=1, padding=_WINDOW // 2, count_include_pad=padded)
    return features / (1 + alpha * means) ** beta


def relative_to_parents(joints: torch.Tensor, parents: Sequence[int] = H36M_PARENTS) -> torch.Tensor:
    """Joints (..., K, D) minus their parents; the root, whose parent is -1, is 0."""
    own = torch.tensor([k if parent < 0 else parent for k, parent in enumerate(parents)], device=joints.device)
    return joints - joints.index_select(-2, own)


def regression_errors(predicted: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Squared distances (..., K) of joints (..., K, D), relative to their parents."""
    return ((predicted - target) ** 2).sum(dim=-1)


def detection_errors(predicted: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of each joint and window, between probabilities of the same shape."""
    return functional.binary_cross_entropy(predicted, target, reduction="none")


def two_task_loss(
    joints: torch.Tensor, joints_target: torch.Tensor, windows: torch.Tensor, windows_target: torch.Tensor
) -> torch.Tensor:
    """Half the sum of both tasks' errors over people, joints and windows: the paper's Phi, a sum and no mean.

    Args:
        joints: (N, K, 3) relative to their parents.
        joints_target: the same shape.
        windows: (N, K, L) probabilities that a joint lies in a window.
        windows_target: the same shape, 0 or 1.
    """
    return (regression_errors(joints, joints_target).sum() + detection_errors(windows, windows_target).sum()) / 2
