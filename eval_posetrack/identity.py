"""IDF1 per joint: how long the right people are followed, whatever happens in between.

Ristani et al., "Performance measures and a data set for multi-target, multi-camera tracking", 2016: tracks are paired
once for the whole sequence so that the most joints agree; a joint counts where its own partner is near.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from eval_posetrack.assignment import best_pairs
from eval_posetrack.clean import Scene
from eval_posetrack.match import JOINTS, MATCH_DISTANCE, NearJoints


@dataclass(frozen=True, eq=False)
class IdentityCounts:
    """Counts per joint that add up over sequences."""

    true_positives: np.ndarray  # (15,) IDTP: joints followed by the partner of their track
    annotated: np.ndarray  # (15,)
    predicted: np.ndarray  # (15,)

    def __add__(self, other: IdentityCounts) -> IdentityCounts:
        return IdentityCounts(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    @classmethod
    def none(cls) -> IdentityCounts:
        """Nothing seen yet."""
        return cls(*(np.zeros(JOINTS) for _ in fields(cls)))

    def figures(self) -> dict[str, np.ndarray]:
        """Percentages (15,) by name: idf1, idp, idr; NaN where that would divide by 0."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return {
                "idf1": 200 * self.true_positives / (self.annotated + self.predicted),
                "idp": 100 * self.true_positives / self.predicted,
                "idr": 100 * self.true_positives / self.annotated,
            }


def count(scene: Scene, near: NearJoints) -> IdentityCounts:
    """The counts of one sequence."""
    near = near[near.distances <= MATCH_DISTANCE]
    _, truth_tracks = np.unique(scene.truth.ids, return_inverse=True)
    names, found_tracks = np.unique(scene.found.ids, return_inverse=True)
    many = max(len(names), 1)
    keys = (truth_tracks[near.truth_rows] * many + found_tracks[near.found_rows]) * JOINTS + near.joints
    # Once per predicted joint: in exact mode the same person may stand twice in a frame of the ground truth.
    once = np.unique(keys * max(len(scene.found), 1) + near.found_rows) // max(len(scene.found), 1)
    pairs, frames_together = np.unique(once, return_counts=True)
    joints, tracks = pairs % JOINTS, pairs // JOINTS
    chosen = best_pairs(
        tracks // many * JOINTS + joints, tracks % many * JOINTS + joints, frames_together.astype(float)
    )
    return IdentityCounts(
        true_positives=np.bincount(joints[chosen], frames_together[chosen], minlength=JOINTS),
        annotated=np.isfinite(scene.truth.keypoints[:, :, 0]).sum(axis=0).astype(float),
        predicted=np.isfinite(scene.found.keypoints[:, :, 0]).sum(axis=0).astype(float),
    )
