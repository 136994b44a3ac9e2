"""3-D tracks of people in flat arrays: what lifting makes, files hold and angles are computed from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from posetrail.poses import check_array, check_same_length
from posetrail.skeletons import Skeleton

_ARRAYS = (
    "frame_indices", "times_s", "track_ids", "keypoints", "keypoint_scores", "roots", "interpolated", "cut_off",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Tracks3D:
    """The 3-D joints of the people of a clip: one row per person and frame, frame by frame.

    `tracks[rows]` selects rows in every field. Which way the axes point travels beside it (run.json): in the camera's
    axes, x points right, y down and z away from the camera.

    Raises:
        ValueError: a field has another shape, or fields differ in length.
    """

    skeleton: Skeleton  # K joints
    frame_indices: np.ndarray  # (T,) int64: number of the frame in its video
    times_s: np.ndarray  # (T,) float64 presentation times
    track_ids: np.ndarray  # (T,) int64
    keypoints: np.ndarray  # (T, K, 3) float32 metres, root translation included; NaN where missing
    keypoint_scores: np.ndarray  # (T, K) float32, 0..1; 0 where missing or interpolated
    roots: np.ndarray  # (T, 3) float32 metres: the part of `keypoints` that is the translation of the root
    interpolated: np.ndarray  # (T,) bool: the person was not seen in this frame
    cut_off: np.ndarray  # (T,) bool: joints lie outside the picture, where the model can only guess

    def __post_init__(self) -> None:
        K = len(self.skeleton)
        check_array(self, "frame_indices", np.int64, ("T",))
        check_array(self, "times_s", np.float64, ("T",))
        check_array(self, "track_ids", np.int64, ("T",))
        check_array(self, "keypoints", np.float32, ("T", K, 3))
        check_array(self, "keypoint_scores", np.float32, ("T", K))
        check_array(self, "roots", np.float32, ("T", 3))
        check_array(self, "interpolated", np.bool_, ("T",))
        check_array(self, "cut_off", np.bool_, ("T",))
        check_same_length(self, **{name: len(getattr(self, name)) for name in _ARRAYS})

    def __len__(self) -> int:
        return len(self.track_ids)

    def __getitem__(self, rows: Any) -> Self:
        """Select rows by a slice, a boolean mask (T,) or row numbers."""
        return type(self)(self.skeleton, *(getattr(self, name)[rows] for name in _ARRAYS))

    def of(self, track_id: int) -> Self:
        """The rows of one person, in order of time."""
        return self[self.track_ids == track_id]

    @classmethod
    def empty(cls, skeleton: Skeleton) -> Self:
        """No rows."""
        none, K = np.zeros(0), len(skeleton)
        return cls(skeleton, none, none, none, np.zeros((0, K, 3)), np.zeros((0, K)), np.zeros((0, 3)), none, none)

    @classmethod
    def concatenate(cls, parts: Sequence[Self]) -> Self:
        """The rows of at least one part, ordered by frame, then by track id."""
        joined = [np.concatenate([getattr(part, name) for part in parts]) for name in _ARRAYS]
        together = cls(parts[0].skeleton, *joined)
        return together[np.lexsort((together.track_ids, together.frame_indices))]
