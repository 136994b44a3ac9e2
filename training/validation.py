"""Validation of an estimator on annotated people, in their annotated boxes: OKS AP, PCK and PCKh."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from eval_posetrack.metrics.crowd import LEVELS, crowd_levels
from eval_posetrack.metrics.image_ap import AnnotatedPeople, PredictedPeople, count_images
from eval_posetrack.metrics.parts import HANDS, face_figures, hand_figures, parts_of
from posetrail.frame import Frame
from posetrail.poses import Poses
from posetrail.protocols import Estimator
from posetrail.similarity import joint_similarity, mean_joint_similarity
from training.data.image_files import read_image
from training.samples import Samples

PCK_THRESHOLD = 0.05  # of the longer side of the box
PCKH_THRESHOLD = 0.5  # of the head size, as MPII's


@dataclass(frozen=True, eq=False)
class Estimates:
    """Estimated joints of all samples."""

    keypoints: np.ndarray  # (N, K, 2) pixels; NaN where missing
    keypoint_scores: np.ndarray  # (N, K)


def estimated(estimator: Estimator, samples: Samples) -> Estimates:
    """Estimate the joints of all samples in their annotated boxes."""
    K = len(samples.skeleton)
    keypoints, scores = np.full((len(samples), K, 2), np.nan), np.zeros((len(samples), K))
    for image, rows in people_of_images(samples):
        frame = Frame(image, 0.0, samples.images[image].name, read_image(samples.images[image]))
        poses: Poses = estimator([frame], [samples.boxes[rows]])[0]
        keypoints[rows], scores[rows] = poses.keypoints, poses.keypoint_scores
    return Estimates(keypoints, scores)


def people_of_images(samples: Samples) -> Iterator[tuple[int, np.ndarray]]:
    """The rows of the people in each image that has some."""
    order = np.argsort(samples.image_rows, kind="stable")
    images, starts = np.unique(samples.image_rows[order], return_index=True)
    yield from zip(images.tolist(), np.split(order, starts[1:]), strict=True)


def figures(samples: Samples, estimates: Estimates) -> dict[str, float]:
    """AP, AP50 and AP75 of OKS, PCK and, where heads are annotated, PCKh, in percent; the first one names the best.

    The AP is that of COCO with annotated boxes: of each image, every estimate takes the free person with the highest
    OKS. PCK counts joints within 5 % of the longer side of the person's box, PCKh within half of the head size.

    Of whole bodies there are also AP_body, AP_foot, AP_face, AP_lefthand and AP_righthand, of skeletons with a face
    NME_face, and with hands PCK_lefthand, AUC_lefthand and so on, see `eval_posetrack.metrics.parts`. Of
    CrowdPose there are AP_easy, AP_medium and AP_hard, see `eval_posetrack.metrics.crowd`.
    """
    distances, labelled = _distances(samples, estimates), samples.labelled
    result = dict(_ap(samples, estimates))
    result["PCK"] = _share(relative_distances(samples, estimates) <= PCK_THRESHOLD, labelled)
    with_head = np.isfinite(samples.head_sizes)
    if with_head.any():
        near = distances <= PCKH_THRESHOLD * samples.head_sizes[:, None]
        result["PCKh"] = _share(near[with_head], labelled[with_head])
    result |= _of_parts(samples, estimates)
    result |= _of_crowds(samples, estimates)
    return {name: round(value, 2) for name, value in result.items()}


def joint_pck(samples: Samples, estimates: Estimates) -> np.ndarray:
    """(K,) PCK of each joint in percent; NaN for joints that are never labelled."""
    near = (relative_distances(samples, estimates) <= PCK_THRESHOLD) & samples.labelled
    labelled = samples.labelled.sum(axis=0)
    return np.where(labelled, 100 * near.sum(axis=0) / np.maximum(labelled, 1), np.nan)


def relative_distances(samples: Samples, estimates: Estimates) -> np.ndarray:
    """(N, K) distances between annotated and estimated joints, in longer sides of the person's box.

    Infinite for missing estimates, NaN for joints that are not labelled.
    """
    sides = (samples.boxes[:, 2:] - samples.boxes[:, :2]).max(axis=1)
    return np.asarray(_distances(samples, estimates) / sides[:, None])


def sample_oks(samples: Samples, estimates: Estimates) -> np.ndarray:
    """(N,) OKS of each estimate with its own annotation; NaN without labelled joints."""
    return _oks(samples, estimates, np.arange(len(samples)), np.arange(len(samples)))


def _distances(samples: Samples, estimates: Estimates) -> np.ndarray:
    """(N, K) pixels, as `relative_distances`."""
    distances = np.linalg.norm(estimates.keypoints - samples.keypoints, axis=2)
    return np.where(np.isnan(estimates.keypoints[:, :, 0]) & samples.labelled, np.inf, distances)


def _oks(samples: Samples, estimates: Estimates, people: np.ndarray, poses: np.ndarray) -> np.ndarray:
    """OKS (M,) of pairs of annotated people and estimated poses; missing joints count 0."""
    annotated = samples.keypoints[people]
    variances = (2 * np.array(samples.skeleton.oks_sigmas)) ** 2
    similarity = joint_similarity(estimates.keypoints[poses] - annotated, samples.oks_areas[people], variances)
    missed = np.isfinite(annotated[:, :, 0]) & np.isnan(similarity)
    return mean_joint_similarity(np.where(missed, 0.0, similarity))


def _ap(samples: Samples, estimates: Estimates) -> Iterator[tuple[str, float]]:
    if len(samples):
        known = _oks_figures(samples, estimates, np.arange(len(samples.skeleton)))
        yield from ((name, known[name]) for name in ("AP", "AP50", "AP75"))


def _of_parts(samples: Samples, estimates: Estimates) -> dict[str, float]:
    """The figures of parts that are labelled."""
    parts = parts_of(samples.skeleton)
    result: dict[str, float] = {}
    for part, columns in parts.items():
        labelled, found = samples.keypoints[:, columns], estimates.keypoints[:, columns]
        known = {}
        if len(parts) > 1:
            known["AP"] = _oks_figures(samples, estimates, columns)["AP"]
        if part == "face":
            known["NME"] = face_figures(labelled, found)["NME"]
        elif part in HANDS:
            known |= {name: value for name, value in hand_figures(labelled, found).items() if name != "EPE_px"}
        result |= {f"{name}_{part}": value for name, value in known.items() if np.isfinite(value)}
    return result


def _of_crowds(samples: Samples, estimates: Estimates) -> dict[str, float]:
    """AP in images of each level of crowdedness that has people; nothing where no crowd index is known."""
    indices = samples.crowd_indices[samples.image_rows]
    levels = np.where(np.isnan(indices), -1, crowd_levels(indices))
    result = {}
    for level, name in enumerate(LEVELS):
        rows = np.flatnonzero(levels == level)
        if len(rows):
            some = Estimates(estimates.keypoints[rows], estimates.keypoint_scores[rows])
            result[f"AP_{name}"] = dict(_ap(samples[rows], some))["AP"]
    return result


def _oks_figures(samples: Samples, estimates: Estimates, columns: np.ndarray) -> dict[str, float]:
    """The figures of COCO's evaluation over some of the joints; estimates without any of them are left out."""
    scores = estimates.keypoint_scores.mean(axis=1)
    keypoints = estimates.keypoints[:, columns]
    order = np.argsort(samples.image_rows, kind="stable")
    known = order[np.isfinite(keypoints[order]).all(axis=2).any(axis=1)]
    people = AnnotatedPeople(
        samples.image_rows[order].astype(np.int64),
        samples.keypoints[order][:, columns].astype(float),
        samples.boxes[order].astype(float),
        samples.oks_areas[order].astype(float),
        samples.is_crowd[order],
    )
    poses = PredictedPeople(samples.image_rows[known].astype(np.int64), keypoints[known].astype(float), scores[known])
    return count_images(people, poses, np.array(samples.skeleton.oks_sigmas)[columns]).figures()


def _share(near: np.ndarray, labelled: np.ndarray) -> float:
    return 100 * float((near & labelled).sum()) / max(int(labelled.sum()), 1)
