"""Reads boxes from MOTChallenge text files: detections, results and ground truth.

One box per line, comma-separated: frame, id, left, top, width, height, confidence, and columns that are ignored. Frames
and pixels count from 1. Ground truth has nine columns, of which the seventh says whether the box is evaluated.

Format: https://motchallenge.net/instructions
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np

from posetrail.errors import InputError
from posetrail.poses import Rows, check_array, check_same_length

COLUMNS = "frame, id, left, top, width, height, score"
LARGEST_FRAME = 10**6  # nine hours at 30 frames per second; a larger number is an error
_LARGEST_PX = 1e6
_LARGEST_SCORE = 1e9
_LONGEST_LINE = 1000  # characters; a line of ten numbers has about a hundred
_SHOWN = 60  # characters of a line in an error message
_GROUND_TRUTH_COLUMNS = 9  # up to the height, then: is evaluated, class, visibility


@dataclass(frozen=True, eq=False)
class MotBoxes(Rows):
    """The boxes of a file in its order, with frames and pixels from 0."""

    frames: np.ndarray  # (N,) int64
    boxes: np.ndarray  # (N, 4) float64 x1 y1 x2 y2; width and height as in the file, perhaps 0 or negative
    scores: np.ndarray  # (N,) float64; NaN where the file has none, and for all boxes of ground truth

    def __post_init__(self) -> None:
        check_array(self, "frames", np.int64, ("N",))
        check_array(self, "boxes", np.float64, ("N", 4))
        check_array(self, "scores", np.float64, ("N",))
        check_same_length(self, frames=len(self.frames), boxes=len(self.boxes), scores=len(self.scores))


def read_mot(path: Path) -> MotBoxes:
    """Read a MOTChallenge file; of ground truth, the boxes that are evaluated.

    Raises:
        InputError: the file cannot be read, or a line is not as described; the message names the first such line.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: expected text, lines of {COLUMNS} with commas between") from error

    def fail(number: int, expected: str) -> NoReturn:
        text = lines[number - 1]
        shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
        raise InputError(f"{path}: line {number}: expected {expected}, got {shown!r}")

    for number, text in enumerate(lines, 1):
        if len(text) > _LONGEST_LINE:
            fail(number, f"at most {_LONGEST_LINE} characters, {COLUMNS} with commas between")
    cells = {number: line.strip(" \t,").split(",") for number, line in enumerate(lines, 1) if line.strip(" \t,")}
    is_ground_truth = {len(line) for line in cells.values()} == {_GROUND_TRUTH_COLUMNS}
    table = np.full((len(cells), 7), np.nan)
    for row, (number, line) in zip(table, cells.items(), strict=True):
        try:
            values = [float(value) for value in line[:7]]
        except ValueError:
            values = []
        if len(values) < 6:
            fail(number, f"{COLUMNS} with commas between")
        row[: len(values)] = values
    numbers = np.array(list(cells), int)
    frames = table[:, 0]
    whole = (frames >= 1) & (frames <= LARGEST_FRAME) & (frames == np.floor(frames))
    for wrong, expected in (
        (~whole, f"a frame from 1 to {LARGEST_FRAME}"),
        (~(np.abs(table[:, 2:6]) <= _LARGEST_PX).all(axis=1), f"a box within {_LARGEST_PX:g} pixels"),
        (np.abs(table[:, 6]) > _LARGEST_SCORE, f"a score within {_LARGEST_SCORE:g}"),
    ):
        if wrong.any():
            fail(int(numbers[wrong.argmax()]), expected)
    if is_ground_truth:
        table = table[table[:, 6] != 0]
        table[:, 6] = np.nan
    corner = table[:, 2:4] - 1
    boxes = np.concatenate([corner, corner + table[:, 4:6]], axis=1)
    return MotBoxes(table[:, 0].astype(np.int64) - 1, boxes, table[:, 6])
