"""The tracks of a run to one file of another program's format, as they are or as ground truth."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from posetrail.errors import InputError, unknown_name
from tracker.io.video import Source
from tracker.io.writers import WRITERS, ClipInfo
from tracker.runs.corrected import CorrectedRun, Entry
from tracker.runs.export_images import write_images
from tracker.runs.ground_truth import GroundTruth, write_coco, write_csv, write_posetrack
from tracker.runs.images import open_input
from tracker.runs.locks import file_lock
from tracker.runs.record import PosesInput, RunRecord, check_output_file, read_record
from tracker.tracked_clip import PoseName, TrackedClip

_log = logging.getLogger(__name__)

ExportFormat = Literal["posetrack", "coco", "csv"]
"""PoseTrack 2018, COCO keypoints, or the table of tracks.csv."""

EXPORT_FORMATS: tuple[ExportFormat, ...] = get_args(ExportFormat)
_WRITER = {"posetrack": "posetrack18", "coco": "coco", "csv": "csv"}
_SUFFIX = {"posetrack": ".json", "coco": ".coco.json", "csv": ".csv"}
_WRITE_GROUND_TRUTH: dict[str, Callable[[Path, GroundTruth], None]] = {
    "posetrack": write_posetrack,
    "coco": write_coco,
    "csv": write_csv,
}


def export_name(to: str, *, ground_truth: bool = False) -> str:
    """The name of the file that `export_run` writes if none is given.

    Raises:
        InputError: there is no such format.
    """
    if to not in _SUFFIX:
        raise unknown_name("export format", to, EXPORT_FORMATS)
    return ("ground_truth" if ground_truth else "export") + _SUFFIX[to]


def export_run(
    run: str | Path,
    to: str,
    *,
    ground_truth: bool = False,
    smoothed: bool = False,
    output: str | Path | None = None,
    images: str | Path | None = None,
    input: str | Path | None = None,
) -> Path:
    """Write the tracks of a run, with its corrections, to one file. Needs neither the clip nor a network.

    Args:
        run: a run's folder.
        to: "posetrack" (2018), "coco" or "csv".
        ground_truth: label only frames that are marked as checked, with joints where they were measured or where a
            person has put them, see tracker/runs/ground_truth.py.
        smoothed: ground truth with the smoothed joints of the tracks instead. Without `ground_truth` it has no effect:
            joints are as in the files of the run.
        output: the file to write; one in the run's folder, named by `export_name`, if not given.
        images: a folder for the images of the labelled frames of ground truth, which are read from the clip.
        input: where the clip is now, if it was moved.

    Returns:
        The path of the file.

    Raises:
        InputError: there is no run or no such format, the skeleton has no place in the format, no frame is checked, the
            images cannot be read, or a file cannot be written.

    Examples:
        >>> export_run("out/clip", "coco", ground_truth=True, output="clip.coco.json")
    """
    run = Path(run)
    name = export_name(to, ground_truth=ground_truth)
    path = run / name if output is None else Path(output)
    check_output_file(run, path)
    record = read_record(run)  # refuses a folder that is no run before a lock is made beside the file
    if images is not None and not ground_truth:
        raise InputError("images: expected ground_truth beside it; the images are those of the labelled frames")
    with file_lock(path), CorrectedRun(run) as opened:
        if ground_truth:
            truth = ground_truth_of(opened, smoothed=smoothed)
            if images is not None:
                names = zip(truth.clip.frame_indices[truth.labelled].tolist(), _labelled_names(truth), strict=True)
                write_images(Path(images), _clip_of(record, input), dict(names))
            _WRITE_GROUND_TRUTH[to](path, truth)
        else:
            _write_tracks(path, to, _info(opened), opened.clip)
    return path


def ground_truth_of(opened: CorrectedRun, *, smoothed: bool = False) -> GroundTruth:
    """The checked frames of an opened run as ground truth.

    Args:
        opened: the run.
        smoothed: keep the smoothed joints of the tracks.

    Raises:
        InputError: no frame is checked.
    """
    frames = opened.clip.frame_indices
    labelled = np.zeros(len(frames), bool)
    for first, last in opened.checked:
        labelled |= (frames >= first) & (frames <= last)
    if not labelled.any():
        raise InputError(
            f"{opened.folder}: expected checked frames to label, got none; look at the run with `posetrail view "
            f"{opened.folder}` and mark what is right as checked"
        )
    entries = [entry for entry in opened.entries if not entry.undone]
    return GroundTruth(
        clip=opened.clip if smoothed else opened.measured(),
        info=_info(opened),
        labelled=labelled,
        checked_by=_checked_by(entries, frames, labelled),
        hidden=_hidden(entries, opened),
        origin=_origin(opened, entries, smoothed),
    )


def _labelled_names(truth: GroundTruth) -> list[str]:
    return [truth.clip.frame_names[position] for position in np.flatnonzero(truth.labelled).tolist()]


def _clip_of(record: RunRecord, path: str | Path | None) -> Source:
    if isinstance(record.input, PosesInput):
        raise InputError(f"images: expected a run of a clip, got one of the poses in {record.input.path}")
    return open_input(record, None if path is None else Path(path))


def _info(opened: CorrectedRun) -> ClipInfo:
    header = opened.header
    return ClipInfo(
        name=header.source, skeleton=header.skeleton, fps=header.fps, width=header.width, height=header.height
    )


def _write_tracks(path: Path, to: str, info: ClipInfo, clip: TrackedClip) -> None:
    with WRITERS[_WRITER[to]].open(path, info) as writer:
        for frame in clip.frames():
            writer.add(frame)
    if writer.failure:
        raise InputError(f"{path}: {writer.failure}")
    if writer.note:
        _log.warning("%s: %s", path, writer.note)


def _checked_by(entries: Sequence[Entry], frames: np.ndarray, labelled: np.ndarray) -> tuple[str, ...]:
    """Who has checked each frame (F,), the last one if there were several."""
    by = np.full(len(frames), "", object)
    for entry in entries:
        if entry.operation["op"] == "checked":
            by[(frames >= entry.operation["first"]) & (frames <= entry.operation["last"])] = entry.by
    return tuple(np.where(labelled, by, "").tolist())


def _hidden(entries: Sequence[Entry], opened: CorrectedRun) -> dict[PoseName, dict[int, tuple[float, float]]]:
    """Places of joints that were placed first and hidden then, by pose and joint."""
    placed: dict[PoseName, dict[int, tuple[float, float]]] = {}
    hidden: dict[PoseName, dict[int, tuple[float, float]]] = {}
    for entry in entries:
        operation = entry.operation
        if operation["op"] not in ("move", "hide"):
            continue
        pose, joint = PoseName(*operation["pose"]), opened.header.skeleton.index(operation["joint"])
        if operation["op"] == "move":
            placed.setdefault(pose, {})[joint] = (operation["xy"][0], operation["xy"][1])
        elif joint in placed.get(pose, {}):
            hidden.setdefault(pose, {})[joint] = placed[pose][joint]
    return hidden


def _origin(opened: CorrectedRun, entries: Sequence[Entry], smoothed: bool) -> dict[str, Any]:
    """What made the labels, and who; its first keys are those of COCO's `info`."""
    people = sorted({entry.by for entry in entries if entry.by})
    changes = [entry for entry in entries if entry.operation["op"] not in ("checked", "fine", "undo")]
    return {
        "description": f"Tracks of {opened.header.source}, checked and corrected by hand; made by posetrail",
        "version": opened.record.versions.get("posetrail", ""),
        "contributor": ", ".join(people),
        "date_created": max((entry.at for entry in entries), default=""),
        "input_sha256": opened.header.source_fingerprint,
        "networks": [model.name for model in opened.record.models],
        "smoothed": smoothed,
        "names": {str(track_id): name for track_id, name in opened.clip.names.items()},
        "checked": [
            {"first": entry.operation["first"], "last": entry.operation["last"], "by": entry.by, "at": entry.at}
            for entry in entries
            if entry.operation["op"] == "checked"
        ],
        "corrections": [
            {"n": entry.number, "op": entry.operation["op"], "text": entry.text, "by": entry.by, "at": entry.at}
            for entry in changes
        ],
    }
