"""Poses and boxes of other programs as a pose log, which is then associated like any other.

- PoseTrack files (posetrack.py), 2017, 2018 and 2021, joints in the order of POSETRACK_15.
- Tables of joints (tables.py): tracks.csv and tracks.parquet of a run, or a table with the same columns.
- MOTChallenge text (mot.py) of any year, see posetrail/mot.py. Boxes have no joints: all are missing, and people are
  followed by their boxes. A seqinfo.ini beside the file, or in the folder above, is used.
- A pose log, that of a killed run included.

Conventions:

- Ids are ignored. Interpolated poses are left out.
- Scores within 0..1 are kept. Other scores are replaced by the share of the file's scores that are not greater. This
  keeps their order, is the same for logits and probabilities, and is robust to outliers. A missing score (none, -1 if
  no other is negative, -9999) becomes 1; so do all scores if they are equal.
- Frames of PoseTrack files are those listed. A frame's number is the number at the end of its name, if these numbers
  increase; frames that are left out of the file are then gaps in time. Otherwise frames are numbered by position.
- Frames that a table or MOTChallenge file does not mention were seen and have no people. If there are far more of them
  than people, long gaps are shortened (posetrail/sparse.py), so that time and memory depend on the people alone.
- Times are those of the file, or else number / fps.
- Person boxes that contain less than half of their joints are placeholders of programs without boxes. They are replaced
  by the enlarged bounding box of the joints, as are missing boxes.
- These files do not hold the size of the images; it is estimated from the extent of the people.
"""

from __future__ import annotations

import math
import shutil
from functools import partial
from pathlib import Path

from posetrail.errors import InputError
from posetrail.files import written_whole
from tracker.io.importers.imported import ImportedPoses
from tracker.io.importers.mot import read_mot_file
from tracker.io.importers.posetrack import read_posetrack
from tracker.io.importers.tables import is_table, read_csv_table, read_parquet_table
from tracker.io.pose_log import LogEnd, is_complete, last_place, read_pose_log
from tracker.io.writers import default_formats


def read_poses(path: Path, *, fps: float | None = None) -> ImportedPoses:
    """Poses or boxes of one clip.

    Args:
        path: a .json of PoseTrack, a .csv or .parquet table, a .txt or .csv of MOTChallenge, or a poses.arrow.
        fps: frames per second; replaces the times in the file. Without both it is 30, with a note.

    Raises:
        InputError: it cannot be read or used.
    """
    if fps is not None and not (math.isfinite(fps) and fps > 0):
        raise InputError(f"fps: expected frames per second, more than 0, got {fps}")
    readers = {
        ".json": read_posetrack,
        ".csv": _read_csv,
        ".parquet": read_parquet_table,
        ".txt": read_mot_file,
        ".arrow": _read_log,
    }
    reader = readers.get(path.suffix.lower())
    if not path.is_file() or reader is None:
        came = "a file of another kind" if path.is_file() else "a folder without them" if path.is_dir() else "nothing"
        raise InputError(
            f"{path}: expected the folder of a finished run, a PoseTrack .json, a tracks.csv or tracks.parquet, a "
            f"MOTChallenge .txt or a poses.arrow, got {came}"
        )
    return reader(path, fps)


def _read_csv(path: Path, fps: float | None) -> ImportedPoses:
    return read_csv_table(path, fps) if is_table(path) else read_mot_file(path, fps)


def _read_log(path: Path, fps: float | None) -> ImportedPoses:
    if fps is not None:
        raise InputError(f"{path}: has its own times; leave out --fps")
    header, frames = read_pose_log(path)
    if next(frames, None) is None:
        raise InputError(f"{path}: expected a whole frame, got none; track again")
    formats = default_formats(header.skeleton)
    return ImportedPoses(header=header, write_log=partial(_copy, path), formats=formats, cut_off=not is_complete(path))


def _copy(path: Path, to: Path) -> LogEnd:
    if path.resolve() != to.resolve():
        with written_whole(to) as beside:
            shutil.copyfile(path, beside)
    return last_place(to).log_end
