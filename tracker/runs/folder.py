"""Clip to a run's folder: inference writes the pose log, association reads it and writes everything else."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from posetrail.protocols import BottomUp, Detector, Estimator, Refiner
from tracker.io.frame_index import INDEX
from tracker.io.pose_log import PoseLogHeader
from tracker.io.video import Source, open_source
from tracker.io.video_writer import VideoWriter
from tracker.io.writers import default_formats
from tracker.lifting.angle_settings import is_angle_file
from tracker.progress import OnFrame
from tracker.runs.corrections import drop_kept_poses, keep_named_poses, usable_corrections, with_lifted_notes
from tracker.runs.draw_tracks import draw_tracks
from tracker.runs.infer import header_of, infer_to_log, keep_index, record_of
from tracker.runs.locks import write_lock
from tracker.runs.networks import Networks, OwnNetworks, open_networks
from tracker.runs.record import (
    LOG,
    NOT_CORRECTED,
    RESULTS,
    RUN,
    VIDEO,
    Inferred,
    Outcome,
    RunRecord,
    RunWarning,
    UsedCorrections,
    files_of,
    write_record,
)
from tracker.runs.results import Tracks, Writers, tracks_of, write_results, writers_of
from tracker.runs.resume import IfExists, Reuse, find_reusable
from tracker.runs.segments import Segment, infer_in_segments, remove_segments, segments_provenance
from tracker.settings import Settings

_log = logging.getLogger(__name__)


def track_to_folder(
    path: str | Path,
    folder: str | Path,
    settings: Settings | None = None,
    *,
    detector: Detector | None = None,
    estimator: Estimator | None = None,
    bottom_up: BottomUp | None = None,
    refiner: Refiner | None = None,
    start_s: float | None = None,
    end_s: float | None = None,
    stride: int = 1,
    fps: float | None = None,
    more_formats: Sequence[str] = (),
    video: bool = False,
    if_exists: IfExists = "associate",
    on_frame: OnFrame = lambda _: None,
) -> Outcome:
    """Track one clip and write the run's folder: poses.arrow, tracks.json, tracks.csv and run.json.

    Args:
        path: a video file, a folder of images or a glob.
        folder: of the run; made if it does not exist.
        settings: all settings; the defaults if not given.
        detector: used instead of the one that the settings name. It is recorded under its attribute `name`, or its
            class's name.
        estimator: likewise.
        bottom_up: a network that finds people and their joints at once, used instead of a detector and an estimator.
        refiner: corrects the joints of all people, used instead of the one that the settings name.
        start_s: leave out frames before this time, in seconds.
        end_s: leave out frames from this time on, in seconds.
        stride: keep the frames whose index is a multiple of it.
        fps: frames per second of images (30 if not given).
        more_formats: further files to write: parquet, coco, mot, posetrack17.
        video: draw video.mp4 too.
        if_exists: what to do with an earlier run in the folder, see `IfExists`. By default a finished run of the same
            clip and settings is kept, and an unfinished one is continued.
        on_frame: called with the number of poses of each frame.

    Raises:
        InputError: no frame could be read, a setting cannot be used, the folder cannot be written, or it holds a run
            that `if_exists` does not allow to replace.

    Examples:
        >>> outcome = track_to_folder("clip.mp4", "out/clip")
        >>> outcome.status, outcome.frames, outcome.people, outcome.files
    """
    settings = settings or Settings()
    source = open_source(path, start_s=start_s, end_s=end_s, stride=stride, fps=fps)
    with open_networks(settings, OwnNetworks(detector, estimator, bottom_up, refiner)) as networks:
        return run_clip(
            source,
            Path(folder),
            networks,
            settings,
            formats=(*default_formats(networks.skeleton), *more_formats),
            video=video,
            if_exists=if_exists,
            on_frame=on_frame,
        )


def run_clip(
    source: Source,
    folder: Path,
    networks: Networks,
    settings: Settings,
    *,
    formats: Sequence[str] | None = None,
    video: bool = False,
    if_exists: IfExists = "associate",
    segments: Sequence[Segment] = (),
    on_frame: OnFrame = lambda _: None,
    on_drawn: OnFrame = lambda _: None,
    stopped: Callable[[], bool] = lambda: False,
    wait_s: float = 0.0,
) -> Outcome:
    """Track an opened clip with opened networks into a run's folder.

    A damaged source, or `stopped()` becoming true, ends inference early; the frames inferred by then are associated and
    written in complete files. Nothing but a lock is written before the poses of the first frame are known. No other
    process can write to the folder or read the run meanwhile.

    Args:
        source: the clip; the file of a video is read twice.
        folder: of the run; made if it does not exist.
        networks: opened with these settings.
        settings: all settings.
        formats: names in tracker.io.writers.WRITERS; those that suit the skeleton if not given.
        video: draw video.mp4 too, after the tracks; not after `stopped()`.
        if_exists: what to do with an earlier run in the folder (tracker/runs/resume.py).
        segments: infer the clip in these (tracker/runs/segments.py); segments that other workers have inferred into
            the folder are reused.
        on_frame: called with the number of poses of each frame. An exception that it raises ends the run at once and
            leaves a log that can be continued.
        on_drawn: called with the number of people drawn in each frame.
        stopped: called after each frame.
        wait_s: seconds to wait for another process that uses the folder.

    Raises:
        InputError: no frame could be read, the folder cannot be written, is used by another process, is removed
            meanwhile, or holds a run that `if_exists` does not allow to replace.
    """
    started = time.perf_counter()
    header = header_of(source, networks, settings, **segments_provenance(segments))
    run = _Run(source, folder, header, networks, settings)
    formats = default_formats(networks.skeleton) if formats is None else formats
    writers = writers_of(folder, header, formats)  # refuses a format now, not after an hour of inference
    drawing = VideoWriter(folder / VIDEO, source.width, source.height, source.fps) if video else None
    with write_lock(folder, wait_s=wait_s) as lock:
        on_frame, on_drawn = lock.checking(on_frame), lock.checking(on_drawn)
        corrections, _ = usable_corrections(folder)
        reuse = find_reusable(
            folder,
            source,
            header,
            settings.association,
            formats=formats,
            video=video,
            if_exists=if_exists,
            used=corrections.used if corrections else NOT_CORRECTED,
        )
        if reuse.record and reuse.is_up_to_date:
            remove_segments(folder)
            present = [name for name in reuse.record.files if name not in RESULTS or name in reuse.files]
            present = [name for name in present if name != INDEX or (folder / INDEX).is_file()]
            record = replace(reuse.record, files=tuple(present))
            return Outcome.of(folder, record, unchanged=True, reused=reuse.summary)
        source.look_for_index(folder)
        if not reuse.record and not reuse.after:
            keep_named_poses(folder)
        inferred, others_s = _infer(run, reuse, segments, if_exists, on_frame, stopped)
        started -= others_s
        lock.check()
        keep_index(source, folder)
        corrections, unused = usable_corrections(folder)
        if corrections:
            drop_kept_poses(folder)
        operations = corrections.effective if corrections else {}
        tracks = tracks_of(folder / LOG, settings.association, inferred.log, operations)
        used = corrections.used if corrections else NOT_CORRECTED
        record = with_lifted_notes(folder, _associate(run, reuse, inferred, tracks, writers, started, used, unused))
        if inferred.finished:
            remove_segments(folder)
        if drawing and VIDEO not in record.files:
            skeleton = networks.skeleton
            drawn = "none" if stopped() else draw_tracks(tracks, skeleton, source, drawing, on_drawn, stopped)
            record = record.with_video(drawn, drawing.notes, folder)
            record = record.with_seconds(time.perf_counter() - started)
            write_record(folder, record)
        return Outcome.of(folder, record, reused=reuse.summary)


@dataclass(frozen=True)
class _Run:
    """What one run is made from, and where its files go."""

    source: Source
    folder: Path
    header: PoseLogHeader
    networks: Networks
    settings: Settings


def _infer(
    run: _Run,
    reuse: Reuse,
    segments: Sequence[Segment],
    if_exists: IfExists,
    on_frame: OnFrame,
    stopped: Callable[[], bool],
) -> tuple[Inferred, float]:
    """Complete the pose log, as far as an earlier run has not; how that ended, and seconds that other workers spent."""
    if reuse.record:
        return reuse.record.inferred, 0.0
    clip = (run.source, run.folder, run.header, run.networks, run.settings)
    if segments:
        return infer_in_segments(segments, *clip, if_exists=if_exists, on_frame=on_frame, stopped=stopped)
    return infer_to_log(*clip, after=reuse.after, on_frame=on_frame, stopped=stopped), 0.0


def _associate(
    run: _Run,
    reuse: Reuse,
    inferred: Inferred,
    tracks: Tracks,
    writers: Writers,
    started: float,
    used: UsedCorrections,
    unused: Sequence[RunWarning],
) -> RunRecord:
    """Write the tracks and run.json; results of an earlier run that show the same tracks stay."""
    record = record_of(run.source, run.networks, run.settings, inferred)
    old = reuse.record
    if old:
        record = replace(record, lift=old.lift)
        writers |= writers_of(run.folder, run.header, old.formats)
    writers = {name: writer for name, writer in writers.items() if name not in reuse.files}
    if old and reuse.files and not writers:  # only the video is missing
        files = files_of(run.folder, reuse.files | set(filter(is_angle_file, old.files)))
        kept = {name: getattr(old, name) for name in ("applied", "warnings", "figures", "suspects", "angles")}
        return replace(record, **kept, corrections=used, files=files)
    (run.folder / RUN).unlink(missing_ok=True)  # until all files show the same tracks
    warnings = [RunWarning(reuse.warning)] if reuse.warning else []
    warnings += [*unused, *(old.warnings_about(reuse.files) if old else ())]
    return write_results(
        run.folder,
        record,
        run.settings.association,
        tracks,
        writers,
        started=started,
        warnings=warnings,
        keep=reuse.files,
        used=used,
    )
