"""The 3-D tracks of a run to files of other programs: TRC, C3D, BVH, npz."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from posetrail.errors import InputError, unknown_name
from posetrail.files import written_whole
from tracker.io.motion_files import markers_of, write_bvh, write_c3d, write_npz, write_trc
from tracker.io.pose_log import read_pose_log
from tracker.lifting.rotations import motion_of
from tracker.runs.lifted import read_lifted
from tracker.runs.locks import read_lock
from tracker.runs.record import LOG, check_output_file, read_record

Format3D = Literal["trc", "c3d", "bvh", "npz"]
FORMATS_3D: tuple[Format3D, ...] = get_args(Format3D)
_ONE_PERSON = ("trc", "bvh")


def export_3d(
    run: str | Path, to: str, *, persons: Sequence[int] = (), output: str | Path | None = None
) -> tuple[Path, ...]:
    """Write the 3-D tracks of a run, made by `lift`, to files with y up, in metres (BVH: centimetres).

    Args:
        run: a run's folder.
        to: "trc" or "bvh", one file per person; "c3d" or "npz", one file.
        persons: track ids; all people if none are given.
        output: the file; export.* in the run's folder if not given. With one file per person, `-person-ID` or
            `.person-ID` is added before its ending, unless one person is chosen.

    Returns:
        The paths of the files.

    Raises:
        InputError: there are no 3-D tracks, they are stale, a person is not among them, or a file cannot be written.

    Examples:
        >>> export_3d("out/clip", "trc", persons=[1])
    """
    run = Path(run)
    if to not in FORMATS_3D:
        raise unknown_name("export format", to, FORMATS_3D)
    read_record(run)  # refuses a folder that is no run before a lock is made in it
    with read_lock(run):
        tracks = read_lifted(run).tracks
        known = np.unique(tracks.track_ids).tolist()
        if missing := sorted(set(persons) - set(known)):
            raise InputError(
                f"persons: expected track ids of {', '.join(map(str, known))}, got {', '.join(map(str, missing))}"
            )
        chosen = sorted(set(persons)) or known
        tracks = tracks[np.isin(tracks.track_ids, chosen)]
        frames = list(read_pose_log(run / LOG)[1]) if to != "npz" else []
        indices = np.array([frame.index for frame in frames], np.int64)
        times = np.array([frame.time_s for frame in frames], float)
        base = run / f"export.{to}" if output is None else Path(output)
        paths = {i: _path(base, i, alone=output is not None and len(chosen) == 1) for i in chosen}
        paths = paths if to in _ONE_PERSON else {0: base}
        with ExitStack() as files:
            for track_id, path in paths.items():
                check_output_file(run, path)
                beside = files.enter_context(written_whole(path))
                if to == "npz":
                    write_npz(beside, tracks)
                elif to == "c3d":
                    write_c3d(beside, markers_of(tracks, indices, times))
                elif to == "trc":
                    write_trc(beside, markers_of(tracks.of(track_id), indices, times), track_id, path.name)
                else:
                    own = markers_of(tracks.of(track_id), indices, times)
                    write_bvh(beside, motion_of(own.points[track_id], tracks.skeleton), own.rate_hz)
    return tuple(paths.values())


def _path(base: Path, track_id: int, *, alone: bool) -> Path:
    return base if alone else base.with_name(f"{base.stem}.person-{track_id}{base.suffix}")
