"""Metrics of whole bodies part by part: AP of body, feet, face and hands, NME of faces, PCK, AUC and EPE of hands.

The parts and their AP are those of COCO-WholeBody (Jin et al., ECCV 2020): OKS over the joints of a part with the area
of the person, poses ordered by the score of the person. Where a part is not labelled, poses are neither right nor
wrong; poses without a joint of a part are left out of its AP. NME is the mean error of a face's points divided by the
distance of the outer corners of its eyes, as of 300-W (Sagonas et al., ICCVW 2013).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from eval_posetrack.metrics.image_ap import AnnotatedPeople, PredictedPeople, count_images
from posetrail.assignment import associate
from posetrail.similarity import keypoint_boxes, oks
from posetrail.skeletons import COCO_17, Skeleton
from posetrail.wholebody import FACE_JOINTS, FOOT_JOINTS, HAND_JOINTS, of_side

PCK_THRESHOLD = 0.2  # of the longer side of the box around a hand's joints, as published for hands
AUC_THRESHOLDS_PX = 1.5 * np.arange(1, 21)  # up to 30 pixels
_PAIRING_SIGMA, _MIN_PAIRING_OKS = 0.1, 0.3  # of an annotated person and the pose that is taken for theirs
_EYES = ("right_eye_outer", "left_eye_outer")
_PARTS = {
    "body": COCO_17.joints,
    "foot": FOOT_JOINTS,
    "face": FACE_JOINTS,
    "lefthand": of_side("left"),
    "righthand": of_side("right"),
    "hand": HAND_JOINTS,  # of a network for one hand
}
HANDS = ("lefthand", "righthand", "hand")


def parts_of(skeleton: Skeleton) -> dict[str, np.ndarray]:
    """The columns of each part whose joints a skeleton has, by the names of COCO-WholeBody's fields."""
    present = {name: joints for name, joints in _PARTS.items() if set(joints) <= set(skeleton.joints)}
    return {name: np.array([skeleton.index(joint) for joint in joints]) for name, joints in present.items()}


def part_figures(
    ground_truth: AnnotatedPeople, predictions: PredictedPeople, skeleton: Skeleton
) -> dict[str, dict[str, float]]:
    """The figures of each part and of the whole body.

    Returns:
        By part, percentages by name: AP, AP50, AP75, AP_medium, AP_large and the same of AR, "people" with labelled
        joints of the part, and those of `face_figures` and `hand_figures`. NaN where nothing is labelled.
    """
    pairs = paired(ground_truth, predictions)
    found = _of_pairs(predictions.keypoints, pairs)
    scored = ~ground_truth.is_crowd
    figures = {}
    for name, columns in (*parts_of(skeleton).items(), ("wholebody", np.arange(len(skeleton)))):
        part = replace(ground_truth, keypoints=ground_truth.keypoints[:, columns])
        of_part = replace(predictions, keypoints=predictions.keypoints[:, columns])
        of_part = of_part[np.isfinite(of_part.keypoints).all(axis=2).any(axis=1)]
        counts = count_images(part, of_part, np.array(skeleton.oks_sigmas)[columns])
        figures[name] = {**counts.figures(), "people": float(counts.people[0])}
        if name == "face":
            figures[name] |= face_figures(part.keypoints[scored], found[scored][:, columns])
        elif name in HANDS:
            figures[name] |= hand_figures(part.keypoints[scored], found[scored][:, columns])
    return figures


def paired(ground_truth: AnnotatedPeople, predictions: PredictedPeople) -> np.ndarray:
    """(N,) the row of the pose that is taken for each annotated person; -1 without one.

    People of an image are paired one to one by their OKS with one wide sigma for all joints, of at least 0.3, the
    highest first: OKS with the sigmas of faces and hands is near 0 for most poses of the right person.
    """
    rows = np.full(len(ground_truth), -1)
    wide = np.full(ground_truth.keypoints.shape[1], _PAIRING_SIGMA)
    for g, p in _same_image(ground_truth.images, predictions.images):
        similarity = oks(predictions.keypoints[p], ground_truth.keypoints[g], ground_truth.areas[g], wide).T
        for row, column in associate(np.nan_to_num(similarity), _MIN_PAIRING_OKS, "greedy").tolist():
            rows[g[row]] = p[column]
    return rows


def face_figures(labelled: np.ndarray, found: np.ndarray) -> dict[str, float]:
    """NME in percent over faces whose outer eye corners are labelled, and "faces", the number of them with a pose.

    Args:
        labelled: (N, 68, 2) annotated points, NaN where not labelled.
        found: (N, 68, 2) predicted ones of the same people, NaN where missing; missing points do not count.
    """
    corners = labelled[:, [FACE_JOINTS.index(joint) for joint in _EYES]]
    between = np.linalg.norm(corners[:, 0] - corners[:, 1], axis=1)
    errors = np.linalg.norm(labelled - found, axis=2)
    known = np.isfinite(errors) & (between > 0)[:, None]
    faces = known.any(axis=1)
    means = np.where(known, errors, 0)[faces].sum(axis=1) / known[faces].sum(axis=1) / between[faces]
    return {"NME": 100 * float(means.mean()) if len(means) else float("nan"), "faces": float(faces.sum())}


def hand_figures(labelled: np.ndarray, found: np.ndarray) -> dict[str, float]:
    """PCK and AUC in percent and EPE, the mean error in pixels, over the labelled joints of hands.

    PCK counts joints within 0.2 of the longer side of the box around the labelled joints of the hand; AUC is the mean
    of such shares within 1.5, 3, ..., 30 pixels. A missing joint is a wrong one, and does not count in EPE.

    Args:
        labelled: (N, 21, 2) annotated joints, NaN where not labelled.
        found: (N, 21, 2) predicted ones of the same people, NaN where missing.
    """
    is_labelled = np.isfinite(labelled).all(axis=2)
    is_labelled &= (is_labelled.sum(axis=1) > 1)[:, None]  # one joint has no size
    errors = np.linalg.norm(labelled - found, axis=2)
    boxes = keypoint_boxes(labelled)
    sides = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
    errors, sides = errors[is_labelled], np.broadcast_to(sides[:, None], errors.shape)[is_labelled]
    if not len(errors):
        return dict.fromkeys(("PCK", "AUC", "EPE_px"), float("nan"))
    seen = np.isfinite(errors)
    return {
        "PCK": 100 * float((errors <= PCK_THRESHOLD * sides).mean()),
        "AUC": 100 * float((errors[:, None] <= AUC_THRESHOLDS_PX).mean()),
        "EPE_px": float(errors[seen].mean()) if seen.any() else float("nan"),
    }


def _of_pairs(keypoints: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """The poses (N, K, 2) of pairs (N,), NaN where the row is -1."""
    return np.concatenate([keypoints, np.full((1, *keypoints.shape[1:]), np.nan)])[pairs]


def _same_image(first: np.ndarray, second: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The rows of each image that both have."""
    for image in np.intersect1d(first, second):
        yield np.flatnonzero(first == image), np.flatnonzero(second == image)
