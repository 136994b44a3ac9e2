"""Wraps detectors of torchvision: takes and returns batches of tensors, keeps persons only.

Input: images (N, H, W, 3) uint8 RGB; torchvision normalises and scales them. Outputs: boxes (N, 300, 4) and scores
(N, 300). torchvision's weights are under BSD-3-Clause.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_PERSON = 1
_MAX_BOXES = 300  # of all classes in one image; torchvision's detectors return no more


class PersonBoxes(nn.Module):
    """Selects the boxes of persons from those of all classes.

    Images are processed one by one: torchvision pads all images of a call to the largest, which changes the results.

    Args:
        detector: maps a list of images (3, H, W) in 0..1 to dicts with boxes, labels and scores.
    """

    def __init__(self, detector: nn.Module) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images (N, H, W, 3) uint8 RGB -> boxes (N, 300, 4) x1 y1 x2 y2 in pixels, scores (N, 300); padded with 0."""
        boxes, scores = zip(*(self._find(image) for image in images.permute(0, 3, 1, 2).float() / 255), strict=True)
        return torch.stack(boxes), torch.stack(scores)

    def _find(self, image: Tensor) -> tuple[Tensor, Tensor]:
        (found,) = self.detector([image])
        people = found["labels"] == _PERSON
        boxes, scores = found["boxes"][people][:_MAX_BOXES], found["scores"][people][:_MAX_BOXES]
        spare = _MAX_BOXES - len(scores)
        return F.pad(boxes, (0, 0, 0, spare)), F.pad(scores, (0, spare))
