"""Non-maximum suppression by any similarity: greedy, or by merging poses.

`nms(box_iou(boxes, boxes), ...)` is box NMS, `nms(oks(keypoints, keypoints, ...), ...)` pose NMS.
"""

from __future__ import annotations

import numpy as np

# RMPE's parameters as published with AlphaPose for 17 joints, learnt from COCO; distances in pixels.
_SAME_PLACE_PX = 1.0  # below this distance, the scores of both joints count ...
_CONFIDENCE_SPREAD = 1.0  # ... through a tanh with this scale
_DISTANCE_WEIGHT, _DISTANCE_SPREAD_PX = 1.7, 2.65
_MIN_SIMILARITY = 22.48
_MIN_SHARED_JOINTS = 5
_REACH_OF_BOX = 0.1  # of the longer box side: largest distance of two estimates of one joint ...
_MAX_REACH_PX = 7.0  # ... at most this, to count as the same joint
_MAX_MERGE_REACH_PX = 15.0  # ... and at most this, to be merged
_MIN_BEST_JOINT = 0.3
_LEAST_SCORE = 1e-5  # of a joint with score 0, so that it has a weight


def nms(similarity: np.ndarray, scores: np.ndarray, threshold: float) -> np.ndarray:
    """Greedy non-maximum suppression.

    The row with the highest score is kept and rows more similar to it than `threshold` are removed, repeatedly.

    Args:
        similarity: (N, N) 0..1, any measure: box IoU gives box NMS, OKS gives pose NMS.
        scores: (N,); of equal scores the first row is kept.
        threshold: 0..1.

    Returns:
        the rows kept, highest score first.
    """
    order = np.argsort(-scores, kind="stable")
    alive = np.ones(len(scores), bool)
    kept = []
    for row in order:
        if alive[row]:
            kept.append(row)
            alive &= similarity[row] <= threshold
            alive[row] = False
    return np.array(kept, dtype=int)


def merge_poses(
    keypoints: np.ndarray, keypoint_scores: np.ndarray, boxes: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Parametric pose NMS with merging; not used by the pipeline yet.

    Fang et al. 2017, "RMPE: Regional Multi-person Pose Estimation", section 3.3, with the merging of AlphaPose's
    published code. The pose with the highest mean score is merged, joint by joint, with the poses similar to it,
    repeatedly. Useful if a detector gives a person several boxes: a joint hidden in one crop may be visible in another.
    Poses are similar if the soft count of equations 8 to 10 is high, or if five joints coincide. Poses without a joint
    of at least 0.3 are removed.

    Args:
        keypoints: (N, K, 2) pixels, NaN where missing. The parameters were learnt for 17 joints on COCO.
        keypoint_scores: (N, K) 0..1, 0 where missing.
        boxes: (N, 4) x1 y1 x2 y2 pixels; they give the size of each person.

    Returns:
        rows (M,) of the poses kept, highest mean score first; merged keypoints (M, K, 2); scores (M, K).
    """
    N, K, _ = keypoints.shape
    found = np.isfinite(keypoints).all(axis=2)
    scores = np.where(found, np.where(keypoint_scores == 0, _LEAST_SCORE, keypoint_scores), 0).astype(np.float64)
    quality = scores.mean(axis=1)
    reaches = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0) * _REACH_OF_BOX
    waiting = np.ones(N, bool)
    rows, poses, pose_scores = [], [], []
    while waiting.any():
        best = int(np.where(waiting, quality, -np.inf).argmax())
        apart = np.linalg.norm(keypoints - keypoints[best], axis=2)
        distances = np.where(np.isnan(apart), np.inf, apart)  # (N, K)
        group = waiting & _like(best, distances, scores, reaches[best])
        group[best] = True
        waiting &= ~group
        merged, merged_scores = _merged(keypoints[group], scores[group], distances[group], reaches[best])
        if scores[best].max(initial=0) >= _MIN_BEST_JOINT and merged_scores.max(initial=0) >= _MIN_BEST_JOINT:
            rows.append(best)
            poses.append(merged)
            pose_scores.append(merged_scores)
    return np.array(rows, int), np.array(poses).reshape(-1, K, 2), np.array(pose_scores).reshape(-1, K)


def _like(best: int, distances: np.ndarray, scores: np.ndarray, reach: float) -> np.ndarray:
    """Which poses (N,) are the same person as row `best`, by the distances (N, K) of their joints to its joints."""
    confidence = np.tanh(scores[best] / _CONFIDENCE_SPREAD) * np.tanh(scores / _CONFIDENCE_SPREAD)
    near = np.exp(-distances / _DISTANCE_SPREAD_PX).sum(axis=1)
    similarity = np.where(distances <= _SAME_PLACE_PX, confidence, 0).sum(axis=1) + _DISTANCE_WEIGHT * near
    shared = (distances <= min(reach, _MAX_REACH_PX)).sum(axis=1)
    return (similarity > _MIN_SIMILARITY) | (shared >= _MIN_SHARED_JOINTS)


def _merged(
    keypoints: np.ndarray, scores: np.ndarray, distances: np.ndarray, reach: float
) -> tuple[np.ndarray, np.ndarray]:
    """Mean (K, 2) and score (K,) of poses (G, K, 2): each joint averaged over the near ones, weighted by score."""
    masked = np.where(distances <= min(reach, _MAX_MERGE_REACH_PX), scores, 0)
    total = masked.sum(axis=0)
    weights = masked / np.where(total > 0, total, 1)
    mean = (np.where(masked[..., None] > 0, keypoints, 0) * weights[..., None]).sum(axis=0)
    return np.where((total > 0)[:, None], mean, np.nan), (masked * weights).sum(axis=0)
