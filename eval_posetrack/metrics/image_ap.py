"""Keypoint AP and AR of people in single images, with areas, crowds and joints of their own, as COCO computes them.

`oks_ap` has the definition, for PoseTrack's joints. As in COCO's evaluation, people without a labelled joint and crowds
are ignored: a pose that matches one is neither right nor wrong. The OKS of a pose and a person without labelled joints
is 1 where all its joints lie within the person's box enlarged by its size on each side, and falls with their distance
from it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eval_posetrack.metrics.match import same_frame_pairs
from eval_posetrack.metrics.oks_ap import AREAS_PX, MOST_POSES_PER_FRAME, OksCounts, match_poses
from posetrail.poses import Rows
from posetrail.similarity import box_area, joint_similarity, keypoint_boxes, mean_joint_similarity

_IMAGES_PER_STEP = 100  # 133 joints of all pairs of many images would not fit in memory


@dataclass(frozen=True, eq=False)
class AnnotatedPeople(Rows):
    """People of the ground truth, image by image."""

    images: np.ndarray  # (N,) int64, ascending: number of the image
    keypoints: np.ndarray  # (N, K, 2) pixels, NaN where not labelled
    boxes: np.ndarray  # (N, 4) x1 y1 x2 y2 pixels
    areas: np.ndarray  # (N,) square pixels
    is_crowd: np.ndarray  # (N,) bool


@dataclass(frozen=True, eq=False)
class PredictedPeople(Rows):
    """Predicted people, image by image."""

    images: np.ndarray  # (M,) int64, ascending
    keypoints: np.ndarray  # (M, K, 2) pixels, NaN where missing
    scores: np.ndarray  # (M,)


def count_images(
    ground_truth: AnnotatedPeople, predictions: PredictedPeople, sigmas: np.ndarray | tuple[float, ...]
) -> OksCounts:
    """Every pose with its outcome.

    Args:
        ground_truth: the annotated people.
        predictions: the predicted ones; of each image, the 20 with the highest scores count.
        sigmas: (K,) OKS sigmas.
    """
    variances = (2 * np.asarray(sigmas, float)) ** 2
    last = max(ground_truth.images.max(initial=-1), predictions.images.max(initial=-1))
    parts = []
    for first in range(0, int(last) + 1, _IMAGES_PER_STEP):
        ends = [first, first + _IMAGES_PER_STEP]
        people = ground_truth[slice(*np.searchsorted(ground_truth.images, ends))]
        poses = predictions[slice(*np.searchsorted(predictions.images, ends))]
        parts.append(_count(people, poses, first, variances))
    return OksCounts.join(parts)


def _count(ground_truth: AnnotatedPeople, predictions: PredictedPeople, first: int, variances: np.ndarray) -> OksCounts:
    predictions, ranks = _best(predictions)
    rows, columns = ground_truth.images - first, predictions.images - first
    positions = np.arange(len(rows)) - np.searchsorted(rows, rows)
    shape = (_IMAGES_PER_STEP, MOST_POSES_PER_FRAME, int(positions.max(initial=0)) + 1)
    oks = np.full(shape, -1.0)  # images, poses by rank, annotated people by position in their image
    for g, p in same_frame_pairs(rows, columns, _IMAGES_PER_STEP):
        oks[columns[p], ranks[p], positions[g]] = _similarity(ground_truth[g], predictions.keypoints[p], variances)
    candidates = (
        shape[2] - 1 - np.argsort(-oks[:, :, ::-1], axis=2, kind="stable")
    )  # of equal ones the last, as in COCO
    oks = np.take_along_axis(oks, candidates, axis=2)
    unlabelled = ~np.isfinite(ground_truth.keypoints).all(axis=2).any(axis=1)
    crowds = np.zeros(shape[::2], bool)
    crowds[rows, positions] = ground_truth.is_crowd
    predicted_areas = np.nan_to_num(box_area(keypoint_boxes(predictions.keypoints)))
    correct, ignored, people = [], [], []
    for low, high in AREAS_PX.values():
        not_scored = np.zeros(shape[::2], bool)
        other_size = (ground_truth.areas < low) | (ground_truth.areas > high)
        not_scored[rows, positions] = unlabelled | ground_truth.is_crowd | other_size
        matched, to_ignored = match_poses(candidates, oks, not_scored, crowds)
        of_predictions = matched[columns, ranks]
        predicted_other_size = ((predicted_areas < low) | (predicted_areas > high))[:, None]
        correct.append(of_predictions)
        ignored.append(to_ignored[columns, ranks] | (~of_predictions & predicted_other_size))
        people.append(len(rows) - int(not_scored.sum()))
    return OksCounts(predictions.scores, np.stack(correct, axis=1), np.stack(ignored, axis=1), np.array(people))


def _best(predictions: PredictedPeople) -> tuple[PredictedPeople, np.ndarray]:
    """The 20 poses with the highest scores of each image, highest first, and their ranks 0..19."""
    predictions = predictions[np.lexsort((-predictions.scores, predictions.images))]
    ranks = np.arange(len(predictions)) - np.searchsorted(predictions.images, predictions.images)
    kept = ranks < MOST_POSES_PER_FRAME
    return predictions[kept], ranks[kept]


def _similarity(people: AnnotatedPeople, keypoints: np.ndarray, variances: np.ndarray) -> np.ndarray:
    """(P,) OKS of annotated people and poses (P, K, 2), pair by pair; a missing joint contributes 0."""
    labelled = np.isfinite(people.keypoints).all(axis=2)
    areas = people.areas + np.spacing(1)  # as COCO's code

    def of(offsets: np.ndarray) -> np.ndarray:
        return joint_similarity(offsets, areas, variances, min_area_px=0.0)

    similarity = of(people.keypoints - keypoints)
    similarity = np.where(labelled & np.isnan(similarity), 0.0, similarity)
    sizes = people.boxes[:, 2:] - people.boxes[:, :2]
    low, high = (people.boxes[:, :2] - sizes)[:, None], (people.boxes[:, 2:] + sizes)[:, None]
    outside = np.nan_to_num(of(np.maximum(low - keypoints, 0) + np.maximum(keypoints - high, 0)))
    return mean_joint_similarity(np.where(labelled.any(axis=1)[:, None], similarity, outside))
