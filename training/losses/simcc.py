"""Loss of SimCC's vectors: Kullback-Leibler divergence of their softmax from the labels."""

from __future__ import annotations

import torch
from torch import Tensor

from training.losses.precision import precise


def simcc_kl(
    outputs: tuple[Tensor, Tensor],
    target: tuple[Tensor, Tensor],
    weights: Tensor,
    *,
    beta: float = 10.0,
    softmax_labels: bool = True,
) -> Tensor:
    """Divergences averaged over the bins of each axis, the joints and the images, and added over the axes.

    The defaults are those of RTMPose (Jiang et al. 2023), whose labels have height 1; its code adds up images instead
    of averaging them. SimCC (Li et al. 2022), with labels that add up to 1, has `beta` 1 and `softmax_labels` False. An
    axis with fewer bins weighs more, as published.

    Args:
        outputs: of x (B, K, bins) and of y (B, K, bins).
        target: labels of the same shapes.
        weights: (B, K).
        beta: factor on outputs, and on labels with `softmax_labels`, before the softmax.
        softmax_labels: whether labels become distributions by a softmax; otherwise they are distributions.
    """
    losses = []
    for vectors, labels in zip(outputs, target, strict=True):
        logs = (beta * precise(vectors)).log_softmax(dim=2)
        shares = (beta * labels.to(logs)).softmax(dim=2) if softmax_labels else labels.to(logs)
        losses.append(weights * (torch.xlogy(shares, shares) - shares * logs).mean(dim=2))
    return (losses[0] + losses[1]).mean()
