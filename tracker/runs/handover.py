"""The tracks of a run to files of other systems: VIBE, multi-view matching, Pose2Sim, SLEAP, DeepLabCut, movement."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, get_args

from posetrail.errors import InputError, unknown_name
from posetrail.files import sync_folder, written_whole
from posetrail.skeletons import BLAZEPOSE_33, BODY_25, BODY_135, COCO_17, COCO_WHOLEBODY_133, HALPE_26
from tracker.io.handover.multiview import write_candidates, write_times
from tracker.io.handover.openpose_json import STAF_21, write_frames
from tracker.io.handover.people import Handover
from tracker.io.handover.sleap import write_sleap
from tracker.io.handover.tables import write_dlc, write_movement
from tracker.io.handover.vibe import write_boxes
from tracker.io.writers import ClipInfo
from tracker.runs.corrected import CorrectedRun
from tracker.runs.locks import file_lock
from tracker.runs.record import check_output_file, read_record

_log = logging.getLogger(__name__)

HandoverFormat = Literal["vibe", "multiview", "pose2sim", "sleap", "dlc", "movement"]
HANDOVER_FORMATS: tuple[HandoverFormat, ...] = get_args(HandoverFormat)
_NAMES = {
    "vibe": "export.vibe",
    "multiview": "export.multiview",
    "pose2sim": "export.pose2sim_json",
    "sleap": "export.slp",
    "dlc": "export.dlc.csv",
    "movement": "export.movement.nc",
}
_FOLDERS = ("vibe", "multiview", "pose2sim")
_POSE2SIM_MODELS = {
    COCO_17: "COCO_17",
    HALPE_26: "HALPE_26",
    COCO_WHOLEBODY_133: "COCO_133",
    BODY_25: "BODY_25",
    BODY_135: "BODY_135",
    BLAZEPOSE_33: "BLAZEPOSE",
}
_MARKER = ".posetrail"  # in a folder that may be written again


def hand_over(run: str | Path, to: str, *, output: str | Path | None = None) -> Path:
    """Write the tracks of a run, with its corrections, for another system.

    Args:
        run: a run's folder.
        to: "vibe", "multiview" or "pose2sim", a folder; "sleap", "dlc" or "movement", a file.
        output: the file or folder; export.* in the run's folder if not given. A folder is new, empty, or one that was
            written by this function and is replaced.

    Returns:
        The path of the file or folder.

    Raises:
        InputError: there is no run or no such format, the run has no people, a package is missing, or a file cannot be
            written.

    Examples:
        >>> hand_over("out/clip", "dlc", output="clip.csv")
    """
    run = Path(run)
    if to not in HANDOVER_FORMATS:
        raise unknown_name("export format", to, HANDOVER_FORMATS)
    path = run / _NAMES[to] if output is None else Path(output)
    record = read_record(run)  # refuses a folder that is no run before a lock is made beside the file
    if to not in _FOLDERS:
        check_output_file(run, path)
    with CorrectedRun(run) as opened:
        header = opened.header
        info = ClipInfo(
            name=header.source, skeleton=header.skeleton, fps=header.fps, width=header.width, height=header.height
        )
        tracks = Handover(info, opened.clip)
    if not len(tracks.clip.track_ids):
        raise InputError(f"{run}: expected a run with tracked people, got one without; nothing can be handed over")
    if to in _FOLDERS:
        with file_lock(path), _new_folder(path) as folder:
            _WRITE_FOLDER[to](folder, tracks)
    else:
        with file_lock(path), written_whole(path) as beside:
            if to == "sleap":
                write_sleap(beside, tracks, record.input.path if record.input.kind == "clip" else info.name)
            else:
                (write_dlc if to == "dlc" else write_movement)(beside, tracks)
    return path


def _write_vibe(folder: Path, tracks: Handover) -> None:
    write_boxes(folder / "boxes.npz", tracks)
    joints = folder / "joints2d"
    joints.mkdir()
    write_frames(joints, tracks, STAF_21)


def _write_multiview(folder: Path, tracks: Handover) -> None:
    write_candidates(folder / f"{tracks.stem}.txt", tracks)
    write_times(folder / f"{tracks.stem}.times.csv", tracks)


def _write_pose2sim(folder: Path, tracks: Handover) -> None:
    skeleton = tracks.info.skeleton if tracks.info.skeleton in _POSE2SIM_MODELS else COCO_17
    write_frames(folder, tracks, skeleton)
    _log.info("pose_model of Pose2Sim's Config.toml: %s", _POSE2SIM_MODELS[skeleton])


_WRITE_FOLDER: dict[str, Callable[[Path, Handover], None]] = {
    "vibe": _write_vibe,
    "multiview": _write_multiview,
    "pose2sim": _write_pose2sim,
}


@contextmanager
def _new_folder(path: Path) -> Iterator[Path]:
    """Yield a folder beside `path` that takes its place on leaving and is removed on an exception."""
    if path.exists() and not (path.is_dir() and (not any(path.iterdir()) or (path / _MARKER).is_file())):
        raise InputError(f"{path}: expected a new or empty folder, or one of an earlier export; choose another with -o")
    if not path.parent.is_dir():
        raise InputError(f"{path}: expected an existing folder to make it in; make it, or choose another place")
    beside = path.with_name(f".{path.name}.part")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        beside.mkdir()
        yield beside
        (beside / _MARKER).touch()
        if path.exists():
            shutil.rmtree(path)
        beside.replace(path)
        sync_folder(path.parent)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
