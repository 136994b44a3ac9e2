"""Wraps Keypoint R-CNN of torchvision, a bottom-up network: takes and returns batches of tensors.

Input: images (N, H, W, 3) uint8 RGB; torchvision normalises and scales them. Outputs: boxes, scores, joints and their
logits of 100 people per image, see `RcnnPeople.forward`. torchvision's weights are under BSD-3-Clause.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_MAX_PEOPLE = 100  # in one image; torchvision returns no more


class RcnnPeople(nn.Module):
    """Keypoint R-CNN whose outputs are padded to 100 people per image.

    Images are processed one by one: torchvision pads all images of a call to the largest, which changes the results.

    Args:
        network: maps a list of images (3, H, W) in 0..1 to dicts.
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
        return [_padded(part[:_MAX_PEOPLE]) for part in parts]


def _padded(part: Tensor) -> Tensor:
    """(M, ...) -> (100, ...), padded with zeros."""
    return F.pad(part, (0, 0) * (part.ndim - 1) + (0, _MAX_PEOPLE - len(part)))
