"""The images of a run's frames, by position in the pose log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

import cv2
import numpy as np

from posetrail.errors import InputError
from posetrail.frame import Image
from tracker.io.video import DamagedInput, Source
from tracker.runs.images import open_input
from tracker.runs.record import PosesInput, RunRecord


@dataclass(frozen=True)
class ClipImages:
    """Reads the images of a run's F frames, exactly those from which its poses were estimated."""

    source: Source
    numbers: np.ndarray  # (F,) int64, ascending: number of each frame's image in the source

    def __len__(self) -> int:
        return len(self.numbers)

    def read(self, first: int, end: int) -> Iterator[tuple[int, Image]]:
        """The images at positions `first` to `end` - 1 in order, each with its position; lost ones are left out."""
        numbers = self.numbers[first:end]
        if not len(numbers):
            return
        part = replace(
            self.source,
            start_s=None,
            end_s=None,
            lead_frames=0,
            first_index=int(numbers[0]),
            end_index=int(numbers[-1]) + 1,
        )
        with suppress(DamagedInput):  # recorded in run.json
            for frame in part.frames():
                k = int(np.searchsorted(numbers, frame.index))
                if numbers[k] == frame.index:
                    yield first + k, self._as_first(frame.image)

    def first_decoded(self, position: int) -> int:
        """The first position that is decoded on the way to this one, from the keyframe before it."""
        if not self.source.is_video:
            return position
        point = self.source.frame_index.seek_point(int(self.numbers[position]), int(self.numbers[position]) + 1)
        return int(np.searchsorted(self.numbers, point.number)) if point is not None else 0

    def _as_first(self, image: Image) -> Image:
        """The image in the size of the clip's first one: cut or continued in black, so that pixels keep their place."""
        height, width = self.source.height, self.source.width
        if image.shape[:2] == (height, width):
            return image
        canvas = np.zeros((height, width, 3), np.uint8)
        part = image[:height, :width]
        canvas[: part.shape[0], : part.shape[1]] = part
        return canvas


def open_clip(
    folder: Path, record: RunRecord, frame_indices: np.ndarray, frame_names: tuple[str, ...], path: Path | None
) -> ClipImages:
    """Open the clip of a run.

    Args:
        folder: of the run.
        record: of the run.
        frame_indices: (F,) numbers of its frames.
        frame_names: F names of its frames.
        path: where the clip is now, if it was moved; needed for imported poses.

    Raises:
        InputError: it is missing, or is not the clip that was tracked.
    """
    source = open_input(record, path)
    source.look_for_index(folder)
    if isinstance(record.input, PosesInput):
        # Imported poses may number their frames differently from their images, but hold the images' names.
        numbers = {image.name: number for number, image in enumerate(source.images)}
        names = [PurePath(name).name for name in frame_names]
        if names and names[0] in numbers:
            found = np.array([numbers.get(name, -1) for name in names], np.int64)
            if (np.diff(found) <= 0).any() or found[0] < 0:
                raise InputError(f"{source.path}: its images are not those of the poses, or not in their order")
            return ClipImages(source, found)
    return ClipImages(source, frame_indices)


def scaled_size(width: int, height: int, long_side: int) -> tuple[int, int]:
    """Width and height scaled down so that the longer one is `long_side` at most."""
    scale = min(1.0, long_side / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def scaled(image: Image, width: int, height: int) -> Image:
    """The image in another size."""
    if image.shape[:2] == (height, width):
        return image
    smaller = width * height < image.shape[0] * image.shape[1]
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
