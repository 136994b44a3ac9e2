"""Multi-person average precision per joint (Pishchulin et al. 2016, Andriluka et al. 2018).

Poses are assigned to people by the share of the person's joints that they match. Joints of an assigned pose that match
are true positives, all others false positives. AP is the area under precision over recall, interpolated at all points
as in VOC (Everingham et al. 2010).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eval_posetrack.formats.clip import NO_SCORE
from eval_posetrack.metrics.clean import Scene
from eval_posetrack.metrics.match import JOINTS, MATCH_DISTANCE, NearJoints
from eval_posetrack.metrics.rules import Rules


@dataclass(frozen=True, eq=False)
class ApCounts:
    """Every predicted joint with its score and whether it is correct; lists are joined over sequences."""

    joints: np.ndarray  # (M,) int8, 0..14
    scores: np.ndarray  # (M,)
    correct: np.ndarray  # (M,) bool
    annotated: np.ndarray  # (15,) int64: joints of the ground truth

    def __add__(self, other: ApCounts) -> ApCounts:
        return ApCounts.join([self, other])

    @classmethod
    def join(cls, parts: list[ApCounts]) -> ApCounts:
        """The counts of any number of sequences together."""
        return cls(
            joints=np.concatenate([np.zeros(0, np.int8), *(part.joints for part in parts)]),
            scores=np.concatenate([np.zeros(0), *(part.scores for part in parts)]),
            correct=np.concatenate([np.zeros(0, bool), *(part.correct for part in parts)]),
            annotated=sum((part.annotated for part in parts), np.zeros(JOINTS, int)),
        )

    def best_first(self, joint: int) -> np.ndarray:
        """The predictions of one joint, highest score first, equal scores in their order."""
        of_joint = np.flatnonzero(self.joints == joint)
        return of_joint[np.argsort(-self.scores[of_joint], kind="stable")]

    def figures(self, rules: Rules) -> dict[str, np.ndarray]:
        """Percentages (15,) by name: ap, precision, recall; NaN where undefined."""
        figures = {name: np.full(JOINTS, np.nan) for name in ("ap", "precision", "recall")}
        for k in range(JOINTS):
            of_joint = self.best_first(k)
            values = joint_figures(self.scores[of_joint], self.correct[of_joint], int(self.annotated[k]), rules)
            for name, value in zip(figures, values, strict=True):
                figures[name][k] = 100 * value
        return figures


def assign_poses(scene: Scene, near: NearJoints, rules: Rules) -> np.ndarray:
    """(P,) int64: for each predicted person the row of the annotated person it is assigned to, -1 for none.

    Each prediction chooses the person of whom it matches the largest share of joints; each person then keeps the
    prediction with the largest share. Between equal shares the nearer one is chosen.
    """
    matches = near.distances <= MATCH_DISTANCE
    pair_keys = near.ground_truth_rows[matches] * max(len(scene.predictions), 1) + near.predicted_rows[matches]
    keys, pair, joints_matched = np.unique(pair_keys, return_inverse=True, return_counts=True)
    g, p = keys // max(len(scene.predictions), 1), keys % max(len(scene.predictions), 1)
    share = joints_matched / np.isfinite(scene.ground_truth.keypoints[:, :, 0]).sum(axis=1)[g]
    if rules.ties_by_file_order:
        best_first = np.lexsort((g, -share))
    else:
        mean_distance = np.bincount(pair, near.distances[matches]) / joints_matched
        best_first = np.lexsort((g, p, mean_distance, -share))
    g, p, share = g[best_first], p[best_first], share[best_first]
    own = np.unique(p, return_index=True)[1]  # row of the best person of each prediction
    order = (scene.predictions.rows[p[own]], -share[own]) if rules.ties_by_file_order else (own,)
    own = own[np.lexsort(order)]
    taken = own[np.unique(g[own], return_index=True)[1]]
    assigned = np.full(len(scene.predictions), -1)
    assigned[p[taken]] = g[taken]
    return assigned


def count(scene: Scene, near: NearJoints, assigned: np.ndarray) -> ApCounts:
    """The predicted joints of one sequence, given the assignment (P,) of `assign_poses`."""
    correct = np.zeros((len(scene.predictions), JOINTS), bool)
    hit = (near.distances <= MATCH_DISTANCE) & (assigned[near.predicted_rows] == near.ground_truth_rows)
    correct[near.predicted_rows[hit], near.joints[hit]] = True
    people, joints = np.nonzero(np.isfinite(scene.predictions.keypoints[:, :, 0]))
    return ApCounts(
        joints=joints.astype(np.int8),
        scores=np.nan_to_num(scene.predictions.keypoint_scores[people, joints], nan=NO_SCORE),
        correct=correct[people, joints],
        annotated=np.isfinite(scene.ground_truth.keypoints[:, :, 0]).sum(axis=0),
    )


def joint_figures(
    scores: np.ndarray, correct: np.ndarray, annotated: float, rules: Rules, weights: np.ndarray | None = None
) -> tuple[float, float, float]:
    """AP, precision and recall of one joint, 0..1 or NaN.

    Args:
        scores: (M,) of the predicted joints, highest first.
        correct: (M,) bool: true positives.
        annotated: how many joints are annotated.
        rules: the deviations in force.
        weights: (M,) int: how often each counts; once when not given.
    """
    weights = np.ones(len(scores), int) if weights is None else weights
    if not weights.any():
        if rules.absent_joints_score_zero:
            return 0.0, 0.0, 0.0
        return (0.0, np.nan, 0.0) if annotated else (np.nan, np.nan, np.nan)
    hits = np.cumsum(weights * correct)
    precision = hits / np.maximum(np.cumsum(weights), 1)
    if not annotated:
        return np.nan, float(precision[-1]), np.nan
    recall = hits / annotated
    if not rules.ties_by_file_order:  # equal scores pass a threshold at the same time
        together = np.append(np.diff(scores) != 0, True)
        precision, recall = precision[together], recall[together]
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float((np.diff(recall, prepend=0) * envelope).sum()), float(precision[-1]), float(recall[-1])
