"""Where the points are: what the same predictions would score if one of their faults were gone."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace

import numpy as np

from eval_posetrack.average_precision import assign_poses
from eval_posetrack.clean import Scene
from eval_posetrack.counts import Counts, Figure, count
from eval_posetrack.match import MATCH_DISTANCE, NearJoints, near_joints
from eval_posetrack.rules import Rules

Cure = Callable[[Scene, NearJoints, np.ndarray], Scene]


def with_perfect_ids(scene: Scene, near: NearJoints, assigned: np.ndarray) -> Scene:
    """Every pose assigned to a person has that person's id; the others keep ids of their own."""
    del near
    ids = scene.found.ids + scene.truth.ids.max(initial=0) + 1
    ids[assigned >= 0] = scene.truth.ids[assigned[assigned >= 0]]
    return replace(scene, found=replace(scene.found, ids=ids))


def with_perfect_joints(scene: Scene, near: NearJoints, assigned: np.ndarray) -> Scene:
    """Every pose assigned to a person has exactly that person's joints."""
    del near
    keypoints = scene.found.keypoints.copy()
    keypoints[assigned >= 0] = scene.truth.keypoints[assigned[assigned >= 0]]
    return replace(scene, found=replace(scene.found, keypoints=keypoints))


def without_false_positives(scene: Scene, near: NearJoints, assigned: np.ndarray) -> Scene:
    """Only joints that match the person their pose is assigned to."""
    right = (near.distances <= MATCH_DISTANCE) & (assigned[near.found_rows] == near.truth_rows)
    there = np.zeros(scene.found.keypoints.shape[:2], bool)
    there[near.found_rows[right], near.joints[right]] = True
    keypoints = np.where(there[:, :, None], scene.found.keypoints, np.nan)
    return replace(scene, found=replace(scene.found, keypoints=keypoints))


CURES: dict[str, Cure] = {
    "perfect ids": with_perfect_ids,
    "perfect joints where matched": with_perfect_joints,
    "no false positives": without_false_positives,
}


def oracle(scenes: Iterable[Scene], rules: Rules, metrics: Collection[str]) -> dict[str, dict[str, Figure]]:
    """The figures as they are, with each fault cured, and with all three: what is left then are missed people.

    Args:
        scenes: the sequences, cleaned.
        rules: of the mode.
        metrics: as in `evaluate`.
    """
    rows: dict[str, list[Counts]] = {name: [] for name in ("as it is", *CURES, "all of these")}
    for scene in scenes:
        near = near_joints(scene)
        assigned = assign_poses(scene, near, rules)
        rows["as it is"].append(count(scene, rules, metrics, near))
        for name, cure in CURES.items():
            rows[name].append(count(cure(scene, near, assigned), rules, metrics))
        cured = with_perfect_ids(scene, near, assigned)
        cured = with_perfect_joints(cured, near, assigned)
        cured = without_false_positives(cured, near_joints(cured), assigned)
        rows["all of these"].append(count(cured, rules, metrics))
    return {name: Counts.join(parts).figures(rules, pooled=True) for name, parts in rows.items()}
