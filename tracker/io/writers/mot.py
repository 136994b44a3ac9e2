"""MOTChallenge text: frame, id, left, top, width, height, score, -1, -1, -1; pixels and frames count from 1."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import numpy as np

from posetrail.files import written_whole
from tracker.frames import TrackedFrame
from tracker.io.writers.base import DECIMALS_PX, DECIMALS_SCORE, ClipInfo, Writer, by_id, rounded


class _MotWriter(Writer):
    def __init__(self, file: TextIO) -> None:
        self._file = file

    def add(self, frame: TrackedFrame) -> None:
        people = by_id(frame.people)
        corners = people.poses.boxes.astype(np.float64)
        boxes = rounded(np.hstack([corners[:, :2] + 1, corners[:, 2:] - corners[:, :2]]), DECIMALS_PX)
        scores = rounded(people.poses.quality, DECIMALS_SCORE)
        self._file.writelines(
            f"{frame.index + 1},{track_id},"
            + ",".join(f"{value:.{DECIMALS_PX}f}" for value in box)
            + f",{score:.{DECIMALS_SCORE}f},-1,-1,-1\n"
            for track_id, box, score in zip(people.track_ids.tolist(), boxes.tolist(), scores.tolist(), strict=True)
        )


@contextmanager
def open_mot(path: Path, clip: ClipInfo) -> Iterator[Writer]:
    """Open tracks.mot.txt."""
    with written_whole(path) as beside, beside.open("w", encoding="utf-8", newline="\n") as file:
        yield _MotWriter(file)
