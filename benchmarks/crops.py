"""What crops and joint thresholds are worth on annotated images: settings compared person by person.

    uv run python -m benchmarks.crops --data FOLDER [FOLDER ...]     # the default settings
    uv run python -m benchmarks.crops --data FOLDER --candidates default crop-scale-1.1 no-crop-mask flip-test
    uv run python -m benchmarks.crops --data FOLDER --set crop_scale=1.1 crop_mask_margin=0.3
    uv run python -m benchmarks.crops --data FOLDER --thresholds 0 0.1 0.2 0.3 0.4

Folders are those of `benchmarks.estimators`; several are scored together. Figures:

    OKS        of shoulders, elbows, wrists, hips, knees and ankles, mean over people, in percent, with COCO's sigmas
               whatever the data set; in annotated and in detected boxes (those with an IoU of 0.5 or more). After it,
               the difference to the first candidate, paired by person, and its standard error
    other      percent of these joints that are on another annotated person: nearer to their joint than to the right
               one, and farther from that than FAR of the square root of the person's area
    AP, MOTA   of PoseTrack, for detected people whose quality is at least new_track_score. Each image is a sequence of
               its own, so there are no switches. People without annotated joints are ignore regions. Head sizes are
               made from the body length (`benchmarks.agreement`)

With few images the standard error says more than the figures: it counts people, and people of an image are alike.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.agreement import body_lengths, head_boxes
from benchmarks.annotated import read_annotated
from benchmarks.candidates import add_candidate_arguments, chosen_candidates, with_values
from benchmarks.estimators import find_people
from benchmarks.sequences import posetrack_clip
from eval_posetrack.formats.clip import Clip
from eval_posetrack.metrics.clean import clean
from eval_posetrack.metrics.counts import Counts, count
from eval_posetrack.metrics.rules import DEFAULT
from posetrail.assignment import associate
from posetrail.errors import InputError
from posetrail.frame import Frame
from posetrail.joint_mapping import mapped
from posetrail.nms import nms
from posetrail.poses import Poses
from posetrail.protocols import Detector, Estimator
from posetrail.similarity import box_area, box_iou, joint_similarity, mean_joint_similarity, oks
from posetrail.skeletons import COCO_17, POSETRACK_15
from tracker.runs.networks import open_networks
from tracker.settings import Settings
from training.data.image_files import read_image
from training.samples import Samples

FAR = 0.15
SAME_BOX_IOU = 0.5
MIN_JOINTS = 4  # annotated limb joints of people who are compared by OKS
LIMB_JOINTS = tuple(k for k, joint in enumerate(COCO_17.joints) if not joint.endswith(("nose", "eye", "ear")))
_VARIANCES = (2 * np.array(COCO_17.oks_sigmas)[list(LIMB_JOINTS)]) ** 2


@dataclass(frozen=True, eq=False)
class Scores:
    """The figures of one configuration on one data set or several together."""

    annotated: np.ndarray  # (P, 2): OKS, and share of joints on another person, in annotated boxes; NaN if not compared
    detected: np.ndarray  # (P, 2): in the detected boxes; NaN without one
    counts: tuple[Counts, ...]  # of AP and MOTA, for each threshold of joints

    @classmethod
    def join(cls, parts: Sequence[Scores]) -> Scores:
        """The figures of one or more data sets together."""
        return cls(
            np.concatenate([part.annotated for part in parts]),
            np.concatenate([part.detected for part in parts]),
            tuple(Counts.join(of_threshold) for of_threshold in zip(*(part.counts for part in parts), strict=True)),
        )


def score(
    data: Samples, estimator: Estimator, detector: Detector, settings: Settings, thresholds: Sequence[float]
) -> Scores:
    """The figures of an estimator on annotated images.

    Args:
        data: the images.
        estimator: of joints that contain COCO's.
        detector: of the boxes.
        settings: for pose NMS and the least quality of a person.
        thresholds: least scores of joints for AP and MOTA.
    """
    in_annotated = find_people(data, estimator)
    annotated, detected = np.full((2, len(data.boxes), 2), np.nan)
    predictions = []
    for i, path in enumerate(data.images):
        frame = Frame(i, 0.0, path.name, read_image(path))
        [found] = detector([frame])
        found = found[found.scores >= settings.inference.min_box_score]
        [poses] = estimator([frame], [found.boxes])
        rows = np.flatnonzero((data.image_rows == i) & data.usable)
        limbs = _limbs(data, rows)
        annotated[rows] = _compared(limbs, data.oks_areas[rows], _limbs_of(in_annotated[i], data))
        mine, theirs = associate(box_iou(data.boxes[rows], found.boxes), SAME_BOX_IOU, "hungarian").T
        in_boxes = np.full(limbs.shape, np.nan)
        in_boxes[mine] = poses.keypoints[theirs][:, list(LIMB_JOINTS)]
        detected[rows] = _compared(limbs, data.oks_areas[rows], in_boxes)
        predictions.append(_people(replace(poses, scores=found.scores), settings))
    return Scores(annotated, detected, _counts(data, predictions, thresholds))


def _limbs(data: Samples, rows: np.ndarray) -> np.ndarray:
    """(N, 12, 2) annotated limb joints of these people, NaN where missing."""
    keypoints = data.keypoints[rows]
    there = np.isfinite(keypoints).all(axis=2).astype(float)
    return mapped(keypoints, there, data.skeleton, COCO_17)[0][:, list(LIMB_JOINTS)]


def _limbs_of(poses: Poses, data: Samples) -> np.ndarray:
    """(N, 12, 2) limb joints of poses that have the joints of the data set."""
    return mapped(poses.keypoints, poses.keypoint_scores, data.skeleton, COCO_17)[0][:, list(LIMB_JOINTS)]


def _compared(limbs: np.ndarray, areas: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """(N, 2) OKS, and share of joints on another person, of predicted limb joints (N, 12, 2), one row per person."""
    offsets = predicted - limbs
    similarity = mean_joint_similarity(joint_similarity(offsets, areas, _VARIANCES))
    own = np.linalg.norm(offsets, axis=2)
    away = np.linalg.norm(predicted[:, None] - limbs, axis=3)  # (N, N, 12)
    away[np.arange(len(limbs)), np.arange(len(limbs))] = np.inf
    nearest = np.where(np.isnan(away), np.inf, away).min(axis=1, initial=np.inf)
    there = np.isfinite(own)
    other = ((nearest < own) & (own > FAR * np.sqrt(areas)[:, None]) & there).sum(axis=1) / np.maximum(
        there.sum(axis=1), 1
    )
    scored = (there.sum(axis=1) >= MIN_JOINTS)[:, None]
    return np.where(scored, np.stack([similarity, other], axis=1), np.nan)


def _people(poses: Poses, settings: Settings) -> Poses:
    """The poses after pose NMS that could start a track, with PoseTrack's joints."""
    similarity = oks(poses.keypoints, poses.keypoints, box_area(poses.boxes), COCO_17.oks_sigmas)
    kept = nms(np.minimum(similarity, similarity.T), poses.quality, settings.association.track_nms_oks)
    poses = poses[np.sort(kept)]
    poses = poses[poses.quality >= settings.association.new_track_score]
    keypoints, scores = mapped(poses.keypoints, poses.keypoint_scores, COCO_17, POSETRACK_15)
    return replace(poses, keypoints=keypoints, keypoint_scores=scores)


def _counts(data: Samples, predictions: Sequence[Poses], thresholds: Sequence[float]) -> tuple[Counts, ...]:
    ground_truth, predicted = _annotated_clip(data), _predicted_clip(predictions)
    counts = []
    for threshold in thresholds:
        low = np.nan_to_num(predicted.keypoint_scores) < threshold
        kept = replace(predicted, keypoints=np.where(low[..., None], np.nan, predicted.keypoints))
        counts.append(count(clean(ground_truth, kept), DEFAULT, ("AP", "MOT")))
    return tuple(counts)


def _annotated_clip(data: Samples) -> Clip:
    """The annotated people as a clip of one frame per image, each person with an id of their own."""
    rows = np.flatnonzero(data.usable)
    rows = rows[np.argsort(data.image_rows[rows], kind="stable")]
    there = np.isfinite(data.keypoints[rows]).all(axis=2).astype(float)
    keypoints, _ = mapped(data.keypoints[rows], there, data.skeleton, POSETRACK_15)
    clip = _clip(data.image_rows[rows], np.arange(len(rows)), keypoints, None, data.boxes[rows], len(data.images))
    ignored = [
        (
            *regions,
            *(box[[[0, 1], [2, 1], [2, 3], [0, 3]]] for box in data.boxes[(data.image_rows == i) & ~data.usable]),
        )
        for i, regions in enumerate(data.ignore_regions)
    ]
    return replace(clip, head_boxes=head_boxes(clip, body_lengths(clip)), ignore_regions=tuple(ignored))


def _predicted_clip(predictions: Sequence[Poses]) -> Clip:
    poses = Poses.concatenate([*predictions, Poses.empty(len(POSETRACK_15))])
    frames = np.repeat(np.arange(len(predictions)), [len(each) for each in predictions])
    return _clip(frames, np.arange(len(poses)), poses.keypoints, poses.keypoint_scores, poses.boxes, len(predictions))


def _clip(
    frames: np.ndarray,
    ids: np.ndarray,
    keypoints: np.ndarray,
    scores: np.ndarray | None,
    boxes: np.ndarray,
    num_frames: int,
) -> Clip:
    return posetrack_clip("images", np.arange(num_frames, dtype=float), frames, ids, keypoints, scores, boxes)


def cells(scores: Scores, first: Scores) -> list[str]:
    """OKS and joints on other people as text, in annotated and in detected boxes."""
    texts = []
    for mine, theirs in ((scores.annotated, first.annotated), (scores.detected, first.detected)):
        difference = 100 * (mine - theirs)[:, 0]
        difference = difference[np.isfinite(difference)]
        error = difference.std(ddof=1) / np.sqrt(len(difference)) if len(difference) > 1 else np.nan
        similarity, other = 100 * np.nanmean(mine, axis=0)
        texts += [f"{similarity:.1f}", f"{difference.mean():+.1f} ± {error:.1f}", f"{other:.1f}"]
    return texts


def _measure(options: argparse.Namespace) -> None:
    base = with_values(Settings(), {"device": options.device})
    data = [read_annotated(folder) for folder in options.data]
    compared = sum(int(each.usable.sum()) for each in data)
    titles = [
        f"{figure}, {boxes} boxes" for boxes in ("annotated", "detected") for figure in ("OKS", "change", "other")
    ]
    titles += [f"{figure} from {threshold:g}" for threshold in options.thresholds for figure in ("AP", "MOTA")]
    print(f"{compared} people in {sum(len(each.images) for each in data)} images\n")
    print(f"| settings | {' | '.join(titles)} |\n| --- |{' ---: |' * len(titles)}")
    first = None
    for name, settings in chosen_candidates(base, options.candidates, options.set).items():
        with open_networks(settings) as networks:
            if networks.estimator is None or networks.detector is None:
                raise InputError(f"estimator: expected a top-down network, got {settings.networks.estimator}")
            parts = [score(each, networks.estimator, networks.detector, settings, options.thresholds) for each in data]
        scores = Scores.join(parts)
        first = first or scores
        figures = [counts.figures(DEFAULT, pooled=True) for counts in scores.counts]
        together = [f"{each[figure].total:.1f}" for each in figures for figure in ("AP", "MOTA")]
        print(f"| {name} | {' | '.join([*cells(scores, first), *together])} |", flush=True)


def main() -> None:
    """Print a table with a row for each candidate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", type=Path, required=True, help="folders of annotated images")
    add_candidate_arguments(parser)
    parser.add_argument("--thresholds", nargs="+", type=float, default=[0.0, 0.2], help="least scores of joints")
    parser.add_argument("--device", default="cpu")
    try:
        _measure(parser.parse_args())
    except InputError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
