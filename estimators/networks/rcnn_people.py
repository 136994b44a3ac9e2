"""Keypoint R-CNN of torchvision with batches of arrays as input and output."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_MOST = 100  # people that it gives for one image


class RcnnPeople(nn.Module):
    """All people, padded to the largest possible number of rows.

    Images are processed one by one: torchvision pads all images of a call to the largest, which changes the results.

    Args:
        network: takes a list of (3, H, W) in 0..1 and gives dicts.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """(N, H, W, 3) uint8 RGB -> boxes (N, 100, 4), scores (N, 100), joints (N, 100, 17, 2), logits (N, 100, 17)."""
        found = [self._find(image) for image in images.permute(0, 3, 1, 2).float() / 255]
        return tuple(torch.stack(parts) for parts in zip(*found, strict=True))

    def _find(self, image: Tensor) -> list[Tensor]:
        (people,) = self.network([image])
        parts = people["boxes"], people["scores"], people["keypoints"][..., :2], people["keypoints_scores"]
        return [_filled_up(part[:_MOST]) for part in parts]


def _filled_up(part: Tensor) -> Tensor:
    """(M, ...) -> (100, ...), zeros behind."""
    return F.pad(part, (0, 0) * (part.ndim - 1) + (0, _MOST - len(part)))
