"""Pairs of predicted and annotated joints that are near each other, from which all metrics per joint are counted.

Distances are PCKh distances: pixels / (0.6 x diagonal of the annotated head box); a match is <= 0.5 (Andriluka et al.
2014). Only near pairs are kept, so their number grows with the joints and not with the square of the people.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from eval_posetrack.metrics.clean import People, Scene
from posetrail.poses import Rows
from posetrail.skeletons import POSETRACK_15

JOINTS = len(POSETRACK_15)
MATCH_DISTANCE = 0.5
# PoseTrack21's HOTA uses the similarity 1 - d / 0.5001; no metric uses pairs that are farther apart.
NEAR_DISTANCE = 0.5001
_PAIRS_PER_STEP = 1_000_000


@dataclass(frozen=True, eq=False)
class NearJoints(Rows):
    """All pairs of an annotated and a predicted joint of the same kind and frame with d <= 0.5001, in frame order."""

    ground_truth_rows: np.ndarray  # (N,) int64: person of the ground truth
    predicted_rows: np.ndarray  # (N,) int64: predicted person
    joints: np.ndarray  # (N,) int64, 0..14
    distances: np.ndarray  # (N,) 0..0.5001


def near_joints(scene: Scene) -> NearJoints:
    """All near pairs of joints of a scene."""
    ground_truth, predictions = scene.ground_truth, scene.predictions
    reach = _reach(ground_truth.keypoints, NEAR_DISTANCE * ground_truth.head_sizes)
    spans = _reach(predictions.keypoints, np.zeros(len(predictions)))
    parts: list[tuple[np.ndarray, ...]] = []
    for g, p in same_frame_pairs(ground_truth.frames, predictions.frames, scene.num_frames):
        # People whose enlarged boxes do not overlap have no near joints; this removes most pairs of a crowd.
        touch = (reach[g, 0] <= spans[p, 2]) & (spans[p, 0] <= reach[g, 2])
        touch &= (reach[g, 1] <= spans[p, 3]) & (spans[p, 1] <= reach[g, 3])
        g, p = g[touch], p[touch]
        distances = joint_distances(ground_truth, predictions, g, p)
        pair, joint = np.nonzero(distances <= NEAR_DISTANCE)
        parts.append((g[pair], p[pair], joint, distances[pair, joint]))
    if not parts:
        none = np.zeros(0, int)
        return NearJoints(none, none, none, np.zeros(0))
    return NearJoints(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def joint_distances(ground_truth: People, predictions: People, g: np.ndarray, p: np.ndarray) -> np.ndarray:
    """(N, 15) PCKh distances between annotated people g (N,) and predicted people p (N,), NaN for missing joints."""
    step = ground_truth.keypoints[g] - predictions.keypoints[p]
    with np.errstate(divide="ignore", invalid="ignore"):  # a head of size 0 gives inf or NaN, as in the official kit
        return np.sqrt(step[:, :, 0] ** 2 + step[:, :, 1] ** 2) / ground_truth.head_sizes[g, None]


def same_frame_pairs(
    frames_a: np.ndarray, frames_b: np.ndarray, num_frames: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """All pairs of rows (N,), (N,) of the same frame, in frame order, some frames at a time.

    Args:
        frames_a: (A,) non-decreasing.
        frames_b: (B,) non-decreasing.
        num_frames: all frames are below this.
    """
    edges = np.arange(num_frames + 1)
    starts_a, starts_b = np.searchsorted(frames_a, edges), np.searchsorted(frames_b, edges)
    wide = np.diff(starts_b)
    counts = np.diff(starts_a) * wide
    step = np.cumsum(counts) // _PAIRS_PER_STEP
    for first, last in zip(*_runs(step), strict=True):
        of_frame = counts[first:last]
        frame = np.repeat(np.arange(first, last), of_frame)
        rank = np.arange(len(frame)) - np.repeat(np.cumsum(of_frame) - of_frame, of_frame)
        yield starts_a[frame] + rank // wide[frame], starts_b[frame] + rank % wide[frame]


def _runs(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First and one past last position of each run of equal labels."""
    firsts = np.flatnonzero(np.diff(labels, prepend=-1))
    return firsts, np.append(firsts[1:], len(labels))[: len(firsts)]


def _reach(keypoints: np.ndarray, margin: np.ndarray) -> np.ndarray:
    """(P, 4) bounding box of each person's joints, enlarged by a margin (P,) on all sides."""
    with np.errstate(invalid="ignore"):
        low = np.nan_to_num(keypoints, nan=np.inf).min(axis=1, initial=np.inf) - margin[:, None]
        high = np.nan_to_num(keypoints, nan=-np.inf).max(axis=1, initial=-np.inf) + margin[:, None]
    return np.concatenate([low, high], axis=1)


def joints_per_frame(frames: np.ndarray, keypoints: np.ndarray, num_frames: int) -> np.ndarray:
    """(F, 15) int64: how many people have the joint."""
    there = np.isfinite(keypoints[:, :, 0])
    people, joints = np.nonzero(there)
    return np.bincount(frames[people] * JOINTS + joints, minlength=num_frames * JOINTS).reshape(-1, JOINTS)
