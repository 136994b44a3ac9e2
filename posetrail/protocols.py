"""Interfaces of the networks that inference uses.

They are called with a batch of frames, or of sequences of poses. A result for one frame or sequence must not depend on
the others of the call: the pipeline chooses the batches, and resuming a run changes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from posetrail.frame import Frame
from posetrail.poses import Detections, Poses
from posetrail.poses3d import PoseSequence
from posetrail.skeletons import Skeleton

DETECTION_INTERVAL_S = 0.1
"""Default interval between searches of whole frames, of detectors that are networks."""


class Detector(Protocol):
    """Finds person boxes in frames.

    The attribute `interval_s` of a detector, if it has one, is the default interval between searches of whole frames.
    Without it, every frame is searched.
    """

    def __call__(self, frames: Sequence[Frame]) -> list[Detections]:
        """Return one Detections per frame, boxes in pixels of its image, highest score first."""


@runtime_checkable
class RegionDetector(Protocol):
    """A detector that can also search regions of a frame in less time than the whole frame."""

    def in_regions(self, frame: Frame, regions: np.ndarray) -> Detections:
        """Search regions of a frame.

        Args:
            frame: the frame.
            regions: (R, 4) int x1 y1 x2 y2 pixels, inside the image.

        Returns:
            boxes in pixels of the image, without those that a side of a region cuts, highest score first.
        """


class Estimator(Protocol):
    """Estimates the joints of the person in each box (top-down)."""

    @property
    def skeleton(self) -> Skeleton:
        """The joints it estimates."""

    def __call__(self, frames: Sequence[Frame], boxes: Sequence[np.ndarray]) -> list[Poses]:
        """Return one Poses per frame, with one row per box.

        Args:
            frames: the batch.
            boxes: for each frame (N, 4) x1 y1 x2 y2 in pixels.

        Returns:
            for each frame N poses; row i belongs to `boxes[frame][i]`. `scores` are 1 and `propagated` is False; the
            caller sets both.
        """


class PartEstimator(Protocol):
    """Adds the joints of hands and faces to people whose bodies are known."""

    @property
    def skeleton(self) -> Skeleton:
        """The joints of the body, followed by those it adds."""

    def __call__(self, frames: Sequence[Frame], poses: Sequence[Poses]) -> list[Poses]:
        """Return one Poses per frame: the same people with all joints of `skeleton`."""


class BottomUp(Protocol):
    """Finds people and their joints in whole frames, without a detector."""

    @property
    def skeleton(self) -> Skeleton:
        """The joints it estimates."""

    def __call__(self, frames: Sequence[Frame]) -> list[Poses]:
        """Return one Poses per frame, highest score first: joints, boxes around them and person scores."""


class Refiner(Protocol):
    """Corrects poses, of any estimator, by looking at the image again."""

    def __call__(self, frames: Sequence[Frame], poses: Sequence[Poses], skeleton: Skeleton) -> list[Poses]:
        """Return one Poses per frame: the same people in the same rows, with corrected joints.

        Args:
            frames: the batch.
            poses: of each frame.
            skeleton: of the poses.
        """


class Embedder(Protocol):
    """Computes an appearance embedding for each person."""

    @property
    def size(self) -> int:
        """Length E of an embedding."""

    def __call__(self, frames: Sequence[Frame], poses: Sequence[Poses]) -> list[np.ndarray]:
        """Return one array (N, E) float32 per frame; row i is a unit vector for person i, or zeros if unknown.

        The dot product of two embeddings is their similarity; it is 1 for identical appearance.
        """


class Lifter(Protocol):
    """Estimates 3-D joints from sequences of 2-D joints, each of one person."""

    @property
    def source(self) -> Skeleton:
        """The 2-D joints it takes."""

    @property
    def skeleton(self) -> Skeleton:
        """The 3-D joints it returns."""

    @property
    def rate_hz(self) -> float | None:
        """Frames per second of the sequences it was trained with; None: any."""

    def __call__(self, sequences: Sequence[PoseSequence]) -> list[np.ndarray]:
        """Return 3-D joints (T, K, 3) float32 per sequence, relative to the root of each frame.

        Axes of the camera: x right, y down, z away from the camera; metres, unless the lifter has an attribute `unit`
        that is "px". The lifter normalises, pads the ends, cuts windows and averages with the mirrored sequence. Gaps
        are interpolated and sequences resampled before.
        """


@runtime_checkable
class TrajectoryLifter(Protocol):
    """A lifter that can also estimate where the root of the body is."""

    def trajectories(self, sequences: Sequence[PoseSequence]) -> list[np.ndarray] | None:
        """Return the root (T, 3) float32 metres, axes of the camera, per sequence; None without such weights."""
