"""One clip of a batch, or a segment of one, as a worker tracks it.

`track_listed_clip` reports errors in the clip's row instead of raising them, and continues unfinished runs.
"""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from posetrail.errors import InputError
from tracker.batch.clip_list import ListedClip
from tracker.batch.table import INFERRED, Row
from tracker.io.video import Source, open_images, open_source
from tracker.io.writers import default_formats
from tracker.progress import OnFrame
from tracker.runs.folder import run_clip
from tracker.runs.locks import BATCH_FOLDER, Locked
from tracker.runs.networks import Networks
from tracker.runs.resume import IfExists
from tracker.runs.segments import Segment, cut, infer_segment, is_inferred, is_joined
from tracker.settings import Settings

_log = logging.getLogger(__name__)

OpenNetworks = Callable[[Settings], AbstractContextManager[Networks]]
"""Loads the networks of a worker; `tracker.runs.networks.open_networks` unless a test replaces it."""

_CLIP_LOCK_S = 20.0  # a worker whose batch was killed ends at its next frame


class Stopped(Exception):
    """Raised in a clip to end it on request; the frames inferred by then are in the pose log."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """What to do with every clip."""

    output: Path
    settings: Settings
    more_formats: tuple[str, ...] = ()  # names in tracker.io.writers.WRITERS, besides those that suit the skeleton
    video: bool = False
    if_exists: IfExists = "continue"
    start_s: float | None = None
    end_s: float | None = None
    stride: int = 1
    fps: float | None = None
    segment_s: float | None = None  # longer clips are inferred in segments of about this length

    def open(self, listed: ListedClip) -> Source:
        """Open the chosen part of the clip."""
        part = {"start_s": self.start_s, "end_s": self.end_s, "stride": self.stride, "fps": self.fps}
        if listed.images:
            return open_images(listed.path, listed.images, listed.name, **part)  # type: ignore[arg-type]
        return open_source(listed.path, **part)  # type: ignore[arg-type]

    def segments(self, source: Source) -> tuple[Segment, ...]:
        """The segments of a clip; none if it is not cut."""
        return cut(source, self.settings.inference, self.segment_s)


def split_into_segments(clips: Iterable[ListedClip], task: Task) -> list[ListedClip]:
    """The same clips; those that the task cuts are listed once for each segment."""
    return [part for clip in clips for part in _parts(clip, task)]


def _parts(clip: ListedClip, task: Task) -> list[ListedClip]:
    try:
        segments = task.segments(task.open(clip)) if task.segment_s else ()
    except (InputError, OSError):
        segments = ()  # the error is reported when the clip is tracked
    return [replace(clip, segment=segment.number) for segment in segments] or [clip]


def track_listed_clip(
    listed: ListedClip,
    networks: Networks,
    task: Task,
    *,
    on_open: Callable[[int | None], None] = lambda _: None,
    on_frame: OnFrame = lambda _: None,
) -> Row:
    """Track one clip, continue it, or find it finished.

    Args:
        listed: the clip, or a segment of it; the worker that infers the last missing segment associates the clip.
        networks: opened with the task's settings.
        task: what to do.
        on_open: called with the number of frames, or None if it is not known.
        on_frame: called with the number of people of each frame; may raise `Stopped`.

    Returns:
        The clip's row in the table, which holds any error too.
    """
    row = Row(clip=listed.name, status="failed", input=str(listed.path))
    started = time.perf_counter()
    _log.debug("%s: begins", listed.label)
    try:
        if not task.output.is_dir():  # the batch made it
            raise InputError(f"{task.output}: was removed while the batch was at work; give the same command again")
        source = task.open(listed)
        if listed.segment:
            return _infer_segment(listed, source, networks, task, row, on_open, on_frame)
        on_open(source.num_frames and source.num_frames * (2 if task.video else 1))  # inferred, then drawn
        return _track(listed, source, networks, task, row, on_frame, _CLIP_LOCK_S)
    except Stopped:
        return replace(row, status="interrupted", warnings="stopped; the same command continues it")
    except (InputError, OSError, MemoryError) as error:
        return replace(row, seconds=time.perf_counter() - started, warnings=one_line(error))
    except Exception as error:  # an internal error in one clip must not end the others
        warnings, log = internal_error(listed, task.output, error)
        return replace(row, seconds=time.perf_counter() - started, warnings=warnings, log=log)


def _infer_segment(
    listed: ListedClip,
    source: Source,
    networks: Networks,
    task: Task,
    row: Row,
    on_open: Callable[[int | None], None],
    on_frame: OnFrame,
) -> Row:
    """Infer a segment; if that was the last one, associate the clip."""
    segments, folder = task.segments(source), task.output / listed.name
    if listed.segment > len(segments):
        raise InputError(f"{source.path}: has become shorter since the batch began; give the same command again")
    row = replace(row, status=INFERRED, warnings="associated when all its segments are inferred")
    if not is_joined(segments, source, folder, networks, task.settings, task.if_exists):
        segment = segments[listed.segment - 1]
        on_open(segment.part_of(source).num_frames)
        record = infer_segment(
            segment,
            source,
            folder,
            networks,
            task.settings,
            if_exists=task.if_exists,
            on_frame=on_frame,
            wait_s=_CLIP_LOCK_S,
        )
        row = replace(row, frames=record.figures.frames, seconds=record.figures.seconds)
        if not all(is_inferred(each, source, folder, networks, task.settings, task.if_exists) for each in segments):
            return row
    try:
        return _track(listed, source, networks, task, row, on_frame, 0.0)
    except Locked:  # the worker of another segment associates the clip
        return row


def _track(
    listed: ListedClip, source: Source, networks: Networks, task: Task, row: Row, on_frame: OnFrame, wait_s: float
) -> Row:
    outcome = run_clip(
        source,
        task.output / listed.name,
        networks,
        task.settings,
        formats=(*default_formats(networks.skeleton), *task.more_formats),
        video=task.video,
        if_exists=task.if_exists,
        segments=task.segments(source),
        on_frame=on_frame,
        on_drawn=on_frame,
        wait_s=wait_s,
    )
    return replace(
        row,
        status=outcome.status,
        frames=outcome.frames,
        seconds=outcome.seconds,
        people=outcome.people,
        warnings="; ".join(filter(None, (outcome.reason, *outcome.warnings))),
    )


def internal_error(listed: ListedClip, output: Path, error: BaseException) -> tuple[str, str]:
    """Write the traceback of an internal error to a log file, because a bug report needs it.

    Returns:
        The line for the clip's row and the name of the log file, empty if it could not be written.
    """
    text = f"internal error: {one_line(error)}"
    _log.error("%s: %s", listed.label, text, exc_info=error)
    log = output / BATCH_FOLDER / f"{listed.name}.log"
    try:
        log.parent.mkdir(exist_ok=True)
        log.write_text("".join(traceback.format_exception(error)), encoding="utf-8", errors="backslashreplace")
    except OSError:
        return text, ""
    return f"{text}; its traceback is in {log}", str(log)


def logs_folder(output: Path) -> Path:
    """The hidden folder of an output for locks and log files; made if it does not exist.

    Raises:
        InputError: it cannot be made.
    """
    folder = output / BATCH_FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{output}: cannot be written to ({error.strerror}); choose another output folder") from None
    return folder


def one_line(error: BaseException) -> str:
    """The text of an exception, in one line."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'output'}: {error.strerror}"
    text = " ".join(str(error).split())
    return text if isinstance(error, InputError) else f"{type(error).__name__}: {text}"
