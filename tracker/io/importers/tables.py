"""Tables as imported poses: tracks.csv and tracks.parquet of a run, or any table with the same columns.

The columns `frame`, `track_id`, `joint`, `x` and `y` are needed; `time_s`, `score` and `interpolated` are used if they
are there. Other columns are ignored, and rows may have any order. A track id only tells which joints of a frame belong
to one person. A row without `x` or `y` adds no joint, but tells that its frame was seen.

- Skeleton: that of `posetrail.skeletons.skeleton_with`. Joints of no known skeleton are kept under their own names,
  without limbs and with equal OKS sigmas.
- Scores of people are not in the table; each is 1, so the quality of a pose depends on its joints' scores.
- Interpolated poses are not observations and are left out; their frames stay.
- Frames: those between the first and the last row. Frames whose numbers are missing have no people, unless all numbers
  have a common step, as with `--stride`: frames between the steps were not processed. Missing times are interpolated.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from eval_posetrack.formats.columns import LARGEST_PX, LARGEST_SCORE, shown
from posetrail.errors import InputError
from posetrail.poses import Poses
from posetrail.skeletons import SKELETONS, skeleton_with
from posetrail.sparse import LARGEST_FRAME, kept_frames
from tracker.io.importers.imported import (
    KEPT_RATIO,
    Found,
    ImportedPoses,
    boxes_of,
    imported,
    note_on_scores,
    unit_scores,
)
from tracker.io.video import ASSUMED_FPS
from tracker.io.writers import default_formats

NEEDED = ("frame", "track_id", "joint", "x", "y")
_USED = (*NEEDED, "time_s", "score", "interpolated")
_LARGEST_ID = 2**53  # larger numbers are not exact
_LARGEST_TIME_S = 1e9
_SAME_TIME_S = 1e-3  # the times of a frame's rows differ by no more
_MOST_ROWS = 10**8  # a small compressed file could state more than fits in memory
_MOST_JOINTS = 1000  # different names; a column with more holds something else
_CERTAIN_FRAMES = 10  # so many numbers have no common step by chance
_LONGEST_STEP_S = 1.0  # no track ends within such a step, so it does not matter whether frames were processed in it


def is_table(path: Path) -> bool:
    """Whether a .csv file begins with the names of columns, which MOTChallenge files do not have."""
    with path.open("rb") as file:
        cells = file.readline(1000).removeprefix(b"\xef\xbb\xbf").split(b",")
    first = next((text for text in (cell.strip(b' \t\r\n"') for cell in cells) if text), b"0")
    try:
        float(first)
    except ValueError:
        return True
    return False


def read_csv_table(path: Path, fps: float | None) -> ImportedPoses:
    """Poses of a table as CSV."""
    as_text = pa.csv.ConvertOptions(column_types=dict.fromkeys(_USED, pa.string()), strings_can_be_null=True)
    try:
        with path.open("rb") as file:
            table = pa.csv.read_csv(file, convert_options=as_text)
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, "a CSV table", error) from None
    return _read(path, table, fps)


def read_parquet_table(path: Path, fps: float | None) -> ImportedPoses:
    """Poses of a table as Parquet."""
    try:
        with path.open("rb") as file, pq.ParquetFile(file) as parquet:
            if parquet.metadata.num_rows > _MOST_ROWS:
                raise InputError(f"{path}: expected at most {_MOST_ROWS} rows, got {parquet.metadata.num_rows}")
            there = [name for name in parquet.schema_arrow.names if name in _USED]
            table = parquet.read(columns=there, use_pandas_metadata=False)
            table.validate(full=True)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, "a Parquet table", error) from None
    return _read(path, table, fps)


def _unreadable(path: Path, what: str, error: Exception) -> InputError:
    reason = " ".join(str(error).split())[:200]
    return InputError(f"{path}: expected {what} with columns {', '.join(NEEDED)}, got another file ({reason})")


def _read(path: Path, table: pa.Table, fps: float | None) -> ImportedPoses:
    rows = _Columns(path, table).rows()
    skeleton = skeleton_with(rows.joint_names)
    notes = []
    if skeleton.name not in SKELETONS:
        notes.append(f"no known skeleton has all of its {len(skeleton)} joints ({_some(rows.joint_names)})")
    frames, frame_times = _frame_times(path, rows)
    observed = rows.has_joint & ~rows.interpolated
    frames_of_people, poses = _people(path, rows, observed, skeleton.joints)
    left_out = len(_distinct(rows.frames, rows.track_ids, rows.has_joint)) - len(
        _distinct(rows.frames, rows.track_ids, observed)
    )
    if left_out:
        notes.append(f"{left_out} interpolated poses are left out")
    notes += note_on_scores("scores of joints", rows.scores[observed], unit_scores(rows.scores)[observed])
    rate, span_s = fps, 0.0 if frame_times is None else frame_times[-1] - frame_times[0]
    if rate is None and span_s > 0:
        rate = float((frames[-1] - frames[0]) / span_s)
    if rate is None:
        rate = ASSUMED_FPS
        if frame_times is None:
            notes.append(f"has no times; {rate:g} frames per second are assumed, --fps sets another rate")
    step = _step(frames, rate)
    kept, gaps = kept_frames((frames - frames[0]) // step, int(frames[-1] - frames[0]) // step + 1, ratio=KEPT_RATIO)
    indices = frames[0] + step * kept
    notes += gaps
    times = indices / rate if fps is not None or frame_times is None else np.interp(indices, frames, frame_times)
    found = Found(
        name=path.stem,
        skeleton=skeleton,
        indices=indices,
        names=tuple(f"{index:06d}.jpg" for index in indices.tolist()),
        times=times,
        fps=rate,
        frames=np.searchsorted(indices, frames_of_people),
        poses=poses,
    )
    return imported(path, found, default_formats(skeleton), notes)


def _some(names: tuple[str, ...]) -> str:
    return shown(", ".join(names))


# From columns to rows -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Rows:
    """The R rows of a table, at least one."""

    frames: np.ndarray  # (R,) int64
    times: np.ndarray | None  # (R,) seconds
    track_ids: np.ndarray  # (R,) int64; -1 where there is no joint
    joints: np.ndarray  # (R,) int64, position in joint_names; -1 where there is none
    joint_names: tuple[str, ...]  # in order of their first rows
    keypoints: np.ndarray  # (R, 2) x, y
    scores: np.ndarray  # (R,) of any range, NaN where missing
    interpolated: np.ndarray  # (R,) bool

    @property
    def has_joint(self) -> np.ndarray:
        """(R,) bool."""
        return self.joints >= 0


class _Columns:
    """The columns of a table as checked arrays. Errors name the row, counted from 1 below the names of the columns."""

    def __init__(self, path: Path, table: pa.Table) -> None:
        self._path, self._table = path, table
        given = table.column_names
        lacking = [name for name in NEEDED if name not in given]
        twice = sorted({name for name in _USED if given.count(name) > 1})
        if lacking or twice:
            wrong = f"without {', '.join(lacking)}" if lacking else f"with {', '.join(twice)} more than once"
            raise InputError(
                f"{path}: expected columns {', '.join(NEEDED)}, got {shown(', '.join(given))}, {wrong}; rename columns"
            )
        if not len(table):
            raise InputError(f"{path}: expected a row for each joint, got none; was anyone tracked?")

    def rows(self) -> _Rows:
        """All rows."""
        expected = f"a whole number from 0 to {LARGEST_FRAME}"
        frames = self._numbers("frame", expected)
        self._check("frame", (frames >= 0) & (frames <= LARGEST_FRAME) & (frames == np.floor(frames)), expected)
        expected = f"a number of pixels within {LARGEST_PX:g}"
        keypoints = np.column_stack([self._numbers("x", expected), self._numbers("y", expected)])
        for name, values in zip(("x", "y"), keypoints.T, strict=True):
            self._check(name, ~(np.abs(values) > LARGEST_PX), expected)
        joints, names = self._joints()
        there = np.isfinite(keypoints).all(axis=1)
        self._check("joint", ~there | (joints >= 0), "the name of a joint")
        joints = np.where(there, joints, -1)
        expected = "a whole number that tells people of a frame apart"
        ids = self._numbers("track_id", expected)
        whole = (np.abs(ids) <= _LARGEST_ID) & (ids == np.floor(ids))
        self._check("track_id", whole | ((joints < 0) & np.isnan(ids)), expected)
        expected = f"a score within {LARGEST_SCORE:g}"
        scores = self._numbers("score", expected)
        self._check("score", ~(np.abs(scores) > LARGEST_SCORE), expected)
        interpolated = np.nan_to_num(self._numbers("interpolated", "0 or 1"))
        self._check("interpolated", np.isin(interpolated, (0, 1)), "0 or 1")
        return _Rows(
            frames=frames.astype(np.int64),
            times=self._times(),
            track_ids=np.where(joints >= 0, np.nan_to_num(ids), -1).astype(np.int64),
            joints=joints,
            joint_names=names,
            keypoints=keypoints,
            scores=scores,
            interpolated=interpolated == 1,
        )

    def _times(self) -> np.ndarray | None:
        if "time_s" not in self._table.column_names:
            return None
        expected = f"seconds within {_LARGEST_TIME_S:g}"
        times = self._numbers("time_s", expected)
        if np.isnan(times).all():
            return None
        self._check("time_s", np.abs(times) <= _LARGEST_TIME_S, expected)
        return times

    def _joints(self) -> tuple[np.ndarray, tuple[str, ...]]:
        """The position (R,) of each row's joint among the names, -1 where it has none, and the names."""
        column = self._column("joint")
        if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
            raise InputError(f"{self._path}: joint: expected names, got {column.type}")
        encoded = pc.utf8_trim_whitespace(column).dictionary_encode()
        names = tuple(encoded.dictionary.to_pylist())
        if not 1 <= len(names) <= _MOST_JOINTS:
            raise InputError(f"{self._path}: joint: expected 1 to {_MOST_JOINTS} different names, got {len(names)}")
        return _to_numpy(encoded.indices.cast(pa.int64()), -1), names

    def _numbers(self, name: str, expected: str) -> np.ndarray:
        """(R,) float64, NaN where missing or without the column."""
        if name not in self._table.column_names:
            return np.full(len(self._table), np.nan)
        column = self._column(name)
        if pa.types.is_string(column.type):
            column = pc.utf8_trim_whitespace(column)
            if name == "interpolated":  # as Python writes truth values
                column = pc.replace_substring_regex(column, "(?i)^true$", "1")
                column = pc.replace_substring_regex(column, "(?i)^false$", "0")
        elif pa.types.is_boolean(column.type):
            column = column.cast(pa.uint8())
        try:
            return _to_numpy(column.cast(pa.float64(), safe=False), np.nan)
        except pa.ArrowException:
            pass
        if pa.types.is_string(column.type):
            self._check(name, np.array([_is_number(text) for text in column.to_pylist()]), expected)
        raise InputError(f"{self._path}: {name}: expected numbers, got {column.type}")

    def _column(self, name: str) -> pa.Array:
        """A column as one array, with texts as plain strings."""
        column = self._table.column(name).combine_chunks()
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        return column.cast(pa.string()) if pa.types.is_large_string(column.type) else column

    def _check(self, name: str, fine: np.ndarray, expected: str) -> None:
        if not fine.all():
            row = int(fine.argmin())
            got = shown(self._table.column(name)[row].as_py())
            raise InputError(f"{self._path}: row {row + 1}: {name}: expected {expected}, got {got}")


def _is_number(text: str | None) -> bool:
    try:
        return text is None or ("_" not in text and bool(float(text) or True))
    except ValueError:
        return False


def _to_numpy(column: pa.Array, missing: float) -> np.ndarray:
    """A column of numbers of 64 bits as a NumPy array; pyarrow's own conversion would import pandas."""
    data = column.buffers()[1]
    if data is None:  # all are missing
        return np.full(len(column), missing)
    kind = np.int64 if pa.types.is_integer(column.type) else np.float64
    values = np.frombuffer(data, kind, len(column), 8 * column.offset)
    is_there = np.from_dlpack(column.is_valid().cast(pa.uint8())) == 1
    return np.where(is_there, values, missing)


# From rows to people and frames ---------------------------------------------------------------------------------------


def _distinct(frames: np.ndarray, ids: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The different pairs of frame and id (P, 2) among these rows."""
    pairs = np.column_stack([frames[rows], ids[rows]])
    pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
    return pairs[np.r_[True, (np.diff(pairs, axis=0) != 0).any(axis=1)]] if len(pairs) else pairs


def _people(path: Path, rows: _Rows, observed: np.ndarray, joints: tuple[str, ...]) -> tuple[np.ndarray, Poses]:
    """The frame (P,) and the pose of each person, in order of frame and id.

    Args:
        path: for error messages.
        rows: of the table.
        observed: (R,) bool, the rows to use.
        joints: names of the skeleton's joints.

    Raises:
        InputError: a person has a joint twice.
    """
    use = np.flatnonzero(observed)
    use = use[np.lexsort((rows.joints[use], rows.track_ids[use], rows.frames[use]))]
    frames, ids, columns = rows.frames[use], rows.track_ids[use], rows.joints[use]
    next_person = (np.diff(frames) != 0) | (np.diff(ids) != 0)
    again = np.flatnonzero(~next_person & (np.diff(columns) == 0))
    if len(again):
        row = use[again[0] + 1]
        raise InputError(
            f"{path}: row {row + 1}: expected each joint of a person once in a frame, got a second "
            f"{rows.joint_names[rows.joints[row]]} of track_id {rows.track_ids[row]} in frame {rows.frames[row]}"
        )
    person = np.concatenate([[0], np.cumsum(next_person)]) if len(use) else np.zeros(0, np.int64)
    P, K = int(person[-1]) + 1 if len(use) else 0, len(joints)
    position = {joint: k for k, joint in enumerate(joints)}
    column = np.array([position[name] for name in rows.joint_names])[columns]
    keypoints, scores = np.full((P, K, 2), np.nan), np.zeros((P, K))
    keypoints[person, column], scores[person, column] = rows.keypoints[use], unit_scores(rows.scores[use])
    boxes = boxes_of(np.full((P, 4), np.nan), keypoints)
    first_rows = np.searchsorted(person, np.arange(P))
    return frames[first_rows], Poses(keypoints, scores, boxes, np.ones(P), np.zeros(P))


def _frame_times(path: Path, rows: _Rows) -> tuple[np.ndarray, np.ndarray | None]:
    """The numbers (T,) of the frames that have rows, increasing, and their times (T,).

    Raises:
        InputError: a frame has several times, or times decrease.
    """
    frames, first_rows, frame_of_row = np.unique(rows.frames, return_index=True, return_inverse=True)
    if rows.times is None:
        return frames, None
    times = rows.times[first_rows]
    wrong = np.abs(rows.times - times[frame_of_row]) > _SAME_TIME_S
    if wrong.any():
        row = int(wrong.argmax())
        raise InputError(
            f"{path}: row {row + 1}: time_s: expected {times[frame_of_row[row]]:g} as in the first row of frame "
            f"{rows.frames[row]}, got {rows.times[row]:g}"
        )
    if (np.diff(times) < 0).any():
        t = int((np.diff(times) < 0).argmax())
        raise InputError(
            f"{path}: time_s: expected times that do not decrease, got {times[t + 1]:g} s in frame {frames[t + 1]} "
            f"after {times[t]:g} s in frame {frames[t]}"
        )
    return frames, times


def _step(frames: np.ndarray, rate: float) -> int:
    """The step from one processed frame to the next: what the differences of the numbers (T,) have in common."""
    step = int(np.gcd.reduce(np.diff(frames))) if len(frames) > 1 else 1
    return step if len(frames) >= _CERTAIN_FRAMES or step <= _LONGEST_STEP_S * rate else 1
