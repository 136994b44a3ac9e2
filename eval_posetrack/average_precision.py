"""Multi-person average precision per joint (Pishchulin et al. 2016, Andriluka et al. 2018).

Poses are assigned to people by the share of their joints that match; the joints of an assigned pose are true positives
where they match, all others are false positives. Precision over recall as in VOC, all points (Everingham 2010).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eval_posetrack.clean import Scene
from eval_posetrack.clip import NO_SCORE
from eval_posetrack.match import JOINTS, MATCH_DISTANCE, NearJoints
from eval_posetrack.rules import Rules


@dataclass(frozen=True, eq=False)
class ApCounts:
    """Every predicted joint with its score and whether it is right; lists are joined over sequences."""

    joints: np.ndarray  # (M,) int8, 0..14
    scores: np.ndarray  # (M,)
    right: np.ndarray  # (M,) bool
    annotated: np.ndarray  # (15,) int64: joints of the ground truth

    def __add__(self, other: ApCounts) -> ApCounts:
        return ApCounts.join([self, other])

    @classmethod
    def join(cls, parts: list[ApCounts]) -> ApCounts:
        """The counts of several sequences as one; none is no counts."""
        return cls(
            joints=np.concatenate([np.zeros(0, np.int8), *(part.joints for part in parts)]),
            scores=np.concatenate([np.zeros(0), *(part.scores for part in parts)]),
            right=np.concatenate([np.zeros(0, bool), *(part.right for part in parts)]),
            annotated=sum((part.annotated for part in parts), np.zeros(JOINTS, int)),
        )

    def best_first(self, joint: int) -> np.ndarray:
        """The predictions of one joint, highest score first; equal scores in their order."""
        of_joint = np.flatnonzero(self.joints == joint)
        return of_joint[np.argsort(-self.scores[of_joint], kind="stable")]

    def figures(self, rules: Rules) -> dict[str, np.ndarray]:
        """Percentages (15,) by name: ap, precision, recall; NaN where there is nothing to divide by."""
        figures = {name: np.full(JOINTS, np.nan) for name in ("ap", "precision", "recall")}
        for k in range(JOINTS):
            of_joint = self.best_first(k)
            values = joint_figures(self.scores[of_joint], self.right[of_joint], int(self.annotated[k]), rules)
            for name, value in zip(figures, values, strict=True):
                figures[name][k] = 100 * value
        return figures


def assign_poses(scene: Scene, near: NearJoints, rules: Rules) -> np.ndarray:
    """(P,) int64: for every predicted person the row of the person it is assigned to, -1 for none.

    Each prediction keeps the person of whom it matches the largest share of joints, each person then the prediction
    with the largest share. Among equal shares the nearest wins.
    """
    matches = near.distances <= MATCH_DISTANCE
    pair_keys = near.truth_rows[matches] * max(len(scene.found), 1) + near.found_rows[matches]
    keys, pair, joints_matched = np.unique(pair_keys, return_inverse=True, return_counts=True)
    g, p = keys // max(len(scene.found), 1), keys % max(len(scene.found), 1)
    share = joints_matched / np.isfinite(scene.truth.keypoints[:, :, 0]).sum(axis=1)[g]
    if rules.first_in_the_list_wins:
        best_first = np.lexsort((g, -share))
    else:
        mean_distance = np.bincount(pair, near.distances[matches]) / joints_matched
        best_first = np.lexsort((g, p, mean_distance, -share))
    g, p, share = g[best_first], p[best_first], share[best_first]
    own = np.unique(p, return_index=True)[1]  # the best person of each prediction
    order = (scene.found.rows[p[own]], -share[own]) if rules.first_in_the_list_wins else (own,)
    own = own[np.lexsort(order)]
    taken = own[np.unique(g[own], return_index=True)[1]]
    assigned = np.full(len(scene.found), -1)
    assigned[p[taken]] = g[taken]
    return assigned


def count(scene: Scene, near: NearJoints, assigned: np.ndarray) -> ApCounts:
    """The predicted joints of one sequence, whose poses are assigned to people (P,) as by `assign_poses`."""
    right = np.zeros((len(scene.found), JOINTS), bool)
    hit = (near.distances <= MATCH_DISTANCE) & (assigned[near.found_rows] == near.truth_rows)
    right[near.found_rows[hit], near.joints[hit]] = True
    people, joints = np.nonzero(np.isfinite(scene.found.keypoints[:, :, 0]))
    return ApCounts(
        joints=joints.astype(np.int8),
        scores=np.nan_to_num(scene.found.keypoint_scores[people, joints], nan=NO_SCORE),
        right=right[people, joints],
        annotated=np.isfinite(scene.truth.keypoints[:, :, 0]).sum(axis=0),
    )


def joint_figures(
    scores: np.ndarray, right: np.ndarray, annotated: float, rules: Rules, weights: np.ndarray | None = None
) -> tuple[float, float, float]:
    """AP, precision and recall of one joint, 0..1 or NaN.

    Args:
        scores: (M,) of the predicted joints, highest first.
        right: (M,) bool: true positives.
        annotated: how many there are to find.
        rules: of the mode.
        weights: (M,) int: how often each counts; once by default.
    """
    weights = np.ones(len(scores), int) if weights is None else weights
    if not weights.any():
        if rules.absent_joints_score_zero:
            return 0.0, 0.0, 0.0
        return (0.0, np.nan, 0.0) if annotated else (np.nan, np.nan, np.nan)
    hits = np.cumsum(weights * right)
    precision = hits / np.maximum(np.cumsum(weights), 1)
    if not annotated:
        return np.nan, float(precision[-1]), np.nan
    recall = hits / annotated
    if not rules.first_in_the_list_wins:  # equal scores pass a threshold together
        together = np.append(np.diff(scores) != 0, True)
        precision, recall = precision[together], recall[together]
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float((np.diff(recall, prepend=0) * envelope).sum()), float(precision[-1]), float(recall[-1])
