"""Similarities of boxes (IoU) and of poses (object keypoint similarity, OKS).

`box_iou` and `oks` compare every person of one set with every person of another, (N, .) x (M, .) -> (N, M).
`joint_similarity` and `mean_joint_similarity` are the two steps of OKS for pairs that are chosen already: the distances
of joints, and their mean.
"""

from __future__ import annotations

import numpy as np

MIN_SHARED_JOINTS = 3
"""Joints that two poses must share for the offset between them to be known."""

MIN_AREA_PX = 1.0
"""Least area, in square pixels, that OKS divides by; so that a person with a single joint has a finite, strict OKS."""


def box_area(boxes: np.ndarray) -> np.ndarray:
    """Areas (N,) in square pixels of boxes (N, 4) x1 y1 x2 y2; 0 where x2 < x1 or y2 < y1."""
    return np.maximum(boxes[:, 2] - boxes[:, 0], 0) * np.maximum(boxes[:, 3] - boxes[:, 1], 0)


def box_intersection(boxes_a: np.ndarray, boxes_b: np.ndarray) -> np.ndarray:
    """Shared areas (N, M) in square pixels of boxes (N, 4) and (M, 4)."""
    width = np.minimum(boxes_a[:, 2:3], boxes_b[:, 2]) - np.maximum(boxes_a[:, 0:1], boxes_b[:, 0])
    height = np.minimum(boxes_a[:, 3:4], boxes_b[:, 3]) - np.maximum(boxes_a[:, 1:2], boxes_b[:, 1])
    return np.maximum(width, 0) * np.maximum(height, 0)


def box_iou(boxes_a: np.ndarray, boxes_b: np.ndarray) -> np.ndarray:
    """Intersection over union (N, M), 0..1, of boxes (N, 4) and (M, 4); 0 where both have no area."""
    shared = box_intersection(boxes_a, boxes_b)
    union = box_area(boxes_a)[:, None] + box_area(boxes_b)[None, :] - shared
    return shared / np.where(union > 0, union, np.inf)


def covered_share(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The largest share (N,), 0..1, of each box (N, 4) that one other box (M, 4) covers; 0 of boxes without area."""
    shared, areas = box_intersection(boxes, others).max(axis=1, initial=0), box_area(boxes)
    return shared / np.where(areas > 0, areas, np.inf)


def paired_box_iou(boxes_a: np.ndarray, boxes_b: np.ndarray) -> np.ndarray:
    """IoU (P,) of pairs of boxes (P, 4), row by row."""
    sides = np.minimum(boxes_a[:, 2:], boxes_b[:, 2:]) - np.maximum(boxes_a[:, :2], boxes_b[:, :2])
    sides = np.maximum(sides, 0)
    intersection = sides[:, 0] * sides[:, 1]
    sides_a, sides_b = boxes_a[:, 2:] - boxes_a[:, :2], boxes_b[:, 2:] - boxes_b[:, :2]
    union = sides_a[:, 0] * sides_a[:, 1] + sides_b[:, 0] * sides_b[:, 1] - intersection
    return intersection / np.where(union > 0, union, np.inf)


def keypoint_boxes(keypoints: np.ndarray) -> np.ndarray:
    """Bounding boxes (N, 4) of keypoints (N, K, 2); missing joints do not count; NaN for people without any."""
    missing = np.isnan(keypoints)
    low = np.where(missing, np.inf, keypoints).min(axis=1, initial=np.inf)
    high = np.where(missing, -np.inf, keypoints).max(axis=1, initial=-np.inf)
    boxes = np.concatenate([low, high], axis=1)
    return np.where(np.isfinite(boxes), boxes, np.nan)


def grown_boxes(boxes: np.ndarray, margin: float) -> np.ndarray:
    """Boxes (N, 4) enlarged about their centres: each side grows by the share `margin`."""
    reach = (boxes[:, 2:] - boxes[:, :2]) * (margin / 2)
    return np.concatenate([boxes[:, :2] - reach, boxes[:, 2:] + reach], axis=1)


def joint_similarity(
    offsets: np.ndarray, areas: np.ndarray, variances: np.ndarray, *, min_area_px: float = MIN_AREA_PX
) -> np.ndarray:
    """Per-joint term of the object keypoint similarity: exp(-d^2 / (2 area variance)).

    The one implementation of OKS: `oks`, association and the evaluation all use it. `variances` is divided by before
    `areas`, as in COCO's own code, so that evaluation figures agree with it to the last bit.

    Args:
        offsets: (..., K, 2) pixels from one pose's joints to the other's; NaN where either lacks the joint.
        areas: (...) square pixels, size of the person.
        variances: (K,) or (..., K) spread of each joint, as a share of the area: (2 sigma)^2, plus whatever else makes
            the place of the joint uncertain.
        min_area_px: smaller areas count as this. A person with a single joint has a box of area 0, by which nothing can
            be divided; COCO adds `np.spacing(1)` to all areas instead (add it to `areas`, and give 0 here).

    Returns:
        (..., K), 0..1; NaN where `offsets` is.
    """
    squared = np.einsum("...kd,...kd->...k", offsets, offsets) / variances
    squared /= (-2 * np.maximum(areas, min_area_px))[..., None]
    return np.exp(squared, out=squared)


def mean_joint_similarity(
    similarity: np.ndarray, weights: np.ndarray | None = None, *, none_shared: float = np.nan
) -> np.ndarray:
    """OKS: the mean over the joints that both poses have.

    Args:
        similarity: (..., K) of `joint_similarity`; NaN where a joint is missing. Set a joint to 0 to count it as wrong.
        weights: (..., K) weight of each joint, 0 or more; all count alike if not given.
        none_shared: value where the poses share no joint, or none with a weight.

    Returns:
        (...), 0..1.
    """
    shared = ~np.isnan(similarity)
    values = np.where(shared, similarity, 0.0)
    if weights is None:
        total, count = values.sum(axis=-1), shared.sum(axis=-1)
    else:
        total = np.einsum("...k,...k->...", weights, values)
        count = np.einsum("...k,...k->...", weights, shared)
    return np.where(count > 0, total / np.where(count > 0, count, 1), none_shared)


def oks(
    keypoints_a: np.ndarray,
    keypoints_b: np.ndarray,
    areas: np.ndarray,
    sigmas: np.ndarray | tuple[float, ...],
    *,
    min_area_px: float = MIN_AREA_PX,
    none_shared: float = 0.0,
) -> np.ndarray:
    """Object keypoint similarity of COCO's keypoint task, of every pose of `a` with every pose of `b`.

    Args:
        keypoints_a: (N, K, 2) pixels, NaN where missing.
        keypoints_b: (M, K, 2) pixels, NaN where missing.
        areas: square pixels: (M,) of each person of `b`, usually the area of its box, or (N, M) of each pair.
        sigmas: (K,) or (M, K) the skeleton's OKS sigmas; (M, K) where they differ from person to person.
        min_area_px: smaller areas count as this.
        none_shared: similarity of poses that share no joint.

    Returns:
        (N, M), 0..1.
    """
    variances = (2 * np.asarray(sigmas)) ** 2
    similarity = joint_similarity(keypoints_a[:, None] - keypoints_b, areas, variances, min_area_px=min_area_px)
    return mean_joint_similarity(similarity, none_shared=none_shared)


def median_offsets(offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The offset between two poses as a whole: the median over their joints, half of which may be wrong.

    Args:
        offsets: (P, K, 2) pixels from one pose's joints to the other's, NaN where either lacks the joint.

    Returns:
        (P, 2) pixels, NaN where no joint is shared; (P,) bool, whether there are joints enough.
    """
    count = offsets.shape[1] - np.isnan(offsets[:, :, 0]).sum(axis=1)
    ordered = np.sort(offsets, axis=1)  # NaN last
    pairs, last = np.arange(len(offsets)), np.maximum(count - 1, 0)
    return (ordered[pairs, last // 2] + ordered[pairs, (last + 1) // 2]) / 2, count >= MIN_SHARED_JOINTS
