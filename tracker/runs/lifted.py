"""The 3-D tracks of a run, read from its folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from posetrail.errors import InputError
from posetrail.files import digest
from tracker.io.tables3d import TRACKS3D, read_csv3d
from tracker.lifting.lift_record import LiftRecord
from tracker.runs.corrections import lifted_notes
from tracker.runs.record import read_record
from tracker.tracks3d import Tracks3D


@dataclass(frozen=True, eq=False)
class LiftedRun:
    """The 3-D tracks of a run, and how they were made."""

    tracks: Tracks3D
    record: LiftRecord


def read_lifted(run: str | Path, *, stale: bool = False) -> LiftedRun:
    """Read the 3-D tracks that `posetrail lift` wrote.

    Args:
        run: a run's folder.
        stale: also read those that were made from other tracks than the run has now.

    Raises:
        InputError: there is no run, it has no 3-D tracks, they are stale, or another program has changed them.
    """
    run = Path(run)
    record = read_record(run)
    path = run / TRACKS3D
    if record.lift is None or not path.is_file():
        raise InputError(f"{run}: has no 3-D tracks; `posetrail lift {run}` makes them")
    if not stale and (notes := lifted_notes(run, record)):
        raise InputError(f"{run}: {notes[0]}")
    if digest(path) != record.lift.sha256:
        raise InputError(f"{path}: is not the file that run.json describes; `posetrail lift {run}` makes it again")
    return LiftedRun(read_csv3d(path, record.lift.joints()), record.lift)
