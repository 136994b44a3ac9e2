"""The tracks of a run to one file of another program's format, as they are or as ground truth."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Literal, get_args

from posetrail.errors import InputError, unknown_name
from tracker.io.pose_log import read_pose_log
from tracker.io.writers import WRITERS, ClipInfo
from tracker.runs.locks import file_lock, read_lock
from tracker.runs.record import LOG, RESULTS, RUN, check_log, read_record
from tracker.runs.results import Tracks, tracks_of

_log = logging.getLogger(__name__)

ExportFormat = Literal["posetrack", "coco", "csv"]
"""PoseTrack 2018, COCO keypoints, or the table of tracks.csv."""

EXPORT_FORMATS: tuple[ExportFormat, ...] = get_args(ExportFormat)
_WRITER = {"posetrack": "posetrack18", "coco": "coco", "csv": "csv"}
_SUFFIX = {"posetrack": ".json", "coco": ".coco.json", "csv": ".csv"}


def export_name(to: str, *, ground_truth: bool = False) -> str:
    """The name of the file that `export_run` writes if none is given.

    Raises:
        InputError: there is no such format.
    """
    if to not in _SUFFIX:
        raise unknown_name("export format", to, EXPORT_FORMATS)
    return ("ground_truth" if ground_truth else "export") + _SUFFIX[to]


def export_run(run: str | Path, to: str, *, output: str | Path | None = None) -> Path:
    """Write the tracks of a run to one file. Needs neither the clip nor a network.

    Args:
        run: a run's folder.
        to: "posetrack" (2018), "coco" or "csv".
        output: the file to write; one in the run's folder, named by `export_name`, if not given.

    Returns:
        The path of the file.

    Raises:
        InputError: there is no run or no such format, the skeleton has no place in the format, or the file cannot be
            written.

    Examples:
        >>> export_run("out/clip", "coco", output="clip.coco.json")
    """
    run = Path(run)
    path = run / export_name(to) if output is None else Path(output)
    _check_place(run, path)
    read_record(run)  # refuses a folder that is no run before a lock is made in it
    with read_lock(run), file_lock(path):
        record = read_record(run)
        end = check_log(run, record)
        header, _ = read_pose_log(run / LOG)
        clip = ClipInfo(
            name=header.source, skeleton=header.skeleton, fps=header.fps, width=header.width, height=header.height
        )
        _write_tracks(path, to, clip, tracks_of(run / LOG, record.association_settings, end))
    return path


def _check_place(run: Path, path: Path) -> None:
    if not path.parent.is_dir():
        raise InputError(f"{path}: expected an existing folder; make it, or choose another place for the file")
    if path.is_dir():
        raise InputError(f"{path}: expected a file to write, got a folder; give the name of a file with -o")
    if path.resolve() in {(run / name).resolve() for name in (RUN, LOG, *RESULTS)}:
        raise InputError(f"{path}: is a file of the run; choose another name")


def _write_tracks(path: Path, to: str, clip: ClipInfo, tracks: Tracks) -> None:
    with WRITERS[_WRITER[to]].open(path, clip) as writer:
        for frame in tracks():
            writer.add(frame)
    if writer.failure:
        raise InputError(f"{path}: {writer.failure}")
    if writer.note:
        _log.warning("%s: %s", path, writer.note)
