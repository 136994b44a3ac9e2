"""Keypoint AP and AR in the COCO manner: poses matched by object keypoint similarity at ten thresholds.

Lin et al., "Microsoft COCO: common objects in context", 2014, and the keypoint task's definition: OKS is the mean over
annotated joints of exp(-d^2 / (2 area (2 sigma)^2)); at most 20 poses per frame, best score first, each takes the most
alike free person above the threshold; precision is read at 101 recalls. A predicted pose without a joint is as far
from it as can be.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from eval_posetrack.clean import People, Scene
from eval_posetrack.clip import NO_SCORE
from eval_posetrack.match import same_frame_pairs
from posetrail.similarity import box_area, joint_similarity, keypoint_boxes, mean_joint_similarity
from posetrail.skeletons import POSETRACK_15

THRESHOLDS = np.linspace(0.5, 0.95, 10)
MOST_POSES_PER_FRAME = 20
AREAS_PX = {"all": (0.0, 1e10), "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e10)}
_FRAMES_PER_STEP = 500
_RECALLS = np.linspace(0, 1, 101)


@dataclass(frozen=True, eq=False)
class OksCounts:
    """Every pose with what became of it at each threshold and size; lists are joined over sequences."""

    scores: np.ndarray  # (M,)
    right: np.ndarray  # (M, 3, 10) bool: matched somebody, for the three sizes and ten thresholds
    ignored: np.ndarray  # (M, 3, 10) bool: counts neither way
    people: np.ndarray  # (3,) int64 of the ground truth, for the three sizes

    def __add__(self, other: OksCounts) -> OksCounts:
        return OksCounts.join([self, other])

    @classmethod
    def join(cls, parts: list[OksCounts]) -> OksCounts:
        """The counts of several sequences as one."""
        none = np.zeros((0, len(AREAS_PX), len(THRESHOLDS)), bool)
        return cls(
            scores=np.concatenate([np.zeros(0), *(part.scores for part in parts)]),
            right=np.concatenate([none, *(part.right for part in parts)]),
            ignored=np.concatenate([none, *(part.ignored for part in parts)]),
            people=sum((part.people for part in parts), np.zeros(len(AREAS_PX), int)),
        )

    def figures(self) -> dict[str, float]:
        """Percentages by name: AP, AP50, AP75, AP_medium, AP_large and AR alike; NaN where there are no such people."""
        order = np.argsort(-self.scores, kind="stable")
        right, wrong = self.right & ~self.ignored, ~self.right & ~self.ignored
        tp, fp = np.cumsum(right[order], axis=0), np.cumsum(wrong[order], axis=0)
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
    """The poses of one sequence."""
    parts = []
    for first in range(0, scene.num_frames, _FRAMES_PER_STEP):  # tables of a long video would not fit in memory
        frames = min(_FRAMES_PER_STEP, scene.num_frames - first)
        truth, found = (_from_frame(people, first, frames) for people in (scene.truth, scene.found))
        parts.append(_count(truth, found, frames))
    return OksCounts.join(parts)


def _from_frame(people: People, first: int, frames: int) -> People:
    rows = slice(*np.searchsorted(people.frames, [first, first + frames]))
    return replace(people[rows], frames=people.frames[rows] - first)


def _count(truth: People, found: People, num_frames: int) -> OksCounts:
    found, places = _best_of_each_frame(found, num_frames)
    seats = np.arange(len(truth)) - np.searchsorted(truth.frames, truth.frames)
    truth_areas, found_areas = person_areas(truth), person_areas(found)
    # (F, 20, G): frames, poses in their places, people in their seats
    alike = np.full((num_frames, MOST_POSES_PER_FRAME, seats.max(initial=0) + 1), -1.0)
    for g, p in same_frame_pairs(truth.frames, found.frames, num_frames):
        similarity = object_keypoint_similarity(truth.keypoints[g], found.keypoints[p], truth_areas[g])
        alike[found.frames[p], places[p], seats[g]] = similarity

    candidates, alike = _candidates(alike)
    right, ignored, people = [], [], []
    for low, high in AREAS_PX.values():
        other_size = np.zeros((num_frames, seats.max(initial=0) + 1), bool)
        other_size[truth.frames, seats] = (truth_areas < low) | (truth_areas > high)
        matched, matched_other = match_poses(candidates, alike, other_size)
        of_found = matched[found.frames, places]
        strange = ((found_areas < low) | (found_areas > high))[:, None]
        right.append(of_found)
        ignored.append(matched_other[found.frames, places] | (~of_found & strange))
        people.append(len(truth) - int(other_size.sum()))
    return OksCounts(pose_scores(found), np.stack(right, axis=1), np.stack(ignored, axis=1), np.array(people))


def object_keypoint_similarity(truth: np.ndarray, found: np.ndarray, areas: np.ndarray) -> np.ndarray:
    """(N,) OKS of poses found (N, 15, 2) to annotated ones (N, 15, 2) of areas (N,) square pixels."""
    variances = (2 * np.array(POSETRACK_15.oks_sigmas)) ** 2
    similarity = joint_similarity(truth - found, areas + np.spacing(1), variances, min_area_px=0.0)  # as COCO's code
    missed = np.isfinite(truth[:, :, 0]) & np.isnan(similarity)
    return mean_joint_similarity(np.where(missed, 0.0, similarity))


def match_poses(candidates: np.ndarray, alike: np.ndarray, ignored: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pair poses with people frame by frame, best score first: each takes the most alike person that is still free.

    Args:
        candidates: (F, D, C) people that each pose may take, most alike first; poses stand best score first.
        alike: (F, D, C) their OKS.
        ignored: (F, G) bool people that count neither way; they are taken only when nobody else is to be had.

    Returns:
        (F, D, 10) bool matched, and matched to an ignored person.
    """
    frames, poses, _ = candidates.shape
    free = np.ones((frames, len(THRESHOLDS), ignored.shape[1]), bool)
    matched, to_ignored = np.zeros((2, frames, poses, len(THRESHOLDS)), bool)
    needed = np.minimum(THRESHOLDS, 1 - 1e-10)  # so that a perfect pose passes whatever was rounded
    f, t = np.indices((frames, len(THRESHOLDS)))
    for d in range(poses):
        people = candidates[:, None, d]
        fits = free[f[..., None], t[..., None], people] & (alike[:, None, d] >= needed[:, None])
        counted = fits & ~ignored[f[..., None], people]
        fits = np.where(counted.any(axis=2, keepdims=True), counted, fits)
        taken = fits.any(axis=2)
        best = candidates[f, d, fits.argmax(axis=2)]
        free[f[taken], t[taken], best[taken]] = False
        matched[:, d] = taken
        to_ignored[:, d] = taken & ignored[f, best]
    return matched, to_ignored


def _candidates(alike: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of a table (F, D, G), the few columns (F, D, C) that pass the lowest threshold, highest first; their values."""
    most = max(int((alike >= THRESHOLDS[0]).sum(axis=2).max(initial=0)), 1)
    backwards = np.argsort(-alike[:, :, ::-1], axis=2, kind="stable")[:, :, :most]
    columns = alike.shape[2] - 1 - backwards  # the last of equals first, as in COCO
    return columns, np.take_along_axis(alike, columns, axis=2)


def person_areas(people: People) -> np.ndarray:
    """(P,) square pixels: of the person's box, or of the box around the joints where the file has none."""
    boxes = np.where(np.isnan(people.boxes), keypoint_boxes(people.keypoints), people.boxes)
    return box_area(boxes)


def pose_scores(people: People) -> np.ndarray:
    """(P,) the score of each person, or the mean score of the joints where the file has none."""
    given = np.isfinite(people.keypoint_scores) & np.isfinite(people.keypoints[:, :, 0])
    total = np.where(given, people.keypoint_scores, 0.0).sum(axis=1)
    means = np.where(given.any(axis=1), total / np.maximum(given.sum(axis=1), 1), NO_SCORE)
    return np.where(np.isnan(people.scores), means, people.scores)


def _best_of_each_frame(people: People, num_frames: int) -> tuple[People, np.ndarray]:
    """The 20 best poses of every frame, best first, and each one's place 0..19 in its frame."""
    people = people[np.lexsort((-pose_scores(people), people.frames))]
    starts = np.searchsorted(people.frames, np.arange(num_frames))
    places = np.arange(len(people)) - starts[people.frames]
    kept = places < MOST_POSES_PER_FRAME
    return people[kept], places[kept]


def _interpolated(tp: np.ndarray, fp: np.ndarray, people: int) -> tuple[float, float]:
    """Mean precision at the 101 recalls, and the last recall."""
    if not len(tp):
        return 0.0, 0.0
    recall = tp / people
    precision = np.maximum.accumulate((tp / (tp + fp + np.spacing(1)))[::-1])[::-1]
    places = np.searchsorted(recall, _RECALLS, side="left")
    reached = places < len(precision)
    return float(np.where(reached, precision[np.minimum(places, len(precision) - 1)], 0.0).mean()), float(recall[-1])
