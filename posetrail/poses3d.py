"""The data that lifting exchanges: one person's 2-D joints over time, at equal steps of time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from posetrail.poses import check_array


@dataclass(frozen=True, eq=False)
class PoseSequence:
    """One person's 2-D joints at T equal steps of time; T may be 0.

    Raises:
        ValueError: shapes differ from those below, or the image size is not two positive numbers.
    """

    keypoints: np.ndarray  # (T, K, 2) float32 x y, pixels; NaN where missing
    keypoint_scores: np.ndarray  # (T, K) float32, 0..1; 0 where missing
    image_size: tuple[int, int]  # width, height, pixels

    def __post_init__(self) -> None:
        check_array(self, "keypoints", np.float32, ("T", "K", 2))
        check_array(self, "keypoint_scores", np.float32, ("T", "K"))
        if self.keypoints.shape[:2] != self.keypoint_scores.shape:
            raise ValueError(
                f"PoseSequence: expected keypoint_scores of shape {self.keypoints.shape[:2]} as of the keypoints, "
                f"got {self.keypoint_scores.shape}"
            )
        if len(self.image_size) != 2 or min(self.image_size) <= 0:
            raise ValueError(f"PoseSequence.image_size: expected a width and a height in pixels, got {self.image_size}")

    def __len__(self) -> int:
        return len(self.keypoints)

    @property
    def present(self) -> np.ndarray:
        """(T, K) bool: joints with a position and a score above 0."""
        return np.isfinite(self.keypoints).all(axis=2) & (self.keypoint_scores > 0)
