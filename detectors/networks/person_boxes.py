"""Detectors of torchvision with batches of arrays as input and output."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_PERSON = 1
_MOST = 300  # boxes of all classes that any of torchvision's detectors gives for one image


class PersonBoxes(nn.Module):
    """Person boxes among the boxes of all classes.

    Images are processed one by one: torchvision pads all images of a call to the largest, which changes the results.

    Args:
        detector: takes a list of (3, H, W) in 0..1 and gives dicts with boxes, labels and scores.
    """

    def __init__(self, detector: nn.Module) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images (N, H, W, 3) uint8 RGB -> boxes (N, 300, 4) x1 y1 x2 y2 in their pixels, scores (N, 300), else 0."""
        boxes, scores = zip(*(self._find(image) for image in images.permute(0, 3, 1, 2).float() / 255), strict=True)
        return torch.stack(boxes), torch.stack(scores)

    def _find(self, image: Tensor) -> tuple[Tensor, Tensor]:
        (found,) = self.detector([image])
        people = found["labels"] == _PERSON
        boxes, scores = found["boxes"][people][:_MOST], found["scores"][people][:_MOST]
        spare = _MOST - len(scores)
        return F.pad(boxes, (0, 0, 0, spare)), F.pad(scores, (0, spare))
