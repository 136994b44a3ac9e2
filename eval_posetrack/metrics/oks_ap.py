"""Keypoint AP and AR as in COCO: poses matched by object keypoint similarity (OKS) at ten thresholds.

Lin et al., "Microsoft COCO: common objects in context", 2014, and the keypoint task's definition: OKS is the mean over
annotated joints of exp(-d^2 / (2 area (2 sigma)^2)). Of at most 20 poses per frame, highest score first, each takes the
free person with the highest OKS above the threshold; precision is averaged at 101 recalls. A joint that a predicted
pose lacks contributes 0.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from eval_posetrack.formats.clip import NO_SCORE
from eval_posetrack.metrics.clean import People, Scene
from eval_posetrack.metrics.match import same_frame_pairs
from posetrail.similarity import box_area, joint_similarity, keypoint_boxes, mean_joint_similarity
from posetrail.skeletons import POSETRACK_15

THRESHOLDS = np.linspace(0.5, 0.95, 10)
MOST_POSES_PER_FRAME = 20
AREAS_PX = {"all": (0.0, 1e10), "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e10)}
_FRAMES_PER_STEP = 500
_RECALLS = np.linspace(0, 1, 101)


@dataclass(frozen=True, eq=False)
class OksCounts:
    """Every pose with its outcome at each threshold and size; lists are joined over sequences."""

    scores: np.ndarray  # (M,)
    correct: np.ndarray  # (M, 3, 10) bool: matched a person, for the three sizes and ten thresholds
    ignored: np.ndarray  # (M, 3, 10) bool: neither a true nor a false positive
    people: np.ndarray  # (3,) int64: annotated people of the three sizes

    def __add__(self, other: OksCounts) -> OksCounts:
        return OksCounts.join([self, other])

    @classmethod
    def join(cls, parts: list[OksCounts]) -> OksCounts:
        """The counts of several sequences together."""
        none = np.zeros((0, len(AREAS_PX), len(THRESHOLDS)), bool)
        return cls(
            scores=np.concatenate([np.zeros(0), *(part.scores for part in parts)]),
            correct=np.concatenate([none, *(part.correct for part in parts)]),
            ignored=np.concatenate([none, *(part.ignored for part in parts)]),
            people=sum((part.people for part in parts), np.zeros(len(AREAS_PX), int)),
        )

    def figures(self) -> dict[str, float]:
        """Percentages by name: AP, AP50, AP75, AP_medium, AP_large and the same of AR; NaN without such people."""
        order = np.argsort(-self.scores, kind="stable")
        correct, wrong = self.correct & ~self.ignored, ~self.correct & ~self.ignored
        tp, fp = np.cumsum(correct[order], axis=0), np.cumsum(wrong[order], axis=0)
        ap, ar = np.full((2, len(AREAS_PX), len(THRESHOLDS)), np.nan)
        for a, people in enumerate(self.people):
            for t in range(len(THRESHOLDS)) if people else ():
                ap[a, t], ar[a, t] = _interpolated(tp[:, a, t], fp[:, a, t], int(people))
        figures: dict[str, float] = {}
        for name, table in (("AP", ap), ("AR", ar)):
            figures |= {name: table[0].mean(), f"{name}50": table[0, 0], f"{name}75": table[0, 5]}
            figures |= {f"{name}_{size}": table[a].mean() for a, size in enumerate(AREAS_PX) if size != "all"}
        return {name: 100 * float(value) for name, value in figures.items()}


def count(scene: Scene) -> OksCounts:
    """The counts of one sequence."""
    parts = []
    for first in range(0, scene.num_frames, _FRAMES_PER_STEP):  # dense tables of a long video would not fit in memory
        frames = min(_FRAMES_PER_STEP, scene.num_frames - first)
        ground_truth, predictions = (
            _from_frame(people, first, frames) for people in (scene.ground_truth, scene.predictions)
        )
        parts.append(_count(ground_truth, predictions, frames))
    return OksCounts.join(parts)


def _from_frame(people: People, first: int, frames: int) -> People:
    rows = slice(*np.searchsorted(people.frames, [first, first + frames]))
    return replace(people[rows], frames=people.frames[rows] - first)


def _count(ground_truth: People, predictions: People, num_frames: int) -> OksCounts:
    predictions, ranks = _best_of_each_frame(predictions, num_frames)
    positions = np.arange(len(ground_truth)) - np.searchsorted(ground_truth.frames, ground_truth.frames)
    ground_truth_areas, predicted_areas = person_areas(ground_truth), person_areas(predictions)
    # (F, 20, G): frames, poses by rank, annotated people by position in their frame
    oks = np.full((num_frames, MOST_POSES_PER_FRAME, positions.max(initial=0) + 1), -1.0)
    for g, p in same_frame_pairs(ground_truth.frames, predictions.frames, num_frames):
        similarity = object_keypoint_similarity(
            ground_truth.keypoints[g], predictions.keypoints[p], ground_truth_areas[g]
        )
        oks[predictions.frames[p], ranks[p], positions[g]] = similarity

    candidates, oks = _candidates(oks)
    correct, ignored, people = [], [], []
    for low, high in AREAS_PX.values():
        other_size = np.zeros((num_frames, positions.max(initial=0) + 1), bool)
        other_size[ground_truth.frames, positions] = (ground_truth_areas < low) | (ground_truth_areas > high)
        matched, matched_other = match_poses(candidates, oks, other_size)
        of_predictions = matched[predictions.frames, ranks]
        predicted_other_size = ((predicted_areas < low) | (predicted_areas > high))[:, None]
        correct.append(of_predictions)
        ignored.append(matched_other[predictions.frames, ranks] | (~of_predictions & predicted_other_size))
        people.append(len(ground_truth) - int(other_size.sum()))
    return OksCounts(pose_scores(predictions), np.stack(correct, axis=1), np.stack(ignored, axis=1), np.array(people))


def object_keypoint_similarity(ground_truth: np.ndarray, predictions: np.ndarray, areas: np.ndarray) -> np.ndarray:
    """(N,) OKS of predicted poses (N, 15, 2) and annotated ones (N, 15, 2) with areas (N,) in square pixels."""
    variances = (2 * np.array(POSETRACK_15.oks_sigmas)) ** 2
    similarity = joint_similarity(
        ground_truth - predictions, areas + np.spacing(1), variances, min_area_px=0.0
    )  # as COCO's code
    missed = np.isfinite(ground_truth[:, :, 0]) & np.isnan(similarity)
    return mean_joint_similarity(np.where(missed, 0.0, similarity))


def match_poses(
    candidates: np.ndarray, oks: np.ndarray, ignored: np.ndarray, crowds: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Match poses with people frame by frame, highest score first: each takes the free person with the highest OKS.

    Args:
        candidates: (F, D, C) people that each pose may take, highest OKS first; poses with the highest score first.
        oks: (F, D, C) their OKS.
        ignored: (F, G) bool: people that are not scored; they are taken only if no other person is left.
        crowds: (F, G) bool: ignored groups of people, which any number of poses may take; none if not given.

    Returns:
        (F, D, 10) bool matched, and matched to an ignored person.
    """
    frames, poses, _ = candidates.shape
    free = np.ones((frames, len(THRESHOLDS), ignored.shape[1]), bool)
    matched, to_ignored = np.zeros((2, frames, poses, len(THRESHOLDS)), bool)
    needed = np.minimum(THRESHOLDS, 1 - 1e-10)  # so that a perfect pose passes despite rounding
    f, t = np.indices((frames, len(THRESHOLDS)))
    for d in range(poses):
        people = candidates[:, None, d]
        fits = free[f[..., None], t[..., None], people] & (oks[:, None, d] >= needed[:, None])
        counted = fits & ~ignored[f[..., None], people]
        fits = np.where(counted.any(axis=2, keepdims=True), counted, fits)
        taken = fits.any(axis=2)
        best = candidates[f, d, fits.argmax(axis=2)]
        free[f[taken], t[taken], best[taken]] = False if crowds is None else crowds[f[taken], best[taken]]
        matched[:, d] = taken
        to_ignored[:, d] = taken & ignored[f, best]
    return matched, to_ignored


def _candidates(oks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The columns (F, D, C) of a table (F, D, G) that pass the lowest threshold, highest first, and their values."""
    most = max(int((oks >= THRESHOLDS[0]).sum(axis=2).max(initial=0)), 1)
    backwards = np.argsort(-oks[:, :, ::-1], axis=2, kind="stable")[:, :, :most]
    columns = oks.shape[2] - 1 - backwards  # of equal ones the last first, as in COCO
    return columns, np.take_along_axis(oks, columns, axis=2)


def person_areas(people: People) -> np.ndarray:
    """(P,) areas in square pixels of the people's boxes, or of the boxes around their joints if there are none."""
    boxes = np.where(np.isnan(people.boxes), keypoint_boxes(people.keypoints), people.boxes)
    return box_area(boxes)


def pose_scores(people: People) -> np.ndarray:
    """(P,) scores of the people, or the mean scores of their joints where the file has none."""
    given = np.isfinite(people.keypoint_scores) & np.isfinite(people.keypoints[:, :, 0])
    total = np.where(given, people.keypoint_scores, 0.0).sum(axis=1)
    means = np.where(given.any(axis=1), total / np.maximum(given.sum(axis=1), 1), NO_SCORE)
    return np.where(np.isnan(people.scores), means, people.scores)


def _best_of_each_frame(people: People, num_frames: int) -> tuple[People, np.ndarray]:
    """The 20 poses with the highest scores of each frame, highest first, and their ranks 0..19 in their frames."""
    people = people[np.lexsort((-pose_scores(people), people.frames))]
    starts = np.searchsorted(people.frames, np.arange(num_frames))
    ranks = np.arange(len(people)) - starts[people.frames]
    kept = ranks < MOST_POSES_PER_FRAME
    return people[kept], ranks[kept]


def _interpolated(tp: np.ndarray, fp: np.ndarray, people: int) -> tuple[float, float]:
    """Mean precision at the 101 recalls, and the highest recall."""
    if not len(tp):
        return 0.0, 0.0
    recall = tp / people
    precision = np.maximum.accumulate((tp / (tp + fp + np.spacing(1)))[::-1])[::-1]
    positions = np.searchsorted(recall, _RECALLS, side="left")
    reached = positions < len(precision)
    return float(np.where(reached, precision[np.minimum(positions, len(precision) - 1)], 0.0).mean()), float(recall[-1])
