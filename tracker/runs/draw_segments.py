"""Tracks to a drawn video in several processes: each draws segments, which are joined without encoding them again.

A segment needs the tracks of the second before it, for the trails, and decodes its own images only. The joined video
has the frames and times of one drawn in one piece. Its pixels differ by what the encoder does at a seam, where each
segment begins with a keyframe.
"""

from __future__ import annotations

import multiprocessing
import signal
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from posetrail.skeletons import Skeleton
from tracker.frames import TrackedFrame
from tracker.io.drawing import TRAIL_S
from tracker.io.video import Source
from tracker.io.video_writer import VideoWriter, join_videos
from tracker.progress import OnFrame
from tracker.runs.draw_tracks import Drawing, draw_tracks
from tracker.runs.results import Tracks

SEGMENT_FRAMES = 300
_LONGEST_STEP_S = 3600.0  # MP4 cannot hold much longer ones, see VideoWriter; what follows is not cut
_SHORTEST_STEP_S = 0.001  # no cut between frames that are shown at about the same time


@dataclass
class _Segment:
    """Tracked frames that are drawn into one file, after those that only the trails show."""

    lead: list[TrackedFrame]
    frames: list[TrackedFrame] = field(default_factory=list)


def draw_in_segments(
    tracks: Tracks,
    skeleton: Skeleton,
    source: Source,
    path: Path,
    jobs: int,
    on_frame: OnFrame,
    stopped: Callable[[], bool],
    *,
    segment_frames: int = SEGMENT_FRAMES,
    drawing: Drawing = Drawing(),  # noqa: B008 frozen
) -> tuple[Literal["whole", "part"], tuple[str, ...]]:
    """Draw tracks onto the images of a source in several processes; the first of them is shown at 0 s.

    Args:
        tracks: what to draw.
        skeleton: of the tracks.
        source: the images.
        path: the video to write.
        jobs: number of processes.
        on_frame: called with the number of people drawn in each frame, when its segment is drawn.
        stopped: called after each segment; true ends the video after it.
        segment_frames: length of a segment.
        drawing: what is drawn and how.

    Returns:
        Whether all frames were drawn, or a part of them; and what in the video differs from the clip, one line each.
    """
    drawn: Literal["whole", "part"] = "whole"
    if source.is_video:
        _ = source.frame_index  # made once, for all processes
    parts: list[Path] = []
    notes: dict[str, None] = {}
    running: deque[tuple[_Segment, Future[tuple[str, ...]]]] = deque()
    pool = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), _ignore_ctrl_c)

    def finish() -> None:
        segment, future = running.popleft()
        notes.update(dict.fromkeys(future.result()))
        for frame in segment.frames:
            on_frame(len(frame.people))

    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.stem}.") as place:
        try:
            first_s = None
            for segment in _segments(tracks(), segment_frames):
                first_s = segment.frames[0].time_s if first_s is None else first_s
                parts.append(Path(place) / f"{len(parts)}.mp4")
                arguments = (segment, skeleton, source, parts[-1], first_s, _part_of(drawing, segment))
                running.append((segment, pool.submit(_draw_segment, *arguments)))
                if len(running) > jobs + 1:
                    finish()
                if stopped():
                    drawn = "part"
                    break
            while running:
                finish()
        finally:
            pool.shutdown(cancel_futures=True)
        parts = [part for part in parts if part.is_file()]  # of a damaged clip, the last may be empty
        if parts:
            join_videos(parts, path)
    return drawn, tuple(notes)


def _segments(tracked: Iterable[TrackedFrame], segment_frames: int) -> Iterator[_Segment]:
    segment = _Segment([])
    may_cut = True
    for frame in tracked:
        if segment.frames:
            step_s = frame.time_s - segment.frames[-1].time_s
            may_cut &= step_s < _LONGEST_STEP_S
            if may_cut and len(segment.frames) >= segment_frames and step_s > _SHORTEST_STEP_S:
                yield segment
                recent = [*segment.lead, *segment.frames]
                segment = _Segment([each for each in recent if each.time_s >= frame.time_s - TRAIL_S])
        segment.frames.append(frame)
    if segment.frames:
        yield segment


def _part_of(drawing: Drawing, segment: _Segment) -> Drawing:
    """What a process needs to know: the faces of its segment only."""
    if drawing.faces is None:
        return drawing
    return replace(drawing, faces=drawing.faces.between(segment.frames[0].index, segment.frames[-1].index))


def _draw_segment(
    segment: _Segment, skeleton: Skeleton, source: Source, path: Path, first_s: float, drawing: Drawing
) -> tuple[str, ...]:
    part = replace(source, first_index=segment.frames[0].index, end_index=segment.frames[-1].index + 1)
    video = VideoWriter(path, source.width, source.height, source.fps)
    draw_tracks(
        lambda: iter(segment.frames), skeleton, part, video, lambda _: None, lambda: False,
        lead=segment.lead, first_s=first_s, drawing=drawing,
    )  # fmt: skip
    return video.notes


def _ignore_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that started this one ends it after its segment
