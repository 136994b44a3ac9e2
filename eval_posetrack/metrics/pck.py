"""PCK and PCKh: the share of annotated joints predicted within a distance relative to the body's size.

PCKh measures in head sizes, 0.6 x diagonal of the head box (MPII: Andriluka et al., "2D human pose estimation: new
benchmark and state of the art analysis", 2014); PCK in torso lengths, left shoulder to right hip (as usual on LSP:
Johnson and Everingham 2010). Each person is compared with the prediction assigned to it as for AP; the joints of people
without one are missed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eval_posetrack.metrics.clean import Scene
from eval_posetrack.metrics.match import JOINTS
from posetrail.skeletons import POSETRACK_15

PCKH_THRESHOLD = 0.5  # MPII's
PCK_THRESHOLD = 0.2  # LSP's
_TORSO = (POSETRACK_15.index("left_shoulder"), POSETRACK_15.index("right_hip"))


@dataclass(frozen=True, eq=False)
class PckCounts:
    """The distance of every joint; lists are joined over sequences. NaN: not annotated; inf: not predicted."""

    in_heads: np.ndarray  # (P, 15)
    in_torsos: np.ndarray  # (P, 15), NaN also for people whose torso is not annotated

    def __add__(self, other: PckCounts) -> PckCounts:
        return PckCounts.join([self, other])

    @classmethod
    def join(cls, parts: list[PckCounts]) -> PckCounts:
        """The counts of several sequences together."""
        none = np.zeros((0, JOINTS))
        return cls(
            in_heads=np.concatenate([none, *(part.in_heads for part in parts)]),
            in_torsos=np.concatenate([none, *(part.in_torsos for part in parts)]),
        )

    def figures(self, *, pckh: float = PCKH_THRESHOLD, pck: float = PCK_THRESHOLD) -> dict[str, np.ndarray]:
        """Percentages (15,) by name: pckh and pck at these thresholds; NaN without annotated joints."""
        out = {}
        for name, distances, threshold in (("pckh", self.in_heads, pckh), ("pck", self.in_torsos, pck)):
            with np.errstate(invalid="ignore"):
                out[name] = 100 * (distances <= threshold).sum(axis=0) / (~np.isnan(distances)).sum(axis=0)
        return out


def count(scene: Scene, assigned: np.ndarray) -> PckCounts:
    """The distances of one sequence.

    Args:
        scene: with P annotated people.
        assigned: for each predicted person the row of its annotated person, each at most once; -1 for none.
    """
    pixels = np.where(np.isnan(scene.ground_truth.keypoints[:, :, 0]), np.nan, np.inf)
    detected = np.flatnonzero(assigned >= 0)
    rows = assigned[detected]
    step = scene.ground_truth.keypoints[rows] - scene.predictions.keypoints[detected]
    reached = np.sqrt(step[:, :, 0] ** 2 + step[:, :, 1] ** 2)
    pixels[rows] = np.where(np.isnan(reached), pixels[rows], reached)
    torso = scene.ground_truth.keypoints[:, _TORSO[0]] - scene.ground_truth.keypoints[:, _TORSO[1]]
    torso_sizes = np.sqrt((torso**2).sum(axis=1))
    torso_sizes[torso_sizes == 0] = np.nan  # a torso of length 0 cannot be a unit
    with np.errstate(divide="ignore", invalid="ignore"):
        return PckCounts(pixels / scene.ground_truth.head_sizes[:, None], pixels / torso_sizes[:, None])
