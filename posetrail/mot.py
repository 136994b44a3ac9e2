"""Reads boxes from MOTChallenge text files: detections, results and ground truth.

One box per line, comma-separated; frames and pixels count from 1. The columns differ by year and by kind of file:

| file | columns after frame, id, left, top, width, height |
| --- | --- |
| det.txt of all years, results of trackers | score, of any range, and often world coordinates x, y, z (all -1) |
| gt.txt of 2015 | flag, world coordinates x, y, z (of most sequences all -1) |
| gt.txt of 2016, 2017 and 2020, DanceTrack, SportsMOT | flag, class 1..13, visibility 0..1 |

The kind is recognised by the content of all lines. Classes are whole numbers from 1 to 13 followed by a visibility; if
there are any, only pedestrians (class 1) are read. The seventh column is a flag if all lines have an id and it is 0, 1
or -1 throughout, with classes or with both zeros and other values. A flag of 0 means that the box is not evaluated, and
it is left out. That is what the official evaluation keeps of a ground truth: it uses the other boxes, such as static
people and people on vehicles, only to forgive predictions. World coordinates and visibility are not used.

Formats: https://motchallenge.net/instructions, and Milan et al., MOT16: A Benchmark for Multi-Object Tracking, 2016.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np

from posetrail.errors import InputError
from posetrail.poses import Rows, check_array, check_same_length
from posetrail.sparse import LARGEST_FRAME

COLUMNS = "frame, id, left, top, width, height, score"
_LARGEST_PX = 1e6
_LARGEST_SCORE = 1e9
_LONGEST_LINE = 1000  # characters; a line of ten numbers has about a hundred
_SHOWN = 60  # characters of a line in an error message
_NUM_COLUMNS, _NEEDED = 9, 6  # that are read; without which a line is no box
_ID, _SCORE, _CLASS, _VISIBILITY = 1, 6, 7, 8
_CLASSES = np.arange(1, 14)  # 1 is a pedestrian


@dataclass(frozen=True, eq=False)
class MotBoxes(Rows):
    """The boxes of a file in its order, with frames and pixels from 0."""

    frames: np.ndarray  # (N,) int64
    boxes: np.ndarray  # (N, 4) float64 x1 y1 x2 y2; width and height as in the file, perhaps 0 or negative
    scores: np.ndarray  # (N,) float64 of any range; NaN where the file has none, and for all boxes of ground truth

    def __post_init__(self) -> None:
        check_array(self, "frames", np.int64, ("N",))
        check_array(self, "boxes", np.float64, ("N", 4))
        check_array(self, "scores", np.float64, ("N",))
        check_same_length(self, frames=len(self.frames), boxes=len(self.boxes), scores=len(self.scores))


def read_mot(path: Path) -> tuple[MotBoxes, tuple[str, ...]]:
    """Read the people of a MOTChallenge file; of ground truth, the boxes that are evaluated.

    Returns:
        The boxes, and a note in one line if some are left out.

    Raises:
        InputError: the file cannot be read, or a line is not as described; the message names the first such line.
    """
    table = _read_table(path)
    is_person, is_flag = _people(table)
    boxes_left_out = len(table) - np.count_nonzero(is_person)
    table = table[is_person]
    if is_flag:
        table[:, _SCORE] = np.nan
    corner = table[:, 2:4] - 1
    boxes = np.concatenate([corner, corner + table[:, 4:6]], axis=1)
    reason = "they are not pedestrians (class 1) or not evaluated (flag 0)"
    notes = (f"{boxes_left_out} of {len(is_person)} boxes are left out: {reason}",) if boxes_left_out else ()
    return MotBoxes(table[:, 0].astype(np.int64) - 1, boxes, table[:, _SCORE]), notes


def _people(table: np.ndarray) -> tuple[np.ndarray, bool]:
    """Which lines (N,) of a table are people to read, and whether the seventh column is a flag instead of a score."""
    ids, scores, classes, visibility = (table[:, column] for column in (_ID, _SCORE, _CLASS, _VISIBILITY))
    has_classes = bool((np.isin(classes, _CLASSES) & (visibility >= 0) & (visibility <= 1)).all())
    differ = bool((scores == 0).any() and (scores != 0).any())
    is_flag = bool((ids >= 0).all() and np.isin(scores, (-1, 0, 1)).all()) and (has_classes or differ)
    is_person = np.ones(len(table), bool)
    if has_classes:
        is_person &= classes == 1
    if is_flag:
        is_person &= scores != 0
    return is_person, is_flag


def _read_table(path: Path) -> np.ndarray:
    """The lines (N, 9) of a file, NaN where a column is missing, with frames and boxes checked."""
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
    table = np.full((len(cells), _NUM_COLUMNS), np.nan)
    for row, (number, line) in zip(table, cells.items(), strict=True):
        try:
            values = [float(value) for value in line[: _SCORE + 1]]
        except ValueError:
            values = []
        if len(values) < _NEEDED:
            fail(number, f"{COLUMNS} with commas between")
        row[: len(values)] = values
        if len(line) >= _NUM_COLUMNS:
            with suppress(ValueError):  # other programs write what they like here
                row[_CLASS:] = [float(value) for value in line[_CLASS:_NUM_COLUMNS]]
    numbers = np.array(list(cells), int)
    frames = table[:, 0]
    whole = (frames >= 1) & (frames <= LARGEST_FRAME) & (frames == np.floor(frames))
    for wrong, expected in (
        (~whole, f"a frame from 1 to {LARGEST_FRAME}"),
        (~(np.abs(table[:, 2:6]) <= _LARGEST_PX).all(axis=1), f"a box within {_LARGEST_PX:g} pixels"),
        (np.abs(table[:, _SCORE]) > _LARGEST_SCORE, f"a score within {_LARGEST_SCORE:g}"),
    ):
        if wrong.any():
            fail(int(numbers[wrong.argmax()]), expected)
    return table
