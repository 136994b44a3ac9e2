"""Targets of bottom-up networks: maps of all people's joints, places of their tags, and fields along their limbs.

Every function takes the joints of the people in an image, keypoints (B, P, K, 2) in pixels of it and visibility
(B, P, K), with visibility 0 for joints that are not labelled and in rows without a person.
"""

from __future__ import annotations

import torch
from torch import Tensor

from training.targets.joints import numbered, size_of, without_nan

_TAG_REACH = 3.0  # sigmas, and one cell more
_FIELD_WIDTH = 1.0  # cells to both sides of a limb, and beyond its ends


def people_maps(
    keypoints: Tensor, visibility: Tensor, size: tuple[int, int], *, stride: float, sigma: float = 2.0
) -> Tensor:
    """Gaussians around the cells that contain joints; where those of several people overlap, the highest counts.

    Cheng et al. 2020, "HigherHRNet", published code; a joint in a cell outside the map has none.

    Args:
        keypoints: (B, P, K, 2) pixels.
        visibility: (B, P, K).
        size: width and height of the maps, cells.
        stride: pixels per cell.
        sigma: cells.

    Returns:
        maps (B, K, H, W) 0..1.
    """
    cells, inside = _cells(keypoints, visibility, size, stride)
    reach = _TAG_REACH * sigma + 1
    x, y = (numbered(size[axis], keypoints) - cells[..., axis, None] for axis in range(2))
    columns, rows = (torch.exp(-each.square() / (2 * sigma**2)) * (each.abs() <= reach) for each in (x, y))
    bumps = rows[..., :, None] * columns[..., None, :] * inside[..., None, None]
    return bumps.amax(dim=1).float()


def tag_places(keypoints: Tensor, visibility: Tensor, size: tuple[int, int], *, stride: float) -> tuple[Tensor, Tensor]:
    """Where the tag of each joint is read: positions (B, P, K) in a row-major map, and whether there is one, bool.

    Arguments are those of `people_maps`.
    """
    cells, inside = _cells(keypoints, visibility, size, stride)
    places = (cells[..., 1] * size[0] + cells[..., 0]).long()
    return places.where(inside, places.new_zeros(())), inside


def _cells(keypoints: Tensor, visibility: Tensor, size: tuple[int, int], stride: float) -> tuple[Tensor, Tensor]:
    """Cells (B, P, K, 2), and whether the joint is labelled and its cell in the map."""
    cells = torch.trunc(without_nan(keypoints) / stride)
    return cells, (visibility > 0) & ((cells >= 0) & (cells < size_of(size, cells))).all(dim=-1)


def limb_fields(
    keypoints: Tensor, visibility: Tensor, limbs: Tensor, size: tuple[int, int], *, stride: int = 8
) -> Tensor:
    """Part affinity fields: unit vectors along the limbs, averaged where limbs of several people overlap.

    Cao et al. 2017, section 2.3, with the cells of OpenPose's own training code: a cell belongs to a limb if its corner
    is within a cell of the line, and in the box around its ends that is a cell larger.

    Args:
        keypoints: (B, P, K, 2) pixels.
        visibility: (B, P, K).
        limbs: (L, 2) start and end joint.
        size: width and height of the maps, cells.
        stride: pixels per cell.

    Returns:
        fields (B, 2 L, H, W), x and y of the first limb, then of the next.
    """
    cells = without_nan(keypoints) / stride
    start, end = cells[:, :, limbs[:, 0]], cells[:, :, limbs[:, 1]]  # (B, P, L, 2)
    length = torch.linalg.vector_norm(end - start, dim=-1)
    labelled = ((visibility[:, :, limbs] > 0).all(dim=-1)) & (length > 0)
    unit = (end - start) / length.clamp(min=1e-9)[..., None]
    x, y = (numbered(size[axis], cells) for axis in range(2))
    low = _rounded(torch.minimum(start, end) - _FIELD_WIDTH)[..., None]
    high = _rounded(torch.maximum(start, end) + _FIELD_WIDTH)[..., None]
    in_x = (x >= low[..., 0, :]) & (x < high[..., 0, :])
    in_y = (y >= low[..., 1, :]) & (y < high[..., 1, :])
    dx, dy = x - start[..., 0, None], y - start[..., 1, None]
    across = dx[..., None, :] * unit[..., 1, None, None] - dy[..., :, None] * unit[..., 0, None, None]
    near = across.abs() <= _FIELD_WIDTH
    on = near & in_x[..., None, :] & in_y[..., :, None] & labelled[..., None, None]  # (B, P, L, H, W)
    total = torch.einsum("bplhw,bplc->blchw", on.to(unit.dtype), unit)
    count = on.sum(dim=1).clamp(min=1)
    return (total / count[:, :, None]).flatten(1, 2).float()


def _rounded(values: Tensor) -> Tensor:
    """Nearest integers, halves away from 0."""
    return torch.sign(values) * torch.floor(values.abs() + 0.5)
