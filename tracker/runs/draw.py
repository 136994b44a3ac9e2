"""The tracks of a run to a drawn video."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from posetrail.errors import InputError
from tracker.draw_settings import DrawSettings
from tracker.io.blurring import face_regions
from tracker.io.checks import check_part
from tracker.io.gif_writer import GifWriter
from tracker.io.pose_log import read_pose_log
from tracker.io.video import Source
from tracker.io.video_writer import VideoWriter
from tracker.progress import OnFrame
from tracker.runs.draw_segments import draw_in_segments
from tracker.runs.draw_selection import run_tracks
from tracker.runs.draw_tracks import Drawing, draw_tracks
from tracker.runs.images import open_input, paired_by_name
from tracker.runs.locks import file_lock, read_lock, write_lock
from tracker.runs.record import (
    LOG,
    VIDEO,
    ClipInput,
    check_log,
    read_record,
    write_record,
)


def draw_run(
    run: str | Path,
    *,
    input: Path | None = None,
    output: str | Path | None = None,
    start_s: float | None = None,
    end_s: float | None = None,
    settings: DrawSettings | None = None,
    jobs: int = 1,
    on_frame: OnFrame = lambda _: None,
    on_note: Callable[[str], None] = lambda _: None,
    stopped: Callable[[], bool] = lambda: False,
) -> Path:
    """Draw the tracks of a run, with its corrections, onto its clip, without networks. Returns the path of the video.

    video.mp4 of the run is replaced if no other output is given. run.json records with which settings it was drawn. If
    it shows some people or a part of the clip only, run.json lists it as incomplete, so that `track` with `video` draws
    it again.

    Args:
        run: a run's folder.
        input: the clip, if it was moved, or if the run's poses were imported.
        output: the video to write, .mp4 or .gif; video.mp4 in the run's folder if not given.
        start_s: leave out frames before this time, in seconds from the start of the clip.
        end_s: leave out frames from this time on.
        settings: what is drawn; the defaults if not given.
        jobs: number of processes that draw. One decodes, draws and encodes in three threads, which is all that two
            cores can do; with more cores, more processes are faster. A .gif is drawn by one.
        on_frame: called with the number of people drawn in each frame.
        on_note: called with one line for each way in which the video differs from the clip.
        stopped: called after each frame; true ends the video after it.

    Raises:
        InputError: the clip is missing or is not the one that was tracked, a person is not in the run, no frame lies
            between start and end, or the number of jobs is below 1.

    Examples:
        >>> draw_run("out/clip", output="anna.gif", end_s=3, settings=DrawSettings(persons="Anna", boxes=True))
    """
    if jobs < 1:
        raise InputError(f"jobs: expected 1 or more, got {jobs}")
    check_part(start_s, end_s, 1, None)
    run, settings = Path(run), settings or DrawSettings()
    read_record(run)  # refuses a folder that is no run before a lock is made in it
    path = run / VIDEO if output is None else Path(output)
    if not path.parent.is_dir():
        raise InputError(f"{path}: expected an existing folder; make it, or choose another place for the video")
    in_place = path.resolve() == (run / VIDEO).resolve()
    with ExitStack() as locks:
        if not in_place:
            locks.enter_context(read_lock(run))
        lock = locks.enter_context(write_lock(run) if in_place else file_lock(path))
        record = read_record(run)
        check_log(run, record)
        source = open_input(record, input)
        source.look_for_index(run)
        video = _writer(path, source, settings)
        header, _ = read_pose_log(run / LOG)
        by_name = paired_by_name(run, record, source)
        people = run_tracks(run, record, at_once=bool(settings.chosen) or settings.blur_faces)
        faces = None
        if people.clip and settings.blur_faces:
            faces = face_regions(people.clip, header.skeleton, read_pose_log(run / LOG, record.pose_log)[1])
        drawing = Drawing(settings=settings, names=dict(people.names), faces=faces)
        if settings.chosen:
            people = people.of(settings.chosen)
        if start_s or end_s is not None:
            part = _part(source, start_s, end_s)
            people = people.within(part)
            if isinstance(record.input, ClipInput):  # imported poses may have other times than their images
                source = part
        on_drawn = lock.checking(on_frame)
        if jobs > 1 and not by_name and isinstance(video, VideoWriter):
            drawn, notes = draw_in_segments(
                people.tracks, header.skeleton, source, path, jobs, on_drawn, stopped, drawing=drawing
            )
        else:
            drawn = draw_tracks(
                people.tracks, header.skeleton, source, video, on_drawn, stopped, by_name=by_name, drawing=drawing
            )
            notes = video.notes
        if in_place:
            flags, limits = settings.flags(), _limits(settings, start_s, end_s)
            recorded = (*notes, f"drawn with {flags}") if flags else notes
            write_record(run, record.with_video(drawn, recorded, run, limits=limits))
    for note in notes:
        on_note(f"{path.name}: {note}")
    return path


def _writer(path: Path, source: Source, settings: DrawSettings) -> VideoWriter | GifWriter:
    if path.suffix.lower() == ".gif":
        return GifWriter(path, source.width, source.height, min(settings.gif_fps, source.fps), settings.gif_width)
    return VideoWriter(path, source.width, source.height, source.fps)


def _part(source: Source, start_s: float | None, end_s: float | None) -> Source:
    """The source between these times, as far as it is not limited to less already."""
    starts = [each for each in (source.start_s, start_s) if each is not None]
    ends = [each for each in (source.end_s, end_s) if each is not None]
    return replace(source, start_s=max(starts, default=None), end_s=min(ends, default=None))


def _limits(settings: DrawSettings, start_s: float | None, end_s: float | None) -> str:
    """To what people and times a video is limited, in words."""
    words = [f"persons {', '.join(settings.chosen)}"] if settings.chosen else []
    words += [f"from {start_s:g} s"] if start_s else []
    words += [f"up to {end_s:g} s"] if end_s is not None else []
    return " ".join(words)
