"""The tracks of a run to a drawn video."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path, PurePath

from posetrail.errors import InputError
from tracker.io.pose_log import read_pose_log
from tracker.io.video_writer import VideoWriter
from tracker.progress import OnFrame
from tracker.runs.corrections import recorded_operations
from tracker.runs.draw_segments import draw_in_segments
from tracker.runs.draw_tracks import draw_tracks
from tracker.runs.locks import file_lock, read_lock, write_lock
from tracker.runs.record import LOG, VIDEO, PosesInput, check_log, open_input, read_record, write_record
from tracker.runs.results import tracks_of

_log = logging.getLogger(__name__)

_AHEAD_FRAMES = 4  # images decoded before they are drawn on, and drawn before they are encoded


def draw_run(
    run: Path,
    *,
    input: Path | None = None,
    output: Path | None = None,
    jobs: int = 1,
    on_frame: OnFrame = lambda _: None,
    on_note: Callable[[str], None] = lambda _: None,
    stopped: Callable[[], bool] = lambda: False,
) -> Path:
    """Draw the tracks of a run onto its clip, without networks. Returns the path of the video.

    Args:
        run: a run's folder.
        input: the clip, if it was moved, or if the run's poses were imported.
        output: the video to write; video.mp4 in the run's folder if not given.
        jobs: number of processes that draw. One decodes, draws and encodes in three threads, which is all that two
            cores can do; with more cores, more processes are faster.
        on_frame: called with the number of people drawn in each frame.
        on_note: called with one line for each way in which the video differs from the clip.
        stopped: called after each frame; true ends the video after it.

    Raises:
        InputError: the clip is missing or is not the one that was tracked, or the number of jobs is below 1.
    """
    if jobs < 1:
        raise InputError(f"jobs: expected 1 or more, got {jobs}")
    read_record(run)  # refuses a folder that is no run before a lock is made in it
    path = output or run / VIDEO
    if not path.parent.is_dir():
        raise InputError(f"{path}: expected an existing folder; make it, or choose another place for the video")
    in_place = path.resolve() == (run / VIDEO).resolve()
    with ExitStack() as locks:
        if not in_place:
            locks.enter_context(read_lock(run))
        lock = locks.enter_context(write_lock(run) if in_place else file_lock(path))
        record = read_record(run)
        end = check_log(run, record)
        source = open_input(record, input)
        source.look_for_index(run)
        video = VideoWriter(path, source.width, source.height, source.fps)
        # Imported poses may number their frames differently from their images, but hold the images' names.
        header, frames = read_pose_log(run / LOG)
        names = {image.name for image in source.images}
        by_name = isinstance(record.input, PosesInput) and PurePath(next(frames).name).name in names
        tracks = tracks_of(run / LOG, record.association_settings, end, recorded_operations(run, record))
        on_drawn = lock.checking(on_frame)
        if jobs > 1 and not by_name:
            drawn, notes = draw_in_segments(tracks, header.skeleton, source, path, jobs, on_drawn, stopped)
        else:
            drawn = draw_tracks(tracks, header.skeleton, source, video, on_drawn, stopped, by_name=by_name)
            notes = video.notes
        if in_place:
            write_record(run, record.with_video(drawn, notes, run))
    for note in notes:
        on_note(f"{path.name}: {note}")
    return path
