"""Interfaces of the networks that inference uses.

All of them are called with a batch of frames. A result for one frame must not depend on the other frames of the call:
the pipeline chooses the batches, and resuming a run changes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from posetrail.frame import Frame
from posetrail.poses import Detections, Poses
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


class BottomUp(Protocol):
    """Finds people and their joints in whole frames, without a detector."""

    @property
    def skeleton(self) -> Skeleton:
        """The joints it estimates."""

    def __call__(self, frames: Sequence[Frame]) -> list[Poses]:
        """Return one Poses per frame, highest score first: joints, boxes around them and person scores."""


class Embedder(Protocol):
    """Computes an appearance embedding for each person."""

    @property
    def size(self) -> int:
        """Length E of an embedding."""

    def __call__(self, frames: Sequence[Frame], poses: Sequence[Poses]) -> list[np.ndarray]:
        """Return one array (N, E) float32 per frame; row i is a unit vector for person i, or zeros if unknown.

        The dot product of two embeddings is their similarity; it is 1 for identical appearance.
        """
