"""The loss of PoseFix: where each joint is, as a distribution over cells and as its mean.

Moon, Chang and Lee 2019, "PoseFix", section 4: cross-entropy of the softmax over the cells against a bilinear one-hot
map, and the absolute error of the expected place.
"""

from __future__ import annotations

import torch
from torch import Tensor

from estimators.networks.posefix import expected_cells
from training.losses.precision import precise


def posefix(outputs: Tensor, cells: Tensor, weights: Tensor) -> Tensor:
    """Mean over the joints that count of the cross-entropy, and of the absolute errors in cells, added.

    Args:
        outputs: (B, K, H, W) logits.
        cells: (B, K, 2) x y of the joints in cells, (3, 5) being the centre of outputs[..., 5, 3].
        weights: (B, K); joints outside the map have weight 0.
    """
    logits = precise(outputs)
    H, W = logits.shape[2:]
    last = torch.tensor([W - 1, H - 1], device=logits.device)
    inside = ((cells >= 0) & (cells <= last)).all(dim=-1)
    weights = weights * inside
    places = torch.where(inside[..., None], cells, torch.zeros_like(cells)).to(logits)
    count = weights.sum().clamp(min=1)
    logs = logits.flatten(2).log_softmax(dim=2)
    low = places.floor().long()
    entropy = torch.zeros_like(weights, dtype=logs.dtype)
    for dx, dy in ((0, 0), (1, 0), (0, 1), (1, 1)):
        corner = (low + torch.tensor([dx, dy], device=logits.device)).minimum(last)
        share = (1 - (places - low - torch.tensor([dx, dy], device=logits.device)).abs()).prod(dim=-1)
        column = (corner[..., 1] * W + corner[..., 0])[..., None]
        entropy = entropy - share * logs.gather(2, column)[..., 0]
    error = (expected_cells(logits) - places).abs().mean(dim=-1)
    return (weights * (entropy + error)).sum() / count
