"""MOTA and AP as functions of score thresholds: poses and joints below a score are left out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from eval_posetrack.formats.clip import NO_SCORE
from eval_posetrack.metrics.clean import Scene
from eval_posetrack.metrics.counts import Counts, count
from eval_posetrack.metrics.match import near_joints
from eval_posetrack.metrics.oks_ap import pose_scores
from eval_posetrack.metrics.rules import Rules

STEPS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(frozen=True, eq=False)
class Sweep:
    """The totals for each pair of thresholds."""

    pose_scores: tuple[float, ...]  # A thresholds on the score of a person
    joint_scores: tuple[float, ...]  # B thresholds on the score of a joint
    mota: np.ndarray  # (A, B) percent
    ap: np.ndarray  # (A, B) percent

    def best(self, table: np.ndarray) -> tuple[float, float, float]:
        """Pose threshold, joint threshold and value at the maximum of a table (A, B); the first of equal ones."""
        a, b = np.unravel_index(np.nanargmax(table), table.shape)
        return self.pose_scores[a], self.joint_scores[b], float(table[a, b])


def sweep(
    scenes: Iterable[Scene],
    rules: Rules,
    *,
    pose_steps: Sequence[float] = STEPS,
    joint_steps: Sequence[float] = STEPS,
) -> Sweep:
    """Score the same predictions for each pair of thresholds; people and joints with at least that score are kept.

    A person without a score has the mean score of its joints; people and joints without any score are kept.

    Args:
        scenes: the sequences, cleaned.
        rules: the deviations in force.
        pose_steps: thresholds for people.
        joint_steps: thresholds for joints.
    """
    parts: dict[tuple[int, int], list[Counts]] = {place: [] for place in np.ndindex(len(pose_steps), len(joint_steps))}
    for scene in scenes:
        near = near_joints(scene)
        of_people = pose_scores(scene.predictions)
        of_people = np.where(of_people == NO_SCORE, np.inf, of_people).astype(np.float32)  # float32 as in clips
        of_joints = np.nan_to_num(scene.predictions.keypoint_scores, nan=np.inf)
        for (a, b), counts in parts.items():
            kept = (of_people >= np.float32(pose_steps[a]))[:, None] & (of_joints >= joint_steps[b])
            keypoints = np.where(kept[:, :, None], scene.predictions.keypoints, np.nan)
            filtered = replace(scene, predictions=replace(scene.predictions, keypoints=keypoints))
            counts.append(count(filtered, rules, ("AP", "MOT"), near[kept[near.predicted_rows, near.joints]]))
    mota, ap = np.full((2, len(pose_steps), len(joint_steps)), np.nan)
    for place, counts in parts.items():
        figures = Counts.join(counts).figures(rules, pooled=True)
        mota[place], ap[place] = figures["MOTA"].total, figures["AP"].total
    return Sweep(tuple(pose_steps), tuple(joint_steps), mota, ap)
