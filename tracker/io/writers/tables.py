"""Tables: CSV and Parquet with one row for each joint of each person in each frame; missing joints have no row.

Where a person has given names to people, the last column is the name, empty for people without one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from posetrail.files import written_whole
from posetrail.poses import TrackedPoses
from tracker.frames import TrackedFrame
from tracker.io.writers.base import DECIMALS_PX, DECIMALS_S, DECIMALS_SCORE, ClipInfo, Writer, by_id, rounded

_ROWS_PER_GROUP = 100_000  # of a Parquet file: some megabytes in memory


def _joint_rows(people: TrackedPoses) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The joints that are not missing, ordered by track id, then by joint.

    Returns:
        track ids (R,), joints (R,), keypoints (R, 2), scores (R,), interpolated (R,).
    """
    people = by_id(people)
    rows, joints = np.nonzero(np.isfinite(people.poses.keypoints).all(axis=2))
    keypoints, scores = people.poses.keypoints[rows, joints], people.poses.keypoint_scores[rows, joints]
    return people.track_ids[rows], joints, keypoints, scores, people.interpolated[rows]


class _CsvWriter(Writer):
    def __init__(self, file: TextIO, clip: ClipInfo) -> None:
        self._file = file
        self._joints = clip.skeleton.joints
        self._has_names: bool | None = None  # until the first frame

    def write_header(self, *, with_names: bool = False) -> None:
        """Write the names of the columns, unless they are there."""
        if self._has_names is None:
            self._has_names = with_names
            name = ",name" if with_names else ""
            self._file.write(f"frame,time_s,track_id,joint,x,y,score,interpolated{name}\n")

    def add(self, frame: TrackedFrame) -> None:
        self.write_header(with_names=bool(frame.names))
        start = f"{frame.index},{rounded(frame.time_s, DECIMALS_S):.{DECIMALS_S}f}"
        track_ids, joints, keypoints, scores, interpolated = _joint_rows(frame.people)
        xs, ys = rounded(keypoints, DECIMALS_PX).T.tolist()
        scores = rounded(scores, DECIMALS_SCORE)
        columns = (track_ids.tolist(), joints.tolist(), xs, ys, scores.tolist(), interpolated.astype(int).tolist())
        names = {track_id: f",{_quoted(frame.names.get(track_id, ''))}" for track_id in frame.people.track_ids.tolist()}
        ends = names if self._has_names else dict.fromkeys(names, "")
        self._file.writelines(
            f"{start},{track_id},{self._joints[joint]},{x:.{DECIMALS_PX}f},{y:.{DECIMALS_PX}f},"
            f"{score:.{DECIMALS_SCORE}f},{is_interpolated}{ends[track_id]}\n"
            for track_id, joint, x, y, score, is_interpolated in zip(*columns, strict=True)
        )


def _quoted(name: str) -> str:
    """The name as a field of a CSV file."""
    return '"' + name.replace('"', '""') + '"' if set(name) & set(',"') else name


class _ParquetWriter(Writer):
    """The columns of the CSV, not rounded; the joints' names are stored once."""

    SCHEMA = pa.schema(
        {
            "frame": pa.int64(),
            "time_s": pa.float64(),
            "track_id": pa.int64(),
            "joint": pa.dictionary(pa.int16(), pa.string()),
            "x": pa.float32(),
            "y": pa.float32(),
            "score": pa.float32(),
            "interpolated": pa.bool_(),
        }
    )

    def __init__(self, file: BinaryIO, clip: ClipInfo) -> None:
        self._file = file
        self._parquet: pq.ParquetWriter | None = None  # until it is known whether there are names
        self._schema = self.SCHEMA
        self._joints = pa.array(clip.skeleton.joints)
        self._waiting: list[tuple[np.ndarray, ...]] = []  # columns of the schema, frame by frame
        self._rows_waiting = 0

    def add(self, frame: TrackedFrame) -> None:
        track_ids, joints, keypoints, scores, interpolated = _joint_rows(frame.people)
        if len(joints) == 0:
            return
        if frame.names and not self._parquet:
            self._schema = self.SCHEMA.append(pa.field("name", pa.string()))
        index, time_s = np.full(len(joints), frame.index), np.full(len(joints), frame.time_s)
        xs, ys = keypoints.T
        columns = [index, time_s, track_ids, joints.astype(np.int16), xs, ys, scores, interpolated]
        if len(self._schema) > len(self.SCHEMA):
            columns.append(np.array([frame.names.get(track_id, "") for track_id in track_ids.tolist()], object))
        self._waiting.append(tuple(columns))
        self._rows_waiting += len(joints)
        if self._rows_waiting >= _ROWS_PER_GROUP:
            self.flush()

    def flush(self) -> None:
        """Write the rows in memory as one row group."""
        self._parquet = self._parquet or pq.ParquetWriter(self._file, self._schema, compression="zstd")
        if self._waiting:
            columns = [np.concatenate(parts) for parts in zip(*self._waiting, strict=True)]
            columns[3] = pa.DictionaryArray.from_arrays(columns[3], self._joints)
            self._parquet.write_table(pa.table(columns, schema=self._schema))
        self._waiting, self._rows_waiting = [], 0

    def close(self) -> None:
        """Write what is left and the end of the file."""
        self.flush()
        if self._parquet:
            self._parquet.close()


@contextmanager
def open_csv(path: Path, clip: ClipInfo) -> Iterator[Writer]:
    """Open tracks.csv."""
    with written_whole(path) as beside, beside.open("w", encoding="utf-8", newline="\n") as file:
        writer = _CsvWriter(file, clip)
        yield writer
        writer.write_header()


@contextmanager
def open_parquet(path: Path, clip: ClipInfo) -> Iterator[Writer]:
    """Open tracks.parquet."""
    with written_whole(path) as beside, beside.open("wb") as file:  # Arrow takes no path that is not UTF-8
        writer = _ParquetWriter(file, clip)
        yield writer
        writer.close()
