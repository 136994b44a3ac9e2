"""Poses to a run without pixels: another run's, with other settings, or those of another program."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from posetrail.errors import InputError
from posetrail.files import written_whole
from tracker.io.importers import read_poses
from tracker.io.pose_log import PoseLogHeader, read_pose_log
from tracker.runs.corrections import (
    bring_corrections,
    carry_corrections,
    corrections_of,
    usable_corrections,
    with_lifted_notes,
)
from tracker.runs.locks import read_lock, write_lock
from tracker.runs.record import (
    LOG,
    NO_FIGURES,
    NOT_CORRECTED,
    RESULTS,
    RUN,
    VIDEO,
    Inferred,
    Model,
    Outcome,
    PosesInput,
    RecordedSettings,
    RunRecord,
    RunWarning,
    check_log,
    read_record,
)
from tracker.runs.results import tracks_of, write_results, writers_of
from tracker.runs.versions import installed_versions
from tracker.settings import AssociationSettings

if TYPE_CHECKING:
    from tracker.runs.corrected import CorrectedRun

_log = logging.getLogger(__name__)


def follow_run(
    run: Path,
    settings: AssociationSettings,
    *,
    output: Path | None = None,
    more_formats: Sequence[str] = (),
    corrections: bool = True,
    carry: bool = False,
) -> Outcome:
    """Assign ids to the poses of a run again, with other settings: no pixels, no network.

    Corrections in the folder, or those of the run where the output folder has none, are honoured.

    Args:
        run: a run's folder.
        settings: association settings.
        output: folder for the new tracks and a copy of the pose log; the run's own if not given.
        more_formats: names in tracker.io.writers.WRITERS, besides the formats of the run.
        corrections: whether to honour them; they stay in any case.
        carry: find the poses that the corrections name among those of the run, after it was tracked again.

    Raises:
        InputError: there is no run, or it cannot be read, or its corrections cannot be used.
    """
    started = time.perf_counter()
    read_record(run)  # refuses a folder that is no run before a lock is made in it
    folder = output or run
    in_place = folder.resolve() == run.resolve()
    with nullcontext() if in_place else read_lock(run), write_lock(folder):
        record = read_record(run)
        end = check_log(run, record)
        header, _ = read_pose_log(run / LOG)
        writers = writers_of(folder, header, (*record.formats, *more_formats))
        if not in_place:
            record = replace(record, lift=None)
        if not in_place and corrections:
            bring_corrections(run, folder)
        notes = carry_corrections(run) if carry and in_place else []
        corrected = corrections_of(folder, run / LOG) if corrections else None
        operations, used = (corrected.effective, corrected.used) if corrected else ({}, NOT_CORRECTED)
        tracks = tracks_of(run / LOG, settings, end, operations)
        if not in_place:
            with written_whole(folder / LOG) as beside:
                shutil.copyfile(run / LOG, beside)
            (folder / RUN).unlink(missing_ok=True)  # it describes another log
        keeps_video = in_place and (run / VIDEO).is_file() and record.has_tracks_of(settings, used)
        keep = frozenset({VIDEO}) if keeps_video else frozenset[str]()
        warnings = [*record.warnings_about(keep), *notes]
        record = write_results(
            folder, record, settings, tracks, writers, started=started, warnings=warnings, keep=keep, used=used
        )
        return Outcome.of(folder, with_lifted_notes(folder, record))


def associate_again(run: CorrectedRun, settings: AssociationSettings | None = None) -> Outcome:
    """Assign ids again with the corrections of an opened run, in its folder, and load the result into it.

    Args:
        run: opened.
        settings: association settings; those of the run if not given.

    Raises:
        InputError: another process uses the folder, or the run cannot be read.
    """
    outcome = follow_run(run.folder, settings or run.record.association_settings)
    run.load()
    return outcome


def follow_poses(
    poses: Path,
    settings: AssociationSettings,
    *,
    output: Path | None = None,
    fps: float | None = None,
    more_formats: Sequence[str] = (),
    corrections: bool = True,
    carry: bool = False,
) -> Outcome:
    """Assign ids to poses of any program; the result is a run with a pose log of its own.

    Args:
        poses: a file that `tracker.io.importers.read_poses` reads - a PoseTrack file, a table of joints, boxes of
            MOTChallenge, a pose log - or a run's folder, that of a killed run included.
        settings: association settings.
        output: folder for the run; that of the pose log if not given.
        fps: frames per second of poses without times.
        more_formats: names in tracker.io.writers.WRITERS, besides the formats that suit the poses.
        corrections: whether to honour those of a run.
        carry: as of `follow_run`.

    Raises:
        InputError: there are no poses, they cannot be used, or their file would be overwritten.
    """
    started = time.perf_counter()
    if poses.is_dir() and ((poses / RUN).is_file() or not (poses / LOG).is_file()):
        if fps is not None:
            raise InputError(f"{poses}: a run has its own times; leave out --fps")
        options = {"corrections": corrections, "carry": carry}
        return follow_run(poses, settings, output=output, more_formats=more_formats, **options)
    if poses.is_dir():
        poses, output = poses / LOG, output or poses
    if output is None:
        raise InputError(f"{poses}: expected a folder for the tracks, got none; give one with -o")
    if poses.resolve() in {(output / name).resolve() for name in (RUN, *RESULTS)}:
        raise InputError(f"{poses}: would be overwritten by its own tracks; choose another output folder")
    belongs_to_run = poses.name == LOG and poses.parent.resolve() != output.resolve()
    with read_lock(poses.parent) if belongs_to_run else nullcontext(), write_lock(output):
        imported = read_poses(poses, fps=fps)
        _log.info("%s: imported poses of %d joints", poses, imported.header.num_joints)
        writers = writers_of(output, imported.header, (*imported.formats, *more_formats))
        end = imported.write_log(output / LOG)
        (output / RUN).unlink(missing_ok=True)  # it describes another log
        if imported.cut_off:
            reason = f"{poses}: ends without an end mark; its {end.frames} whole frames are kept"
            inferred = Inferred("interrupted", reason, end, finished=False)
        else:
            inferred = Inferred("complete", "", end)
        record = _record_of(poses, imported.header, inferred)
        corrected, unused = usable_corrections(output) if corrections else (None, [])
        operations, used = (corrected.effective, corrected.used) if corrected else ({}, NOT_CORRECTED)
        tracks = tracks_of(output / LOG, settings, end, operations)
        notes = list(imported.notes)
        if poses.name in RESULTS and (poses.parent / LOG).is_file():
            notes.append(f"{poses}: its folder has a pose log, which holds more; follow the folder instead")
        warnings = [*(RunWarning(note) for note in notes), *unused]
        record = write_results(output, record, settings, tracks, writers, started=started, warnings=warnings, used=used)
        return Outcome.of(output, record)


def _record_of(path: Path, header: PoseLogHeader, inferred: Inferred) -> RunRecord:
    """The record of a run of imported poses; results are not in it yet."""
    return RunRecord(
        status=inferred.status,
        finished=inferred.finished,
        reason=inferred.reason,
        warnings=(),
        input=PosesInput(
            path=str(path.resolve()),
            fingerprint=header.source_fingerprint,
            fps=header.fps,
            width=header.width,
            height=header.height,
        ),
        settings=RecordedSettings(inference=header.inference_settings),
        models=tuple(Model(name=model["name"], sha256=model["sha256"]) for model in header.models),
        device="none",
        pose_log=inferred.log,
        versions=installed_versions(),
        figures=NO_FIGURES,
        files=(),
    )
