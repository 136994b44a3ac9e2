"""What is done with one clip of a batch, or with a segment of one, by whichever process it falls to.

`track_listed_clip` never fails for what a clip may hold, and goes on with what it finds half done.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterable
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

_CLIP_LOCK_S = 20.0  # a worker whose batch was killed notices at its next frame


class Stopped(Exception):
    """Somebody asked for an end; what was seen is in the pose log."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is to be done with every clip."""

    output: Path
    settings: Settings
    more_formats: tuple[str, ...] = ()  # names in tracker.io.writers.WRITERS, besides those that suit the skeleton
    video: bool = False
    if_exists: IfExists = "continue"
    start_s: float | None = None
    end_s: float | None = None
    stride: int = 1
    fps: float | None = None
    segment_s: float | None = None  # longer clips are seen in segments of about this length

    def open(self, listed: ListedClip) -> Source:
        """The clip, the part of it that is wanted."""
        part = {"start_s": self.start_s, "end_s": self.end_s, "stride": self.stride, "fps": self.fps}
        if listed.images:
            return open_images(listed.path, listed.images, listed.name, **part)  # type: ignore[arg-type]
        return open_source(listed.path, **part)  # type: ignore[arg-type]

    def segments(self, source: Source) -> tuple[Segment, ...]:
        """Those of a clip; none where it stays in one tracklet."""
        return cut(source, self.settings.inference, self.segment_s)


def split_into_segments(clips: Iterable[ListedClip], task: Task) -> list[ListedClip]:
    """The same clips, long ones once for each of their segments, where the task wants that."""
    return [part for clip in clips for part in _parts(clip, task)]


def _parts(clip: ListedClip, task: Task) -> list[ListedClip]:
    try:
        segments = task.segments(task.open(clip)) if task.segment_s else ()
    except (InputError, OSError):
        segments = ()  # what is wrong with it is told when it is its turn
    return [replace(clip, segment=segment.number) for segment in segments] or [clip]


def track_listed_clip(
    listed: ListedClip,
    networks: Networks,
    task: Task,
    *,
    on_open: Callable[[int | None], None] = lambda _: None,
    on_frame: OnFrame = lambda _: None,
) -> Row:
    """Follow one clip, or go on with it, or find that it is done. Whatever is wrong with the clip stands in the row.

    Args:
        listed: the clip, or a segment of it; whoever sees the last one that was missing follows the clip.
        networks: opened with the task's settings.
        task: what is to be done.
        on_open: told the number of frames, where it is known.
        on_frame: told the number of people of each frame; may raise `Stopped`.
    """
    row = Row(clip=listed.name, status="failed", input=str(listed.path))
    started = time.perf_counter()
    try:
        if not task.output.is_dir():  # the batch has made it
            raise InputError(f"{task.output}: was removed while the batch was at work; give the same command again")
        source = task.open(listed)
        if listed.segment:
            return _infer_segment(listed, source, networks, task, row, on_open, on_frame)
        on_open(source.num_frames and source.num_frames * (2 if task.video else 1))  # seen, and drawn
        return _follow(listed, source, networks, task, row, on_frame, _CLIP_LOCK_S)
    except Stopped:
        return replace(row, status="interrupted", warnings="stopped; the same command goes on")
    except (InputError, OSError, MemoryError) as error:
        return replace(row, seconds=time.perf_counter() - started, warnings=one_line(error))
    except Exception as error:  # a fault of ours in one clip is no reason to lose the others
        return replace(row, seconds=time.perf_counter() - started, warnings=internal_error(listed, task.output, error))


def _infer_segment(
    listed: ListedClip,
    source: Source,
    networks: Networks,
    task: Task,
    row: Row,
    on_open: Callable[[int | None], None],
    on_frame: OnFrame,
) -> Row:
    """See a segment; when that was the last one, follow the clip."""
    segments, folder = task.segments(source), task.output / listed.name
    if listed.segment > len(segments):
        raise InputError(f"{source.path}: has become shorter since the batch began; give the same command again")
    row = replace(row, status=INFERRED, warnings="followed when all its segments are seen")
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
        return _follow(listed, source, networks, task, row, on_frame, 0.0)
    except Locked:  # on this clip: who saw another segment at the same moment
        return row


def _follow(
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


def internal_error(listed: ListedClip, output: Path, error: BaseException) -> str:
    """What a row says of a fault of ours; the traceback goes to a file, because a bug report needs it."""
    said = f"a fault of posetrail: {one_line(error)}"
    log = output / BATCH_FOLDER / f"{listed.name}.log"
    try:
        log.parent.mkdir(exist_ok=True)
        log.write_text("".join(traceback.format_exception(error)), encoding="utf-8", errors="backslashreplace")
    except OSError:
        return said
    return f"{said}; its traceback is in {log}"


def logs_folder(output: Path) -> Path:
    """The hidden folder of an output, made if need be: locks, and logs of what went wrong.

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
    """What an exception says, in one line."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'output'}: {error.strerror}"
    text = " ".join(str(error).split())
    return text if isinstance(error, InputError) else f"{type(error).__name__}: {text}"
