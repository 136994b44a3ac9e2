"""IDF1 per joint: the share of joints that carry the identity assigned to their track over the whole sequence.

Ristani et al., "Performance measures and a data set for multi-target, multi-camera tracking", 2016: annotated and
predicted tracks are paired once for the whole sequence so that as many joints as possible match; a joint is a true
positive where it matches the joint of its track's partner.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from eval_posetrack.metrics.assignment import best_pairs
from eval_posetrack.metrics.clean import Scene
from eval_posetrack.metrics.match import JOINTS, MATCH_DISTANCE, NearJoints


@dataclass(frozen=True, eq=False)
class IdentityCounts:
    """Counts per joint that add up over sequences."""

    true_positives: np.ndarray  # (15,) IDTP: joints matched by the partner of their track
    annotated: np.ndarray  # (15,)
    predicted: np.ndarray  # (15,)

    def __add__(self, other: IdentityCounts) -> IdentityCounts:
        return IdentityCounts(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    @classmethod
    def none(cls) -> IdentityCounts:
        """Zero counts."""
        return cls(*(np.zeros(JOINTS) for _ in fields(cls)))

    def figures(self) -> dict[str, np.ndarray]:
        """Percentages (15,) by name: idf1, idp, idr; NaN where undefined."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return {
                "idf1": 200 * self.true_positives / (self.annotated + self.predicted),
                "idp": 100 * self.true_positives / self.predicted,
                "idr": 100 * self.true_positives / self.annotated,
            }


def count(scene: Scene, near: NearJoints) -> IdentityCounts:
    """The counts of one sequence."""
    near = near[near.distances <= MATCH_DISTANCE]
    _, ground_truth_tracks = np.unique(scene.ground_truth.ids, return_inverse=True)
    names, predicted_tracks = np.unique(scene.predictions.ids, return_inverse=True)
    many = max(len(names), 1)
    keys = (
        ground_truth_tracks[near.ground_truth_rows] * many + predicted_tracks[near.predicted_rows]
    ) * JOINTS + near.joints
    # Once per predicted joint: in exact mode a frame of the ground truth may have a person twice.
    once = np.unique(keys * max(len(scene.predictions), 1) + near.predicted_rows) // max(len(scene.predictions), 1)
    pairs, frames_together = np.unique(once, return_counts=True)
    joints, tracks = pairs % JOINTS, pairs // JOINTS
    chosen = best_pairs(
        tracks // many * JOINTS + joints, tracks % many * JOINTS + joints, frames_together.astype(float)
    )
    return IdentityCounts(
        true_positives=np.bincount(joints[chosen], frames_together[chosen], minlength=JOINTS),
        annotated=np.isfinite(scene.ground_truth.keypoints[:, :, 0]).sum(axis=0).astype(float),
        predicted=np.isfinite(scene.predictions.keypoints[:, :, 0]).sum(axis=0).astype(float),
    )
