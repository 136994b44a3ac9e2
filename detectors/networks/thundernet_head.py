"""Geometry of ThunderNet's two stages on tensors: anchors, proposals, position-sensitive pooling, boxes of a class.

Paper: Qin et al. 2019, "ThunderNet: Towards Real-time Generic Object Detection". Sides follow the inclusive pixels of
the first Faster R-CNN: a box of width w ends at x1 + w - 1, its centre is at x1 + w / 2. Decoded boxes are centre
-+ half a side, without the - 1, as in the published port.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import nms

STRIDE = 16
"""Input pixels per cell of the feature map."""
BINS = 7
"""Bins of a pooled region along each side."""
Pooling = Literal["max", "mean"]

_RATIOS = (0.5, 0.75, 1, 4 / 3, 2)  # height over width
_SCALES = (2, 4, 8, 16, 32)
_SAMPLES = (0.25, 0.75)  # places of the samples in a bin
_MIN_SIDE = 0.1  # of a pooled region, in cells
_PROPOSAL_IOU = 0.7
_DELTA_SCALES = (0.1, 0.1, 0.2, 0.2)  # of the second stage
_MAX_LOG_SCALE = 10.0  # exp of a larger one overflows float16 and means nothing


def base_anchors() -> Tensor:
    """The anchors (25, 4) of the first cell, x1 y1 x2 y2 with inclusive pixels; the scale varies fastest."""
    sides = []
    for ratio in _RATIOS:
        width = round((STRIDE**2 / ratio) ** 0.5)
        sides += [(width * scale, round(width * ratio) * scale) for scale in _SCALES]
    half = (torch.tensor(sides, dtype=torch.float64) - 1) / 2
    middle = (STRIDE - 1) / 2
    return torch.cat([middle - half, middle + half], dim=1)


def grid_anchors(rows: int, columns: int, like: Tensor) -> Tensor:
    """The anchors (rows * columns * 25, 4) of a map, cell by cell in rows, with the type and device of `like`."""
    y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    shifts = torch.stack([x, y, x, y], dim=-1).reshape(-1, 1, 4) * STRIDE
    return (shifts + base_anchors()).reshape(-1, 4).to(like)


def decode_boxes(deltas: Tensor, boxes: Tensor) -> Tensor:
    """Boxes (..., 4) moved by deltas (..., 4): shift of the centre in sides, logarithms of the factors of the sides."""
    sides = boxes[..., 2:] - boxes[..., :2] + 1
    centres = boxes[..., :2] + sides / 2 + deltas[..., :2] * sides
    half = deltas[..., 2:].clamp(max=_MAX_LOG_SCALE).exp() * sides / 2
    return torch.cat([centres - half, centres + half], dim=-1)


def clip_boxes(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Boxes (..., 4) inside an image of this height and width: x in 0..width - 1, y in 0..height - 1."""
    limits = boxes.new_tensor([size[1] - 1, size[0] - 1] * 2)
    return torch.minimum(boxes.clamp(min=0), limits)


def foreground(rpn_cls: Tensor) -> Tensor:
    """Probability (N, 25, H, W) of an object from logits (N, 50, H, W): 25 of the background, then 25 of objects."""
    N, C, H, W = rpn_cls.shape
    return rpn_cls.reshape(N, 2, C // 2, H, W).softmax(dim=1)[:, 1]


def propose(rpn_cls: Tensor, rpn_reg: Tensor, size: tuple[int, int], count: int = 200) -> Tensor:
    """Regions that may contain an object, by the first stage.

    Args:
        rpn_cls: logits (N, 50, H, W), see `foreground`.
        rpn_reg: deltas (N, 100, H, W), four per anchor.
        size: height and width of the input, pixels.
        count: regions of each image after NMS.

    Returns:
        boxes (N, count, 4) in input pixels, likeliest first; rows of zeros behind the last one.
    """
    N, _, H, W = rpn_cls.shape
    scores = foreground(rpn_cls).permute(0, 2, 3, 1).reshape(N, -1)
    deltas = rpn_reg.permute(0, 2, 3, 1).reshape(N, -1, 4)
    boxes = clip_boxes(decode_boxes(deltas, grid_anchors(H, W, rpn_reg)), size)
    kept = [row[nms(row, score, _PROPOSAL_IOU)[:count]] for row, score in zip(boxes, scores, strict=True)]
    return torch.stack([F.pad(row, (0, 0, 0, count - len(row))) for row in kept])


def pool_regions(features: Tensor, regions: Tensor, pooling: Pooling = "max") -> Tensor:
    """Position-sensitive RoIAlign: each bin of a region reads channels of its own.

    A bin takes four bilinear samples. Output c of the bin in row i and column j reads channel (c * 7 + i) * 7 + j.

    Args:
        features: (N, C * 49, H, W) at stride 16.
        regions: (N, R, 4) boxes in input pixels.
        pooling: how a bin combines its samples: their maximum, for the weights of the published port, or their mean,
            as in the paper.

    Returns:
        (N, R, C, 7, 7).
    """
    N, _, H, W = features.shape
    maps = features.reshape(N, -1, BINS, BINS, H * W)
    corners = regions / STRIDE
    sides = (corners[..., 2:] - corners[..., :2]).clamp(min=_MIN_SIDE)
    bins = torch.arange(BINS, device=features.device)[:, None]
    steps = (bins + torch.tensor(_SAMPLES, device=features.device)).to(features) / BINS  # (7, 2)
    x = corners[..., 0, None, None] + sides[..., 0, None, None] * steps  # (N, R, 7, 2)
    y = corners[..., 1, None, None] + sides[..., 1, None, None] * steps
    values: Tensor = features.new_zeros(())
    for row, of_row in _neighbours(y, H):
        for column, of_column in _neighbours(x, W):
            cell = row[..., :, None, :, None] * W + column[..., None, :, None, :]  # (N, R, 7, 7, 2, 2)
            weight = of_row[..., :, None, :, None] * of_column[..., None, :, None, :]
            values = values + weight[:, :, None] * _read(maps, cell)
    samples = values.flatten(-2)
    return samples.amax(dim=-1) if pooling == "max" else samples.mean(dim=-1)


def _neighbours(places: Tensor, length: int) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """The cells before and after each place and their weights; weights of places a cell or more outside are 0."""
    inside = ((places >= -1) & (places <= length)).to(places)
    places = places.clamp(0, length - 1)
    before = places.floor()
    share = places - before
    after = (before + 1).clamp(max=length - 1)
    return (before.long(), (1 - share) * inside), (after.long(), share * inside)


def _read(maps: Tensor, cell: Tensor) -> Tensor:
    """The values (N, R, C, 7, 7, 2, 2) of maps (N, C, 7, 7, H * W) at cells (N, R, 7, 7, 2, 2)."""
    N, C = maps.shape[:2]
    R = cell.shape[1]
    index = cell.permute(0, 2, 3, 1, 4, 5).reshape(N, 1, BINS, BINS, -1).expand(-1, C, -1, -1, -1)
    read = maps.gather(-1, index)
    return read.view(N, C, BINS, BINS, R, 2, 2).permute(0, 4, 1, 2, 3, 5, 6)


def class_boxes(deltas: Tensor, regions: Tensor, class_id: int, size: tuple[int, int]) -> Tensor:
    """Boxes (N, R, 4) of a class from deltas (N, R, 4 * classes) on regions (N, R, 4), inside the input."""
    own = deltas[..., 4 * class_id : 4 * class_id + 4] * deltas.new_tensor(_DELTA_SCALES)
    return clip_boxes(decode_boxes(own, regions), size)
