"""The data that packages exchange: frozen dataclasses of parallel arrays, one row per person.

`poses[rows]` selects people in every field. An empty frame has N == 0; a missing joint is NaN with score 0. Dtypes and
shapes are validated once, on construction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

import numpy as np


class Rows:
    """Base of the dataclasses of parallel arrays: counts, selects and concatenates rows."""

    def __len__(self) -> int:
        return len(getattr(self, next(iter(self.__dataclass_fields__))))  # type: ignore[attr-defined]

    def __getitem__(self, rows: Any) -> Self:
        """Select rows by a slice, a boolean mask (N,) or row numbers (M,)."""
        if isinstance(rows, (int, np.integer)):
            raise TypeError(f"expected a slice, a mask or a list of rows, got the single row {rows}; write [[{rows}]]")
        rows = rows if isinstance(rows, slice) else np.asarray(rows)
        if isinstance(rows, np.ndarray) and rows.size == 0:
            rows = rows.astype(int)
        # Rows of a valid object are valid: validating them again would take longer than selecting them.
        chosen = object.__new__(type(self))
        for name in self.__dataclass_fields__:  # type: ignore[attr-defined]
            object.__setattr__(chosen, name, getattr(self, name)[rows])
        return chosen

    @classmethod
    def concatenate(cls, parts: Sequence[Self]) -> Self:
        """Concatenate the rows of at least one part, in order."""
        names = [f.name for f in fields(cls)]  # type: ignore[arg-type]
        first = parts[0]
        if hasattr(getattr(first, names[0]), "concatenate"):
            inner = getattr(first, names[0])
            joined = {names[0]: inner.concatenate([getattr(part, names[0]) for part in parts])}
            names = names[1:]
        else:
            joined = {}
        return cls(**joined, **{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


def check_array(owner: object, name: str, dtype: type, shape: tuple[int | str, ...]) -> None:
    """Convert a field to an array of this dtype and check its shape; letters in `shape` stand for any length.

    Raises:
        ValueError: the shape differs.
    """
    value = np.asarray(getattr(owner, name))
    if value.dtype != dtype:
        value = value.astype(dtype)
    fits = value.ndim == len(shape)
    for want, have in zip(shape, value.shape, strict=False):
        fits &= isinstance(want, str) or have == want
    if not fits:
        expected = "(" + ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "") + ")"
        raise ValueError(f"{type(owner).__name__}.{name}: expected shape {expected}, got {value.shape}")
    object.__setattr__(owner, name, value)


def check_same_length(owner: object, **lengths: int) -> None:
    """Check that fields have the same number of rows.

    Raises:
        ValueError: they differ; the message lists the lengths.
    """
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name} {n}" for name, n in lengths.items())
        raise ValueError(f"{type(owner).__name__}: expected fields with the same number of people, got {listed}")


@dataclass(frozen=True, eq=False)
class Detections(Rows):
    """Person boxes of one frame, as a detector returns them."""

    boxes: np.ndarray  # (N, 4) float32 x1 y1 x2 y2, pixels of the image
    scores: np.ndarray  # (N,) float32, 0..1

    def __post_init__(self) -> None:
        check_array(self, "boxes", np.float32, ("N", 4))
        check_array(self, "scores", np.float32, ("N",))
        check_same_length(self, boxes=len(self.boxes), scores=len(self.scores))

    @classmethod
    def empty(cls) -> Detections:
        """No boxes."""
        return cls(np.zeros((0, 4)), np.zeros(0))


@dataclass(frozen=True, eq=False)
class Poses(Rows):
    """The poses of the people in one frame."""

    keypoints: np.ndarray  # (N, K, 2) float32 x y, pixels; NaN where missing
    keypoint_scores: np.ndarray  # (N, K) float32, 0..1; 0 where missing
    boxes: np.ndarray  # (N, 4) float32 x1 y1 x2 y2, pixels: the box in which the joints were estimated
    scores: np.ndarray  # (N,) float32, 0..1: of the box
    propagated: np.ndarray  # (N,) bool: the box was propagated from the last frame by optical flow, not detected

    def __post_init__(self) -> None:
        check_array(self, "keypoints", np.float32, ("N", "K", 2))
        check_array(self, "keypoint_scores", np.float32, ("N", "K"))
        check_array(self, "boxes", np.float32, ("N", 4))
        check_array(self, "scores", np.float32, ("N",))
        check_array(self, "propagated", np.bool_, ("N",))
        check_same_length(self, **{name: len(getattr(self, name)) for name in self.__dataclass_fields__})
        if self.keypoints.shape[1] != self.keypoint_scores.shape[1]:
            raise ValueError(
                f"Poses: keypoints have {self.keypoints.shape[1]} joints, "
                f"keypoint_scores {self.keypoint_scores.shape[1]}"
            )

    @property
    def quality(self) -> np.ndarray:
        """Confidence that each row is a person (N,), 0..1: the geometric mean of box score and mean joint score.

        Each score alone is unreliable: a real person may have a box of low score, and a confident box around a tree has
        no confident joints. The quality of a row without joints is its box score.
        """
        jointless = np.isnan(self.keypoints).any(axis=2).all(axis=1)
        return np.where(jointless, self.scores, np.sqrt(self.scores * self.keypoint_scores.mean(axis=1)))

    def of_joints(self, joints: np.ndarray) -> Poses:
        """The same people with only these joints (J,) int, in this order."""
        if np.array_equal(joints, np.arange(self.keypoints.shape[1])):
            return self
        return replace(self, keypoints=self.keypoints[:, joints], keypoint_scores=self.keypoint_scores[:, joints])

    @classmethod
    def empty(cls, num_joints: int) -> Poses:
        """No poses, of a skeleton with this many joints."""
        none = np.zeros(0)
        return cls(np.zeros((0, num_joints, 2)), np.zeros((0, num_joints)), np.zeros((0, 4)), none, none)


def confident_keypoints(poses: Poses, min_score: float) -> np.ndarray:
    """Keypoints (N, K, 2) with joints below `min_score` set to NaN."""
    return np.where((poses.keypoint_scores >= min_score)[..., None], poses.keypoints, np.nan)


@dataclass(frozen=True, eq=False)
class TrackedPoses(Rows):
    """The poses of one frame with track ids, each at most once.

    Raises:
        ValueError: an id occurs twice, or fields differ in their number of people.
    """

    poses: Poses
    track_ids: np.ndarray  # (N,) int64
    interpolated: np.ndarray = field(default_factory=lambda: np.zeros(0))  # (N,) bool: not observed
    pose_rows: np.ndarray = field(default_factory=lambda: np.zeros(0))  # (N,) int64: row of the pose among those that
    # were associated in this frame, which are those of the pose log; -1 where it is none of them or not known

    def __post_init__(self) -> None:
        check_array(self, "track_ids", np.int64, ("N",))
        if np.size(self.interpolated) == 0:
            object.__setattr__(self, "interpolated", np.zeros(len(self.track_ids)))
        if np.size(self.pose_rows) == 0:
            object.__setattr__(self, "pose_rows", np.full(len(self.track_ids), -1))
        check_array(self, "interpolated", np.bool_, ("N",))
        check_array(self, "pose_rows", np.int64, ("N",))
        check_same_length(self, **{name: len(getattr(self, name)) for name in self.__dataclass_fields__})
        if len(set(self.track_ids.tolist())) != len(self.track_ids):
            raise ValueError(f"TrackedPoses: expected each id once in a frame, got {sorted(self.track_ids.tolist())}")

    @classmethod
    def empty(cls, num_joints: int) -> TrackedPoses:
        """No poses, of a skeleton with this many joints."""
        return cls(Poses.empty(num_joints), np.zeros(0))
