"""Upper bounds: what the same predictions would score if one kind of error were corrected."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace

import numpy as np

from eval_posetrack.metrics.average_precision import assign_poses
from eval_posetrack.metrics.clean import Scene
from eval_posetrack.metrics.counts import Counts, Figure, count
from eval_posetrack.metrics.match import MATCH_DISTANCE, NearJoints, near_joints
from eval_posetrack.metrics.rules import Rules

Correction = Callable[[Scene, NearJoints, np.ndarray], Scene]


def with_perfect_ids(scene: Scene, near: NearJoints, assigned: np.ndarray) -> Scene:
    """Each pose assigned to a person gets that person's id; the others keep their ids, made distinct from those."""
    del near
    ids = scene.predictions.ids + scene.ground_truth.ids.max(initial=0) + 1
    ids[assigned >= 0] = scene.ground_truth.ids[assigned[assigned >= 0]]
    return replace(scene, predictions=replace(scene.predictions, ids=ids))


def with_perfect_joints(scene: Scene, near: NearJoints, assigned: np.ndarray) -> Scene:
    """Each pose assigned to a person gets exactly that person's joints."""
    del near
    keypoints = scene.predictions.keypoints.copy()
    keypoints[assigned >= 0] = scene.ground_truth.keypoints[assigned[assigned >= 0]]
    return replace(scene, predictions=replace(scene.predictions, keypoints=keypoints))


def without_false_positives(scene: Scene, near: NearJoints, assigned: np.ndarray) -> Scene:
    """Keep only joints that match the person their pose is assigned to."""
    correct = (near.distances <= MATCH_DISTANCE) & (assigned[near.predicted_rows] == near.ground_truth_rows)
    there = np.zeros(scene.predictions.keypoints.shape[:2], bool)
    there[near.predicted_rows[correct], near.joints[correct]] = True
    keypoints = np.where(there[:, :, None], scene.predictions.keypoints, np.nan)
    return replace(scene, predictions=replace(scene.predictions, keypoints=keypoints))


CORRECTIONS: dict[str, Correction] = {
    "perfect ids": with_perfect_ids,
    "perfect joints where matched": with_perfect_joints,
    "no false positives": without_false_positives,
}


def oracle(scenes: Iterable[Scene], rules: Rules, metrics: Collection[str]) -> dict[str, dict[str, Figure]]:
    """The figures unchanged, with each kind of error corrected, and with all three; only missed people remain then.

    Args:
        scenes: the sequences, cleaned.
        rules: the deviations in force.
        metrics: as in `evaluate`.
    """
    rows: dict[str, list[Counts]] = {name: [] for name in ("uncorrected", *CORRECTIONS, "all three")}
    for scene in scenes:
        near = near_joints(scene)
        assigned = assign_poses(scene, near, rules)
        rows["uncorrected"].append(count(scene, rules, metrics, near))
        for name, correct in CORRECTIONS.items():
            rows[name].append(count(correct(scene, near, assigned), rules, metrics))
        corrected = with_perfect_ids(scene, near, assigned)
        corrected = with_perfect_joints(corrected, near, assigned)
        corrected = without_false_positives(corrected, near_joints(corrected), assigned)
        rows["all three"].append(count(corrected, rules, metrics))
    return {name: Counts.join(parts).figures(rules, pooled=True) for name, parts in rows.items()}
