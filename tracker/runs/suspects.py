"""The doubtful places of a run: suspects.csv and a summary in run.json."""

from __future__ import annotations

import csv
import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from posetrail.files import written_whole
from tracker.association.offline import offline_tracks
from tracker.association.suspect_poses import LoggedPoses, logged_poses
from tracker.association.suspects import KINDS, PoseName, Suspect, suspects
from tracker.frames import TrackedFrame
from tracker.io.pose_log import LogEnd, read_pose_log
from tracker.runs.corrections import recorded_operations
from tracker.runs.locks import read_lock, write_lock
from tracker.runs.record import (
    LOG,
    SUSPECTS,
    RunRecord,
    SuspectFigures,
    check_log,
    files_of,
    read_record,
    write_record,
)
from tracker.runs.results import tracks_of

_COLUMNS = (
    "doubt", "kind", "frame", "last_frame", "track_ids", "candidate_track_ids", "reason",
    "poses", "candidates", "parts", "suspect_id",
)  # fmt: skip
_WAIT_S = 5.0  # for another process that reads the run


def find_suspects(run: str | Path) -> list[Suspect]:
    """Find the doubtful places of a run, most doubtful first; writes suspects.csv and the summary in run.json.

    In a folder that cannot be written to, they are only returned.

    Needs neither the clip nor a network: the pose log is associated again, with the settings of the run, for the
    evidence that its files do not hold. It takes less time than `posetrail follow`. The tracks are those of the run's
    files, with the corrections by which they were made; the joints are those of the pose log.

    Args:
        run: a run's folder.

    Raises:
        InputError: there is no run, or it cannot be read.

    Examples:
        >>> for suspect in find_suspects("out/clip")[:10]:
        ...     print(suspect.doubt, suspect.kind, suspect.frame, suspect.reason)
    """
    run = Path(run)
    read_record(run)  # refuses a folder that is no run before a lock is made in it
    with read_lock(run):
        record = read_record(run)
        end = check_log(run, record)
        found, ids = _found(run, record, end)
    if os.access(run, os.W_OK):
        write_suspects(run, record, found, ids)
    return found


def _found(run: Path, record: RunRecord, end: LogEnd) -> tuple[list[Suspect], dict[PoseName, int]]:
    """The suspects, and the track ids of all poses that they name."""
    header, _ = read_pose_log(run / LOG)
    settings, skeleton = record.association_settings, header.skeleton
    log = run / LOG
    evidence = offline_tracks(read_pose_log(log, end)[1], settings, skeleton, header.queue_frames)
    poses = logged_poses(read_pose_log(log, end)[1], len(skeleton), settings.min_match_joint_score)
    corrections = recorded_operations(run, record)
    if settings.offline and not corrections:
        ids = _in_order(evidence.tracks)
    else:
        ids = _ids(tracks_of(log, settings, end, corrections)(), poses)
    found = suspects(poses, ids, evidence.forward, evidence.backward, skeleton, (header.width, header.height))
    named = {name for each in found for name in (*each.poses, *each.candidates)}
    begin = dict(zip(poses.frame_indices.tolist(), poses.begins[:-1].tolist(), strict=True))
    return found, {(frame, row): int(ids[begin[frame] + row]) for frame, row in named}


def _in_order(tracks: np.ndarray) -> np.ndarray:
    """Track ids (M,) that count from 1 in order of appearance, as in the run's files; -1 for none."""
    kept = tracks >= 0
    _, first, inverse = np.unique(tracks[kept], return_index=True, return_inverse=True)
    ids = np.full(len(tracks), -1, np.int64)
    ids[kept] = np.argsort(np.argsort(first))[inverse] + 1
    return ids


def _ids(frames: Iterable[TrackedFrame], poses: LoggedPoses) -> np.ndarray:
    """The track id (M,) of each pose of the log, -1 for none."""
    ids = np.full(len(poses), -1, np.int64)
    for frame, begin in zip(frames, poses.begins.tolist(), strict=False):
        logged = frame.people.pose_rows >= 0
        ids[begin + frame.people.pose_rows[logged]] = frame.people.track_ids[logged]
    return ids


def write_suspects(run: Path, record: RunRecord, found: Sequence[Suspect], ids: dict[PoseName, int]) -> None:
    """Write suspects.csv and the summary in run.json.

    Args:
        run: the folder.
        record: of the run when they were found. If it was followed again meanwhile, nothing is written.
        found: the suspects.
        ids: track ids of the poses that they name.

    Raises:
        InputError: the folder cannot be written to.
    """
    with write_lock(run, wait_s=_WAIT_S):
        now = read_record(run)
        others = {name: getattr(record, name) for name in ("suspects", "angles", "files", "warnings")}
        if replace(now, **others) != record:
            return
        with written_whole(run / SUSPECTS) as beside, beside.open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(_COLUMNS)
            table.writerows(_cells(each, ids) for each in found)
        files = files_of(run, {*now.files, SUSPECTS})
        write_record(run, replace(now, suspects=figures_of(found, now.figures.frames), files=files))


def figures_of(found: Sequence[Suspect], num_frames: int) -> SuspectFigures:
    """The number of suspects of each kind, in all and per 1000 frames."""
    number = Counter(each.kind for each in found)
    return SuspectFigures(
        number={kind: number[kind] for kind in KINDS},
        per_1000_frames={kind: round(1000 * number[kind] / max(num_frames, 1), 2) for kind in KINDS},
    )


def _cells(suspect: Suspect, ids: dict[PoseName, int]) -> tuple[object, ...]:
    return (
        suspect.doubt,
        suspect.kind,
        suspect.frame,
        suspect.last_frame,
        " ".join(map(str, dict.fromkeys(ids[name] for name in suspect.poses))),
        " ".join(map(str, dict.fromkeys(ids[name] for name in suspect.candidates))),
        suspect.reason,
        _names(suspect.poses),
        _names(suspect.candidates),
        json.dumps(suspect.parts),
        suspect.suspect_id,
    )


def _names(poses: Iterable[PoseName]) -> str:
    return " ".join(f"{frame}.{row}" for frame, row in poses)
