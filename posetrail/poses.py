"""What travels between the rooms: frozen dataclasses of parallel arrays, one row per person.

`poses[rows]` selects people in every field; N == 0 is an empty frame; a missing joint is NaN with score 0. Shapes are
checked once, on construction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Self

import numpy as np


class Rows:
    """Selecting, counting and joining people, for dataclasses of parallel arrays."""

    def __len__(self) -> int:
        return len(getattr(self, next(iter(self.__dataclass_fields__))))  # type: ignore[attr-defined]

    def __getitem__(self, rows: Any) -> Self:
        """The people of a slice, a boolean mask (N,) or row numbers (M,)."""
        if isinstance(rows, (int, np.integer)):
            raise TypeError(f"select people with a slice, a mask or a list of rows, not the single row {rows}")
        rows = rows if isinstance(rows, slice) else np.asarray(rows)
        if isinstance(rows, np.ndarray) and rows.size == 0:
            rows = rows.astype(int)
        # Rows of what was checked are as good as it: they are not checked again, which costs more than selecting them.
        chosen = object.__new__(type(self))
        for name in self.__dataclass_fields__:  # type: ignore[attr-defined]
            object.__setattr__(chosen, name, getattr(self, name)[rows])
        return chosen

    @classmethod
    def concatenate(cls, parts: Sequence[Self]) -> Self:
        """The people of all parts, in order; at least one part is needed."""
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
    """Turn a field into an array of this dtype and check its shape; letters in `shape` stand for any length."""
    value = np.asarray(getattr(owner, name))
    if value.dtype != dtype:
        value = value.astype(dtype)
    fits = value.ndim == len(shape)
    for want, have in zip(shape, value.shape, strict=False):
        fits &= isinstance(want, str) or have == want
    if not fits:
        wanted = "(" + ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "") + ")"
        raise ValueError(f"{type(owner).__name__}.{name}: wanted shape {wanted}, got {value.shape}")
    object.__setattr__(owner, name, value)


def check_same_length(owner: object, **lengths: int) -> None:
    """Fields that must speak of the same people; ValueError names them where their lengths differ."""
    if len(set(lengths.values())) > 1:
        said = ", ".join(f"{name} {n}" for name, n in lengths.items())
        raise ValueError(f"{type(owner).__name__}: fields differ in their number of people: {said}")


@dataclass(frozen=True, eq=False)
class Detections(Rows):
    """Person boxes of one frame, as a detector found them."""

    boxes: np.ndarray  # (N, 4) float32 x1 y1 x2 y2, pixels of the image
    scores: np.ndarray  # (N,) float32, 0..1

    def __post_init__(self) -> None:
        check_array(self, "boxes", np.float32, ("N", 4))
        check_array(self, "scores", np.float32, ("N",))
        check_same_length(self, boxes=len(self.boxes), scores=len(self.scores))

    @classmethod
    def empty(cls) -> Detections:
        """Nobody."""
        return cls(np.zeros((0, 4)), np.zeros(0))


@dataclass(frozen=True, eq=False)
class Poses(Rows):
    """The people of one frame with their joints."""

    keypoints: np.ndarray  # (N, K, 2) float32 x y, pixels; NaN where missing
    keypoint_scores: np.ndarray  # (N, K) float32, 0..1; 0 where missing
    boxes: np.ndarray  # (N, 4) float32 x1 y1 x2 y2, pixels: the box the joints were looked for in
    scores: np.ndarray  # (N,) float32, 0..1: the box's score
    propagated: np.ndarray  # (N,) bool: the box was propagated over from the last frame, not detected

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
        """How surely each row is a person (N,), 0..1: the geometric mean of box score and mean joint score.

        Either alone misleads: a weak detector's box around a real person has joints, a sure box around a tree has none.
        A row without joints, of a detector alone, is as sure as its box.
        """
        jointless = np.isnan(self.keypoints).any(axis=2).all(axis=1)
        return np.where(jointless, self.scores, np.sqrt(self.scores * self.keypoint_scores.mean(axis=1)))

    @classmethod
    def empty(cls, num_joints: int) -> Poses:
        """Nobody, of a skeleton with this many joints."""
        none = np.zeros(0)
        return cls(np.zeros((0, num_joints, 2)), np.zeros((0, num_joints)), np.zeros((0, 4)), none, none)


def confident_keypoints(poses: Poses, min_score: float) -> np.ndarray:
    """Joints (N, K, 2) of at least this score; the others NaN."""
    return np.where((poses.keypoint_scores >= min_score)[..., None], poses.keypoints, np.nan)


@dataclass(frozen=True, eq=False)
class TrackedPoses(Rows):
    """Poses with the id of the person each belongs to; an id stands at most once in a frame."""

    poses: Poses
    track_ids: np.ndarray  # (N,) int64
    interpolated: np.ndarray = field(default_factory=lambda: np.zeros(0))  # (N,) bool: not seen here, put in between

    def __post_init__(self) -> None:
        check_array(self, "track_ids", np.int64, ("N",))
        if np.size(self.interpolated) == 0:
            object.__setattr__(self, "interpolated", np.zeros(len(self.track_ids)))
        check_array(self, "interpolated", np.bool_, ("N",))
        check_same_length(
            self, poses=len(self.poses), track_ids=len(self.track_ids), interpolated=len(self.interpolated)
        )
        if len(set(self.track_ids.tolist())) != len(self.track_ids):
            raise ValueError(f"TrackedPoses: an id stands twice in one frame: {sorted(self.track_ids.tolist())}")

    @classmethod
    def empty(cls, num_joints: int) -> TrackedPoses:
        """Nobody, of a skeleton with this many joints."""
        return cls(Poses.empty(num_joints), np.zeros(0))
