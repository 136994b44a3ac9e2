"""A folder of runs as a review queue: what is left to check in each, read without opening the runs."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2

from posetrail.errors import InputError
from posetrail.files import written_whole
from tracker.association.corrections import Checked, are_undone, from_json
from tracker.io.corrections_log import CORRECTIONS, read_corrections
from tracker.io.video import open_source, read_frames
from tracker.runs.kept_clip import preview_folder
from tracker.runs.record import RUN, ClipInput, RunRecord, read_record
from tracker.viewer.clip import scaled, scaled_size
from tracker.viewer.suspects import num_open

_DEPTHS = ("*", "*/*", "*/*/*")  # folders between that of a batch and those of its runs
_THUMBNAIL = "thumbnail.jpg"
_THUMBNAIL_PX = 480  # longer side


def find_runs(folder: Path) -> list[Path]:
    """The folder itself if it is a run; otherwise the runs in it, up to three levels down, sorted by path.

    Raises:
        InputError: there are none.
    """
    if (folder / RUN).is_file():
        return [folder]
    found = {path.parent for depth in _DEPTHS for path in folder.glob(f"{depth}/{RUN}")}
    if not found:
        raise InputError(f"{folder}: expected the folder of a run, or a folder of runs, got one without {RUN}")
    return sorted(found)


@dataclass(frozen=True, kw_only=True)
class QueuedRun:
    """What the queue shows of a run."""

    frames: int
    people: int
    open: int | None  # suspects that are neither fixed nor fine; None: they were not looked for
    checked_share: float  # of the frames, 0..1
    has_clip: bool
    problem: str  # why the run cannot be opened; empty if it can

    def as_json(self, index: int, name: str) -> dict[str, Any]:
        """The run as the page gets it."""
        return {
            "index": index,
            "name": name,
            "frames": self.frames,
            "people": self.people,
            "open": self.open,
            "checked_share": round(self.checked_share, 4),
            "thumbnail": f"runs/{index}/{_THUMBNAIL}" if self.has_clip else None,
            "problem": self.problem,
        }


def queued_run(folder: Path) -> QueuedRun:
    """What the queue shows of the run in a folder."""
    try:
        record = read_record(folder)
        operations = [from_json(line) for line in read_corrections(folder / CORRECTIONS).lines]
    except (InputError, ValueError) as error:
        return QueuedRun(frames=0, people=0, open=None, checked_share=0.0, has_clip=False, problem=str(error))
    undone = are_undone(operations)
    active = {number: each for number, each in enumerate(operations, 1) if not undone[number - 1]}
    spans = [(each.first, each.last) for each in active.values() if isinstance(each, Checked)]
    stride = record.input.stride if isinstance(record.input, ClipInput) else 1
    frames = record.figures.frames
    return QueuedRun(
        frames=frames,
        people=record.figures.people,
        open=num_open(folder, active) if record.suspects is not None else None,
        checked_share=min(1.0, _covered(spans, stride) / frames) if frames else 0.0,
        has_clip=isinstance(record.input, ClipInput) and Path(record.input.path).exists(),
        problem="",
    )


def thumbnail(folder: Path) -> bytes | None:
    """A small JPEG of a frame in the middle of a run's clip, kept beside its preview; None without the clip."""
    kept = preview_folder(folder) / _THUMBNAIL
    with suppress(OSError):
        return kept.read_bytes()
    try:
        record = read_record(folder)
        if not isinstance(record.input, ClipInput):
            return None
        source = open_source(record.input.path)
        source.look_for_index(folder)
        frame = next(read_frames(source, [_middle(record, record.input)]), None)
    except InputError:
        return None
    if frame is None:
        return None
    height, width, _ = frame.image.shape
    small = scaled(frame.image, *scaled_size(width, height, _THUMBNAIL_PX))
    content = bytes(cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 80])[1])
    with suppress(OSError, InputError):
        kept.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(kept) as beside:
            beside.write_bytes(content)
    return content


def _middle(record: RunRecord, clip: ClipInput) -> int:
    """The number of about the middle frame of a run."""
    first = round((clip.start_s or 0.0) * clip.fps)
    return first + record.figures.frames // 2 * clip.stride


def _covered(spans: Sequence[tuple[int, int]], stride: int) -> int:
    """How many frames lie in at least one of these spans of first and last numbers."""
    count, end = 0, -1
    for first, last in sorted(spans):
        begin = max(first, end + 1)
        if last >= begin:
            count += (last - begin) // stride + 1
            end = last
    return count
