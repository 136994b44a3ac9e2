"""Angles and speeds of the people of a run: angles.csv, a figure of each person, and a summary in run.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from posetrail.errors import InputError
from posetrail.files import written_whole
from posetrail.skeletons import Skeleton
from tracker.io.pose_log import read_pose_log
from tracker.lifting.angle_settings import AngleRecord, AngleSettings, Facing, is_angle_file
from tracker.lifting.angle_table import AngleTable, angle_table
from tracker.runs.draw_selection import RunTracks, run_tracks
from tracker.runs.joint_paths import paths_2d, paths_3d
from tracker.runs.lifted import LiftedRun, read_lifted
from tracker.runs.locks import read_lock, write_lock
from tracker.runs.record import LOG, RunRecord, check_log, files_of, read_record, write_record

if TYPE_CHECKING:
    from collections.abc import Callable

Source = Literal["auto", "2d", "3d"]
FigureFormat = Literal["png", "svg", "none"]
_TABLE, _PARQUET = "angles.csv", "angles.parquet"
_WAIT_S = 5.0  # for another process that reads the run


@dataclass(frozen=True, eq=False)
class RunAngles:
    """The angles of a run, with what they were computed from."""

    angles: AngleTable
    record: AngleRecord
    names: Mapping[int, str]  # of people, by track id


def angles(
    run: str | Path,
    *,
    persons: Sequence[int | str] = (),
    source: Source = "auto",
    filter_hz: float = 6.0,
    height_m: float | None = None,
    facing: Facing = "auto",
    min_joint_score: float = AngleSettings.min_joint_score,
) -> pd.DataFrame:
    """Joint and segment angles and speeds of the people of a run, with its corrections. Writes no file.

    Args:
        run: a run's folder.
        persons: ids or names of people; all if none are given.
        source: "2d" for the joints in the picture, "3d" for those of tracks3d.csv. "auto" is "3d" if the run has 3-D
            tracks that are not stale and neither a height nor a side is given, otherwise "2d".
        filter_hz: cut-off of a zero-lag Butterworth filter of fourth order on the paths of the joints; 0 for none.
        height_m: body height of these people, for speeds in metres per second from 2-D joints.
        facing: side of the picture that people face: "auto", or always "right" or "left".
        min_joint_score: joints with a lower score are missing.

    Returns:
        One row per person and frame, person by person: frame, time_s, track_id, name (where people have names),
        interpolated, facing (2-D), one column per angle in degrees such as knee_left_deg, and one per joint with its
        speed in m/s or pixels/s such as left_knee_m_per_s; centre_* is the middle of the hips. NaN where a joint is
        missing. docs/how-to/angles.md has the definitions.

    Raises:
        InputError: there is no run, it has no such person or no 3-D tracks, or a setting cannot be used.

    Examples:
        >>> import posetrail as pt
        >>> table = pt.angles("posetrail_out/clip", persons=[1], height_m=1.78)
        >>> table.plot(x="time_s", y=["knee_left_deg", "knee_right_deg"])
    """
    settings = AngleSettings(
        persons=",".join(map(str, persons)),
        filter_hz=filter_hz,
        height_m=height_m,
        facing=facing,
        min_joint_score=min_joint_score,
    )
    return _read(Path(run), source, settings)[1].angles.table


def write_angles(
    run: str | Path,
    settings: AngleSettings = AngleSettings(),
    *,
    source: Source = "auto",
    parquet: bool = False,
    figure: FigureFormat = "png",
    on_note: Callable[[str], None] = lambda _line: None,
) -> list[Path]:
    """Write angles.csv and a figure of each person into the folder of a run, and what was assumed into run.json.

    Files of an earlier call are replaced. Where matplotlib is not installed, no figure is written.

    Args:
        run: a run's folder.
        settings: see there.
        source: as for `angles`.
        parquet: also write angles.parquet.
        figure: format of the figures, or "none".
        on_note: called with each line about the table or a figure that was not drawn.

    Returns:
        The paths of the files.

    Raises:
        InputError: as for `angles`.
    """
    run = Path(run)
    record, computed = _read(run, source, settings)
    for note in computed.angles.notes:
        on_note(note)
    with write_lock(run, wait_s=_WAIT_S):
        if replace(now := read_record(run), angles=None, files=()) != replace(record, angles=None, files=()):
            raise InputError(f"{run}: was changed meanwhile; run the same command again")
        names = _write_tables(run, computed.angles.table, parquet=parquet)
        if figure != "none":
            names += _write_figures(run, computed, figure, on_note)
        others = {name for name in now.files if not is_angle_file(name)}
        write_record(run, replace(now, angles=computed.record, files=files_of(run, others | set(names))))
    return [run / name for name in names]


def _read(run: Path, source: Source, settings: AngleSettings) -> tuple[RunRecord, RunAngles]:
    """The record of a run, and its angles."""
    if source not in ("auto", "2d", "3d"):
        raise InputError(f"source: expected auto, 2d or 3d, got {source!r}")
    read_record(run)  # refuses a folder that is no run before a lock is made in it
    with read_lock(run):
        record = read_record(run)
        check_log(run, record)
        people = run_tracks(run, record, at_once=True)
        skeleton = read_pose_log(run / LOG)[0].skeleton
        lifted, notes = _lifted(run, record, source, settings)
    return record, _computed(record, people, skeleton, lifted, settings, notes)


def _lifted(
    run: Path, record: RunRecord, source: Source, settings: AngleSettings
) -> tuple[LiftedRun | None, tuple[str, ...]]:
    """The 3-D tracks to use, None for the 2-D ones, and notes on those that cannot be used."""
    for_2d = settings.height_m is not None or settings.facing != "auto"
    if source == "2d" or (source == "auto" and (record.lift is None or for_2d)):
        return None, ()
    try:
        return read_lifted(run), ()
    except InputError as error:
        if source == "3d":
            raise
        return None, (f"{error}; these angles are of 2-D joints",)


def _computed(
    record: RunRecord,
    people: RunTracks,
    skeleton: Skeleton,
    lifted: LiftedRun | None,
    settings: AngleSettings,
    notes: tuple[str, ...],
) -> RunAngles:
    assert people.clip is not None
    ids = people.ids(settings.chosen) if settings.chosen else np.unique(people.clip.track_ids).tolist()
    ids = list(dict.fromkeys(ids))
    if lifted is None:
        assumed: tuple[str, ...] = _ASSUMED_2D
        paths = paths_2d(people.clip, ids, people.names, settings)
    else:
        assumed = (_ASSUMED_3D[lifted.record.axes],)
        skeleton = lifted.tracks.skeleton
        paths = paths_3d(lifted.tracks, people.clip, ids, people.names, settings)
    found = angle_table(paths, skeleton, settings)
    found = replace(found, notes=(*notes, *found.notes))
    summary = AngleRecord(
        source="2d" if lifted is None else "3d",
        settings=asdict(settings),
        scales={str(track_id): scale for track_id, scale in found.scales.items()},
        assumptions=(*assumed, *found.notes),
        corrections=record.corrections.sha256,
    )
    return RunAngles(found, summary, people.names)


_ASSUMED_2D = (
    "people move in a plane parallel to the picture",
    "the picture's vertical is the true one",
    "a person is as far from the camera in all frames, if a body height was given",
)

_ASSUMED_3D = {
    "camera": "the camera is level: y of tracks3d.csv is vertical and points down",
    "floor": "the floor is level: y of tracks3d.csv is perpendicular to it and points down",
}


def _write_tables(run: Path, table: pd.DataFrame, *, parquet: bool) -> list[str]:
    with written_whole(run / _TABLE) as beside:
        table.to_csv(beside, index=False, lineterminator="\n")
    if not parquet:
        return [_TABLE]
    with written_whole(run / _PARQUET) as beside, beside.open("wb") as file:  # Arrow takes no path that is not UTF-8
        table.to_parquet(file, index=False)
    return [_TABLE, _PARQUET]


def _write_figures(run: Path, computed: RunAngles, suffix: str, on_note: Callable[[str], None]) -> list[str]:
    try:
        from tracker.runs.angle_plots import angle_figure
    except ImportError:
        on_note("no figure is drawn without matplotlib; install it with: pip install 'posetrail[plots]'")
        return []
    written = []
    table = computed.angles.table
    for track_id in table["track_id"].unique().tolist():
        rows = table[table["track_id"] == track_id]
        title = computed.names.get(track_id, "") or f"Person {track_id}"
        name = f"angles-{track_id}.{suffix}"
        with written_whole(run / name) as beside, beside.open("wb") as file:
            angle_figure(rows, title).savefig(file, format=suffix, dpi=120)
        written.append(name)
    return written
