"""Tracks to a drawn video: `draw_run`, and the video of a run that asks for one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterable
from contextlib import ExitStack, closing, suppress
from pathlib import Path, PurePath
from typing import Literal

from posetrail.errors import InputError
from posetrail.frame import Frame, Image
from posetrail.skeletons import Skeleton
from tracker.frames import TrackedFrame
from tracker.inference.prefetch import prefetch
from tracker.io.drawing import Trails, draw_people
from tracker.io.pose_log import read_pose_log
from tracker.io.video import DamagedInput, Source
from tracker.io.video_writer import VideoWriter
from tracker.progress import OnFrame
from tracker.runs.locks import file_lock, read_lock, write_lock
from tracker.runs.record import LOG, VIDEO, PosesInput, check_log, open_input, read_record, write_record
from tracker.runs.results import Tracks, tracks_of

_log = logging.getLogger(__name__)

_AHEAD_FRAMES = 4  # images decoded before they are drawn on, and drawn before they are encoded


def draw_run(
    run: Path,
    *,
    input: Path | None = None,
    output: Path | None = None,
    on_frame: OnFrame = lambda _: None,
    on_note: Callable[[str], None] = lambda _: None,
    stopped: Callable[[], bool] = lambda: False,
) -> Path:
    """Draw the tracks of a run onto its clip, without networks. Returns the path of the video.

    Args:
        run: a run's folder.
        input: the clip, if it was moved, or if the run's poses were imported.
        output: the video to write; video.mp4 in the run's folder if not given.
        on_frame: called with the number of people drawn in each frame.
        on_note: called with one line for each way in which the video differs from the clip.
        stopped: called after each frame; true ends the video after it.

    Raises:
        InputError: the clip is missing or is not the one that was tracked.
    """
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
        tracks = tracks_of(run / LOG, record.association_settings, end)
        drawn = draw_tracks(tracks, header.skeleton, source, video, lock.checking(on_frame), stopped, by_name=by_name)
        if in_place:
            write_record(run, record.with_video(drawn, video.notes, run))
    for note in video.notes:
        on_note(f"{path.name}: {note}")
    return path


def draw_tracks(
    tracks: Tracks,
    skeleton: Skeleton,
    source: Source,
    video: VideoWriter,
    on_frame: OnFrame,
    stopped: Callable[[], bool],
    *,
    by_name: bool = False,
) -> Literal["whole", "part"]:
    """Draw tracks onto the images of a source; the first of them is shown at 0 s.

    Args:
        tracks: what to draw.
        skeleton: of the tracks.
        source: the images.
        video: where the drawn images go; opened and closed here.
        on_frame: called with the number of people drawn in each frame.
        stopped: called after each frame; true ends the video after it.
        by_name: pair frames and images by the names of their files, not by their indices.

    Returns:
        Whether all frames were drawn, or a part of them.
    """
    drawn = _drawn(_with_images(source, tracks(), by_name), skeleton)
    first_s = None
    with video, closing(prefetch(drawn, _AHEAD_FRAMES)) as frames:  # one is drawn while others are decoded and encoded
        for frame, image in frames:
            # Players show a late start as a still or black image: the video of a slice would begin with minutes of it.
            first_s = frame.time_s if first_s is None else first_s
            video.add(image, frame.time_s - first_s)
            on_frame(len(frame.people))
            if stopped():
                _log.info("%s: drawing stopped at frame %d", source.path, frame.index)
                return "part"
    return "whole"


def _drawn(frames: Generator[tuple[TrackedFrame, Image]], skeleton: Skeleton) -> Generator[tuple[TrackedFrame, Image]]:
    trails = Trails()
    with closing(frames):
        for frame, image in frames:
            trails.add(frame.time_s, frame.people, skeleton)
            yield frame, draw_people(image, frame.people, skeleton, trails=trails)


def _with_images(
    source: Source, tracked: Iterable[TrackedFrame], by_name: bool
) -> Generator[tuple[TrackedFrame, Image]]:
    """Each tracked frame with its image; both come in the same order."""

    def belongs(image: Frame, frame: TrackedFrame) -> bool:
        same_name = PurePath(image.name).name == PurePath(frame.name).name
        return same_name if by_name else image.index == frame.index

    # Damage of the source is in the run's record already.
    with closing(prefetch(source.frames(), _AHEAD_FRAMES)) as images, suppress(DamagedInput):
        for frame in tracked:
            for image in images:
                if belongs(image, frame):
                    yield frame, image.image
                    break
            else:
                raise InputError(f"{source.path}: has no frame {frame.index}; the poses belong to another clip")
