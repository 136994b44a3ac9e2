"""The landmarks of the tracked people of a run, found by a network that looks at the clip again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Protocol

import numpy as np

from posetrail.errors import InputError
from posetrail.frame import Frame
from posetrail.poses import Poses
from posetrail.skeletons import Skeleton
from tracker.frames import TrackedFrame
from tracker.inference.pipeline import BATCH_FRAMES
from tracker.lifting.landmarks import ClipLandmarks
from tracker.progress import OnFrame
from tracker.runs.images import open_input, paired_by_name, with_images
from tracker.runs.record import RunRecord
from tracker.tracked_clip import TrackedClip


class FoundLandmarks(Protocol):
    """The landmarks of the N people of one frame."""

    @property
    def poses(self) -> Poses:
        """The landmarks in the picture."""

    @property
    def world(self) -> np.ndarray:
        """(N, K, 3) metres: x right, y down, z away from the camera, from the middle of the hips."""

    @property
    def flag(self) -> np.ndarray:
        """(N,) 0..1: probability that a person was seen."""


class LandmarkModel(Protocol):
    """A network that finds the landmarks of people whose joints are known."""

    @property
    def skeleton(self) -> Skeleton:
        """The landmarks."""

    def landmarks(
        self, frames: Sequence[Frame], poses: Sequence[Poses], skeleton: Skeleton
    ) -> Sequence[FoundLandmarks]:
        """Return the landmarks of the people of each frame, whose joints have this skeleton."""


def landmarks_of(
    run: Path,
    record: RunRecord,
    clip: TrackedClip,
    skeleton: Skeleton,
    model: LandmarkModel,
    *,
    input: Path | None = None,
    on_frame: OnFrame = lambda _: None,
    stopped: Callable[[], bool] = lambda: False,
) -> ClipLandmarks:
    """The landmarks of all poses of a clip, whose frames are decoded again.

    Args:
        run: the run's folder.
        record: of the run.
        clip: its tracks.
        skeleton: of the tracks.
        model: the network; called with a batch of frames at a time.
        input: where the clip is now, if it was moved, or if the poses were imported.
        on_frame: called with the number of people in each frame.
        stopped: called after each frame.

    Raises:
        InputError: the clip is missing or another one, or `stopped` has ended the work.
    """
    source = open_input(record, input)
    source.look_for_index(run)
    found: list[FoundLandmarks] = []
    frames = with_images(source, clip.frames(), paired_by_name(run, record, source))
    with closing(frames):
        for batch in _batches(frames):
            images = [Frame(frame.index, frame.time_s, frame.name, image) for frame, image in batch]
            found += model.landmarks(images, [frame.people.poses for frame, _ in batch], skeleton)
            for frame, _ in batch:
                on_frame(len(frame.people))
            if stopped():
                raise InputError(f"{run}: stopped before the end of the clip; nothing was written")
    K = len(model.skeleton)
    return ClipLandmarks(
        np.concatenate([np.zeros((0, K, 2)), *(each.poses.keypoints for each in found)]),
        np.concatenate([np.zeros((0, K)), *(each.poses.keypoint_scores for each in found)]),
        np.concatenate([np.zeros((0, K, 3)), *(each.world for each in found)]),
        np.concatenate([np.zeros(0), *(each.flag for each in found)]),
    )


def _batches(frames: Iterator[tuple[TrackedFrame, np.ndarray]]) -> Iterator[list[tuple[TrackedFrame, np.ndarray]]]:
    batch: list[tuple[TrackedFrame, np.ndarray]] = []
    for frame in frames:
        batch.append(frame)
        if len(batch) == BATCH_FRAMES:
            yield batch
            batch = []
    if batch:
        yield batch
