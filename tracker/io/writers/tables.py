"""Tables: CSV and Parquet with one row for each joint of each person in each frame; missing joints have no row."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

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
        self._file.write("frame,time_s,track_id,joint,x,y,score,interpolated\n")

    def add(self, frame: TrackedFrame) -> None:
        start = f"{frame.index},{rounded(frame.time_s, DECIMALS_S):.{DECIMALS_S}f}"
        track_ids, joints, keypoints, scores, interpolated = _joint_rows(frame.people)
        xs, ys = rounded(keypoints, DECIMALS_PX).T.tolist()
        scores = rounded(scores, DECIMALS_SCORE)
        columns = (track_ids.tolist(), joints.tolist(), xs, ys, scores.tolist(), interpolated.astype(int).tolist())
        self._file.writelines(
            f"{start},{track_id},{self._joints[joint]},{x:.{DECIMALS_PX}f},{y:.{DECIMALS_PX}f},"
            f"{score:.{DECIMALS_SCORE}f},{is_interpolated}\n"
            for track_id, joint, x, y, score, is_interpolated in zip(*columns, strict=True)
        )


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

    def __init__(self, parquet: pq.ParquetWriter, clip: ClipInfo) -> None:
        self._parquet = parquet
        self._joints = pa.array(clip.skeleton.joints)
        self._waiting: list[tuple[np.ndarray, ...]] = []  # columns of the schema, frame by frame
        self._rows_waiting = 0

    def add(self, frame: TrackedFrame) -> None:
        track_ids, joints, keypoints, scores, interpolated = _joint_rows(frame.people)
        if len(joints) == 0:
            return
        index, time_s = np.full(len(joints), frame.index), np.full(len(joints), frame.time_s)
        xs, ys = keypoints.T
        self._waiting.append((index, time_s, track_ids, joints.astype(np.int16), xs, ys, scores, interpolated))
        self._rows_waiting += len(joints)
        if self._rows_waiting >= _ROWS_PER_GROUP:
            self.flush()

    def flush(self) -> None:
        """Write the rows in memory as one row group."""
        if self._waiting:
            columns = [np.concatenate(parts) for parts in zip(*self._waiting, strict=True)]
            columns[3] = pa.DictionaryArray.from_arrays(columns[3], self._joints)
            self._parquet.write_table(pa.table(columns, schema=self.SCHEMA))
        self._waiting, self._rows_waiting = [], 0


@contextmanager
def open_csv(path: Path, clip: ClipInfo) -> Iterator[Writer]:
    """Open tracks.csv."""
    with written_whole(path) as beside, beside.open("w", encoding="utf-8", newline="\n") as file:
        yield _CsvWriter(file, clip)


@contextmanager
def open_parquet(path: Path, clip: ClipInfo) -> Iterator[Writer]:
    """Open tracks.parquet."""
    with (
        written_whole(path) as beside,
        beside.open("wb") as file,  # Arrow takes no path that is not UTF-8
        pq.ParquetWriter(file, _ParquetWriter.SCHEMA, compression="zstd") as parquet,
    ):
        writer = _ParquetWriter(parquet, clip)
        yield writer
        writer.flush()
