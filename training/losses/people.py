"""Losses of bottom-up networks: tags that are equal in a person and differ between people, and OpenPose's stages."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from training.losses.precision import precise


def pull_and_push(tags: Tensor, places: Tensor, has_place: Tensor) -> tuple[Tensor, Tensor]:
    """The two losses of associative embedding, (B,) each.

    Newell, Huang, Deng 2017, "Associative Embedding", equation 1: pull is the mean over people of the mean squared
    distance between the tags of their joints and their mean tag, push half the mean over pairs of people of
    exp(-d^2) for the distance d of their mean tags; 0 for fewer than two people.

    Args:
        tags: (B, K, H, W).
        places: (B, P, K) positions in the row-major map of each joint.
        has_place: (B, P, K) bool.

    Returns:
        pull (B,), push (B,).
    """
    flat = precise(tags).flatten(2)[:, None].expand(-1, places.shape[1], -1, -1)  # (B, P, K, H W)
    at = flat.gather(3, places[..., None])[..., 0]
    weights = has_place.to(at.dtype)
    joints = weights.sum(dim=2)
    means = (at * weights).sum(dim=2) / joints.clamp(min=1)
    is_person = (joints > 0).to(at.dtype)
    people = is_person.sum(dim=1)
    spread = ((at - means[..., None]).square() * weights).sum(dim=2) / joints.clamp(min=1)
    pull = (spread * is_person).sum(dim=1) / people.clamp(min=1)
    near = torch.exp(-(means[:, :, None] - means[:, None]).square()) * is_person[:, :, None] * is_person[:, None]
    others = near.sum(dim=(1, 2)) - torch.diagonal(near, dim1=1, dim2=2).sum(dim=1)
    return pull, 0.5 * others / (people * (people - 1)).clamp(min=1)


def masked_mse(outputs: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Mean squared error over images, maps and cells; cells outside the mask (B, H, W) count as right."""
    return ((precise(outputs) - target).square() * mask[:, None]).mean()


def staged_half_squared_sum(stages: Sequence[Tensor], target: Tensor, mask: Tensor) -> Tensor:
    """Sum over stages of half the summed squared errors inside the mask (B, H, W), averaged over images.

    Cao et al. 2017, equations 5 and 6, as Caffe's Euclidean loss computes it; see `losses.heatmaps.half_squared_sum`.
    """
    losses = [((precise(each) - target).square() * mask[:, None]).sum(dim=(1, 2, 3)).mean() / 2 for each in stages]
    return torch.stack(losses).sum()
