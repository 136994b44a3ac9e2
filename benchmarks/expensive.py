"""The reference of `benchmarks.agreement`: the same networks in a configuration too slow for everyday use.

Each crop is estimated at several crop scales, each with its mirror image, and the results are averaged; the detector
runs on every frame, at a larger input size. The reference is a run's folder: it is inferred once, resumed when
interrupted, and can be drawn by `posetrail draw`.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np

from posetrail.errors import InputError
from posetrail.frame import Frame
from posetrail.poses import Poses
from posetrail.protocols import Estimator
from posetrail.similarity import box_area, joint_similarity
from posetrail.skeletons import Skeleton
from tracker.runs.folder import track_to_folder
from tracker.runs.networks import open_networks
from tracker.settings import Settings

DETECTOR_INPUT_PX = 1152
CROP_SCALES = (1.0, 1.1, 1.2, 1.3, 1.4, 1.5)
_AGREEMENT_AREA = 0.25
"""Share of the box area by which estimates of a joint are compared: half of the spread that OKS allows."""


class AveragedEstimator:
    """Averages several estimators; a posetrail.protocols.Estimator.

    Args:
        estimators: one or more, of the same skeleton.
        name: recorded in run.json, because averages of other estimators are another reference.
    """

    def __init__(self, estimators: Sequence[Estimator], name: str) -> None:
        self._estimators = estimators
        self.name = name

    @property
    def skeleton(self) -> Skeleton:
        """The skeleton of the estimators."""
        return self._estimators[0].skeleton

    def __call__(self, frames: Sequence[Frame], boxes: Sequence[np.ndarray]) -> list[Poses]:
        """One Poses per frame, row i of it for box i."""
        answers = [estimator(frames, boxes) for estimator in self._estimators]
        return [self._average(of_frame) for of_frame in zip(*answers, strict=True)]

    def _average(self, estimates: Sequence[Poses]) -> Poses:
        keypoints, scores = consensus(
            np.stack([each.keypoints for each in estimates]).astype(float),
            np.stack([each.keypoint_scores for each in estimates]).astype(float),
            box_area(estimates[0].boxes),
            self.skeleton.oks_sigmas,
        )
        return replace(estimates[0], keypoints=keypoints, keypoint_scores=scores)


def consensus(
    keypoints: np.ndarray, scores: np.ndarray, areas: np.ndarray, sigmas: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    """Average estimates of the same joints around the one that most of the others support.

    A plain mean would put a joint between two people if some of the estimates are on one and some on the other. Here,
    the support of an estimate is the sum of the scores of all, each weighted by its similarity to it (the factor of
    OKS); the average is weighted by the similarities to the estimate with the most support.

    Args:
        keypoints: (S, N, K, 2) pixels of S estimates, NaN where missing.
        scores: (S, N, K) 0..1.
        areas: (N,) square pixels of the people's boxes.
        sigmas: (K,) of the skeleton.

    Returns:
        keypoints (N, K, 2), and scores (N, K): the mean over all estimates of score times similarity, so that joints on
        which they disagree have low scores.
    """
    offsets = keypoints[:, None] - keypoints
    similarity = joint_similarity(offsets, _AGREEMENT_AREA * areas, (2 * np.asarray(sigmas)) ** 2)
    votes = np.nan_to_num(similarity) * scores  # (S, S, N, K): of the second for the first
    best = votes.sum(axis=1).argmax(axis=0)
    weights = np.take_along_axis(votes, best[None, None], axis=0)[0]  # (S, N, K)
    total = weights.sum(axis=0)
    with np.errstate(invalid="ignore"):
        average = (weights[..., None] * np.nan_to_num(keypoints)).sum(axis=0) / total[..., None]
    return average, total / len(keypoints)


def full_cost(settings: Settings) -> Settings:
    """The settings in float32, with detection on every frame and a detector input of DETECTOR_INPUT_PX if not set."""
    detector_input_px = settings.networks.detector_input_px or DETECTOR_INPUT_PX
    return replace(
        settings,
        networks=replace(settings.networks, precision="float32", detector_input_px=detector_input_px),
        inference=replace(settings.inference, detect_every=1),
    )


def expensive(settings: Settings) -> Settings:
    """`full_cost` with mirrored crops."""
    settings = full_cost(settings)
    return replace(settings, networks=replace(settings.networks, flip_test=True))


def make_reference(
    clip: Path, folder: Path, settings: Settings | None = None, *, scales: Sequence[float] = CROP_SCALES
) -> None:
    """Track a clip in the expensive configuration, or keep the finished reference in the folder.

    Without scales, the configuration is `full_cost` instead.

    Args:
        clip: a video, a folder of images or a glob.
        folder: of the run.
        settings: of networks, inference and association, the defaults if not given; `expensive` changes some of them.
        scales: crop scales to average over; with none, crops are those of the settings, without flip test.

    Raises:
        InputError: the networks are bottom-up, or the folder has a reference of other settings.
    """
    if not scales:
        track_to_folder(clip, folder, full_cost(settings or Settings()))
        return
    settings = expensive(settings or Settings())
    with ExitStack() as stack:
        estimators = []
        for scale in scales:
            of_scale = replace(settings, networks=replace(settings.networks, crop_scale=scale))
            estimator = stack.enter_context(open_networks(of_scale)).estimator
            if estimator is None:
                raise InputError(
                    f"estimator: expected a top-down network, whose crops have a scale, got "
                    f"{settings.networks.estimator}"
                )
            estimators.append(estimator)
        name = f"{settings.networks.estimator} with flip test, at crop scales {', '.join(f'{s:g}' for s in scales)}"
        track_to_folder(clip, folder, settings, estimator=AveragedEstimator(estimators, name))
