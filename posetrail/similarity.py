"""How alike two sets of people are: box IoU and OKS, (N, .) x (M, .) -> (N, M)."""

from __future__ import annotations

import numpy as np

# A person of one joint has a box without area; OKS divides by it. One pixel squared keeps it finite and strict.
_MIN_AREA_PX = 1.0


def box_area(boxes: np.ndarray) -> np.ndarray:
    """Areas (N,) in square pixels of boxes (N, 4) x1 y1 x2 y2; 0 for boxes turned inside out."""
    return np.maximum(boxes[:, 2] - boxes[:, 0], 0) * np.maximum(boxes[:, 3] - boxes[:, 1], 0)


def box_intersection(boxes_a: np.ndarray, boxes_b: np.ndarray) -> np.ndarray:
    """Shared areas (N, M) in square pixels of boxes (N, 4) and (M, 4)."""
    width = np.minimum(boxes_a[:, 2:3], boxes_b[:, 2]) - np.maximum(boxes_a[:, 0:1], boxes_b[:, 0])
    height = np.minimum(boxes_a[:, 3:4], boxes_b[:, 3]) - np.maximum(boxes_a[:, 1:2], boxes_b[:, 1])
    return np.maximum(width, 0) * np.maximum(height, 0)


def box_iou(boxes_a: np.ndarray, boxes_b: np.ndarray) -> np.ndarray:
    """Intersection over union (N, M), 0..1, of boxes (N, 4) and (M, 4); 0 where both are without area."""
    shared = box_intersection(boxes_a, boxes_b)
    union = box_area(boxes_a)[:, None] + box_area(boxes_b)[None, :] - shared
    return shared / np.where(union > 0, union, np.inf)


def keypoint_boxes(keypoints: np.ndarray) -> np.ndarray:
    """Bounding boxes (N, 4) of joints (N, K, 2), missing ones (NaN) left out; NaN for people without any joint."""
    missing = np.isnan(keypoints)
    low = np.where(missing, np.inf, keypoints).min(axis=1, initial=np.inf)
    high = np.where(missing, -np.inf, keypoints).max(axis=1, initial=-np.inf)
    boxes = np.concatenate([low, high], axis=1)
    return np.where(np.isfinite(boxes), boxes, np.nan)


def grown_boxes(boxes: np.ndarray, margin: float) -> np.ndarray:
    """Boxes (N, 4) whose sides are longer by the share `margin`, half of it at each end."""
    reach = (boxes[:, 2:] - boxes[:, :2]) * (margin / 2)
    return np.concatenate([boxes[:, :2] - reach, boxes[:, 2:] + reach], axis=1)


def oks(
    keypoints_a: np.ndarray,
    keypoints_b: np.ndarray,
    areas: np.ndarray,
    sigmas: np.ndarray | tuple[float, ...],
) -> np.ndarray:
    """Object keypoint similarity as COCO defines it: the mean over joints of exp(-d^2 / (2 area (2 sigma)^2)).

    The mean goes over the joints both people have; it is 0 where they share none.

    Args:
        keypoints_a: (N, K, 2) pixels, NaN where missing.
        keypoints_b: (M, K, 2) pixels, NaN where missing.
        areas: square pixels: (M,) the size of each person of `b`, usually the area of its box, or (N, M) of each pair.
        sigmas: (K,) or (M, K) the skeleton's per-joint spread; (M, K) lets it differ per person.

    Returns:
        (N, M), 0..1.
    """
    squared = ((keypoints_a[:, None] - keypoints_b[None]) ** 2).sum(axis=3)  # (N, M, K)
    spread = (2 * np.broadcast_to(sigmas, keypoints_b.shape[:2])) ** 2
    sizes = np.broadcast_to(np.maximum(areas, _MIN_AREA_PX), squared.shape[:2])
    with np.errstate(invalid="ignore"):
        e = squared / (2 * sizes[..., None] * spread[None])
        shared = np.isfinite(e)
        alike = np.where(shared, np.exp(-np.where(shared, e, 0.0)), 0.0)
    return alike.sum(axis=2) / np.maximum(shared.sum(axis=2), 1)
