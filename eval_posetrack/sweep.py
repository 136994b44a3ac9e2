"""Which scores to trust: MOTA and AP when poses and joints below a score are left out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from eval_posetrack.clean import Scene
from eval_posetrack.clip import NO_SCORE
from eval_posetrack.counts import Counts, count
from eval_posetrack.match import near_joints
from eval_posetrack.oks_ap import pose_scores
from eval_posetrack.rules import Rules

STEPS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(frozen=True, eq=False)
class Sweep:
    """The totals at every pair of thresholds."""

    pose_scores: tuple[float, ...]  # A thresholds on the score of a person
    joint_scores: tuple[float, ...]  # B thresholds on the score of a joint
    mota: np.ndarray  # (A, B) percent
    ap: np.ndarray  # (A, B) percent

    def best(self, table: np.ndarray) -> tuple[float, float, float]:
        """Pose threshold, joint threshold and value where a table (A, B) is highest; the first of equals."""
        a, b = np.unravel_index(np.nanargmax(table), table.shape)
        return self.pose_scores[a], self.joint_scores[b], float(table[a, b])


def sweep(
    scenes: Iterable[Scene],
    rules: Rules,
    *,
    pose_steps: Sequence[float] = STEPS,
    joint_steps: Sequence[float] = STEPS,
) -> Sweep:
    """Score the same predictions at every pair of thresholds; a person or joint stays if its score is at least that.

    The score of a person without one is the mean of its joints'; without any score, people and joints stay.

    Args:
        scenes: the sequences, cleaned.
        rules: of the mode.
        pose_steps: thresholds for people.
        joint_steps: thresholds for joints.
    """
    parts: dict[tuple[int, int], list[Counts]] = {place: [] for place in np.ndindex(len(pose_steps), len(joint_steps))}
    for scene in scenes:
        near = near_joints(scene)
        of_people = pose_scores(scene.found)
        of_people = np.where(of_people == NO_SCORE, np.inf, of_people).astype(np.float32)  # as clips hold them
        of_joints = np.nan_to_num(scene.found.keypoint_scores, nan=np.inf)
        for (a, b), counts in parts.items():
            stays = (of_people >= np.float32(pose_steps[a]))[:, None] & (of_joints >= joint_steps[b])
            keypoints = np.where(stays[:, :, None], scene.found.keypoints, np.nan)
            thinned = replace(scene, found=replace(scene.found, keypoints=keypoints))
            counts.append(count(thinned, rules, ("AP", "MOT"), near[stays[near.found_rows, near.joints]]))
    mota, ap = np.full((2, len(pose_steps), len(joint_steps)), np.nan)
    for place, counts in parts.items():
        figures = Counts.join(counts).figures(rules, pooled=True)
        mota[place], ap[place] = figures["MOTA"].total, figures["AP"].total
    return Sweep(tuple(pose_steps), tuple(joint_steps), mota, ap)
