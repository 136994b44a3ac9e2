"""Pose log to tracks to files: the second stage of every run, which needs no pixels."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from types import MappingProxyType

from tracker.association.corrections import Operation
from tracker.association.edited_poses import exchanged_parts
from tracker.association.follow import associate_clip
from tracker.association.overlay import corrected, with_ids_in_order
from tracker.association.statements import statements
from tracker.frames import TrackedFrame
from tracker.io.pose_log import LogEnd, PoseLogHeader, read_pose_log
from tracker.io.writers import WRITERS, ClipInfo, Writer, open_writer
from tracker.runs.record import (
    LIFTED,
    NOT_CORRECTED,
    SUSPECTS,
    VIDEO,
    ClipInput,
    Figures,
    RunRecord,
    RunWarning,
    UsedCorrections,
    files_of,
    write_record,
)
from tracker.runs.versions import installed_versions
from tracker.settings import AssociationSettings
from tracker.tracked_clip import TrackedClip, tracked_clip

_log = logging.getLogger(__name__)

NO_CORRECTIONS: Mapping[int, Operation] = MappingProxyType({})

Writers = dict[str, AbstractContextManager[Writer]]
"""Writers that are not opened yet, by the names of their files."""

Tracks = Callable[[], Iterator[TrackedFrame]]
"""Returns the tracked frames of a clip from the first one on, each time it is called."""


def tracks_of(
    log: Path, settings: AssociationSettings, end: LogEnd, corrections: Mapping[int, Operation] = NO_CORRECTIONS
) -> Tracks:
    """The tracks of a pose log up to `end`.

    Without corrections the log is read and associated anew on each call; with them, all poses are held in memory.

    Args:
        log: the pose log.
        settings: association settings.
        end: of the frames to read.
        corrections: operations that are not undone, by number.
    """
    if corrections:
        clip = tracked_clip_of(log, settings, end, corrections)
        return clip.frames
    header, _ = read_pose_log(log)
    associated = associate_clip(
        lambda: read_pose_log(log, end)[1], settings, header.skeleton, queue_frames=header.queue_frames
    )
    return lambda: (TrackedFrame(frame.index, frame.time_s, frame.name, people) for frame, people in associated())


def tracked_clip_of(
    log: Path, settings: AssociationSettings, end: LogEnd, corrections: Mapping[int, Operation]
) -> TrackedClip:
    """The tracks of a pose log in arrays, with what corrections state; arguments as for `tracks_of`."""
    header, _ = read_pose_log(log)
    if not corrections:
        return tracked_clip(tracks_of(log, settings, end)(), header.num_joints)
    said = statements(corrections, header.skeleton)
    associated = associate_clip(
        lambda: read_pose_log(log, end)[1], settings, header.skeleton, queue_frames=header.queue_frames, said=said
    )
    frames = (TrackedFrame(frame.index, frame.time_s, frame.name, people) for frame, people in associated())
    clip = tracked_clip(frames, header.num_joints)
    clip = replace(clip, edits=exchanged_parts(clip, said))  # the poses were edited before they were associated
    return with_ids_in_order(corrected(clip, corrections, header.skeleton))


def writers_of(folder: Path, header: PoseLogHeader, formats: Sequence[str]) -> Writers:
    """Writers for these formats, names in `WRITERS`.

    Raises:
        InputError: a format is unknown or has no place for the skeleton.
    """
    clip = ClipInfo(
        name=header.source, skeleton=header.skeleton, fps=header.fps, width=header.width, height=header.height
    )
    opened = {name: open_writer(name, folder, clip) for name in formats}  # refuses an unknown name
    return {WRITERS[name].file_name: writer for name, writer in opened.items()}


def write_results(
    folder: Path,
    record: RunRecord,
    settings: AssociationSettings,
    tracks: Tracks,
    writers: Writers,
    *,
    started: float,
    warnings: Iterable[RunWarning] = (),
    keep: frozenset[str] = frozenset(),
    used: UsedCorrections = NOT_CORRECTED,
) -> RunRecord:
    """Write the tracks in every format, then run.json.

    Args:
        folder: of the run.
        record: input, networks and pose log of the run; results and association settings are filled in.
        settings: association settings, by which `tracks` were made.
        tracks: of the folder's pose log.
        writers: of the files to write.
        started: when the run began, by time.perf_counter.
        warnings: to record beside those of the input and the writers.
        keep: results in the folder that show these tracks already; all others are removed.
        used: the corrections by which `tracks` were made.

    Files of 3-D tracks that the record lists stay; `lifted_notes` in corrections.py says whether they are stale.

    Returns:
        The record as written.
    """
    frames, poses, interpolated, ids = 0, 0, 0, set[int]()
    with ExitStack() as files:
        outputs = {name: files.enter_context(writer) for name, writer in writers.items()}
        for frame in tracks():
            for output in outputs.values():
                output.add(frame)
            frames += 1
            poses += len(frame.people)
            interpolated += int(frame.people.interpolated.sum())
            ids.update(frame.people.track_ids.tolist())
    failed = {name: output.failure for name, output in outputs.items() if output.failure}
    new = [RunWarning(note) for note in (record.input.notes if isinstance(record.input, ClipInput) else ())]
    new += warnings
    if (folder / VIDEO).is_file() and VIDEO not in keep:
        text = f"removed, because it showed other tracks; `posetrail draw {folder}` draws these"
        new.append(RunWarning(text, VIDEO, incomplete=True))
    if (folder / SUSPECTS).is_file():
        text = f"removed, because it was made from other tracks; `posetrail suspects {folder}` writes it again"
        new.append(RunWarning(text, SUSPECTS))
    if record.angles:
        text = f"removed, because they were those of other tracks; `posetrail angles {folder}` writes them again"
        new.append(RunWarning(text, "angles.csv"))
    new += [RunWarning(failure, name, incomplete=True) for name, failure in failed.items()]
    new += [RunWarning(output.note, name) for name, output in outputs.items() if output.note]
    lifted = {name for name in LIFTED if record.lift and (folder / name).is_file()}  # stay, though they may be stale
    record = replace(
        record,
        warnings=tuple(new),
        settings=replace(record.settings, association=asdict(settings)),
        applied={**record.applied, "smooth": settings.smoothing},
        corrections=used,
        figures=Figures(frames=frames, people=len(ids), poses=poses, interpolated=interpolated, seconds=0.0),
        versions=installed_versions(),
        suspects=None,
        angles=None,
        files=files_of(folder, {*keep, *outputs, *lifted} - failed.keys() - {SUSPECTS}),
    ).with_seconds(time.perf_counter() - started)
    write_record(folder, record)
    _log.info("%s: wrote %s: %d frames, %d track ids", folder, ", ".join(record.files), frames, len(ids))
    return record
