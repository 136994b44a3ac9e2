"""Progress of a batch: a bar for the batch and one for each clip in progress, plain lines, or JSON lines."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TextIO

from posetrail.wording import counted
from posetrail.wording import people as counted_people
from tracker.batch.table import FINE, Row
from tracker.progress import ProgressStyle, json_line

_LINE_EVERY_S = 10.0
_JSON_EVERY_S = 0.5


class Watch(Protocol):
    """Callbacks of a batch."""

    def opened(self, label: str, total: int | None) -> None:
        """A clip or a segment begins; `total` is its number of frames, None if it is not known."""

    def advanced(self, label: str, frames: int, people: int) -> None:
        """`frames` frames are done, with `people` people in the last one."""

    def finished(self, label: str, row: Row) -> None:
        """The clip or segment has ended."""

    def warn(self, text: str) -> None:
        """Show a warning about the batch as a whole."""


@contextmanager
def batch_progress(style: ProgressStyle, clips: int, stream: TextIO | None = None) -> Iterator[Watch]:
    """Show the progress of a batch of so many clips on `stream` (stderr if not given); `style` as for one clip."""
    stream = stream or sys.stderr
    if style == "auto":
        style = "bar" if stream.isatty() else "lines"
    if style == "bar":
        with _bars(clips, stream) as watch:
            yield watch
    elif style == "none":
        yield _OnlyWarnings(stream)
    else:
        yield (_Json if style == "json" else _Lines)(clips, stream)


class Silent:
    """Ignores all callbacks."""

    def opened(self, label: str, total: int | None) -> None:
        """Do nothing."""

    def advanced(self, label: str, frames: int, people: int) -> None:
        """Do nothing."""

    def finished(self, label: str, row: Row) -> None:
        """Do nothing."""

    def warn(self, text: str) -> None:
        """Do nothing."""


class _OnlyWarnings(Silent):
    """Shows warnings, no progress."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def warn(self, text: str) -> None:
        _warn(text, self._stream)


class _Lines:
    """A line for each clip that ends, and every few seconds one for each clip in progress."""

    every_s = _LINE_EVERY_S

    def __init__(self, clips: int, stream: TextIO) -> None:
        self._clips, self._stream = clips, stream
        self._done = 0
        self._totals: dict[str, int | None] = {}
        self._reported: dict[str, float] = {}

    def opened(self, label: str, total: int | None) -> None:
        self._totals[label] = total
        self._reported[label] = time.monotonic()

    def advanced(self, label: str, frames: int, people: int) -> None:
        if time.monotonic() - self._reported.get(label, 0.0) >= self.every_s:
            self._reported[label] = time.monotonic()
            self._report_clip(label, frames, self._totals.get(label), people)

    def finished(self, label: str, row: Row) -> None:
        self._done += 1
        self._totals.pop(label, None)
        self._reported.pop(label, None)
        self._report_row(label, row)

    def warn(self, text: str) -> None:
        _warn(text, self._stream)

    def _report_clip(self, label: str, frames: int, total: int | None, people: int) -> None:
        done = f"{frames}/{counted(total, 'frame')}" if total else counted(frames, "frame")
        self._print(f"{label}: {done}, {counted_people(people)}")

    def _report_row(self, label: str, row: Row) -> None:
        why = f": {row.warnings}" if row.warnings else ""
        self._print(f"{self._done}/{self._clips} {label}: {row.status}, {counted(row.frames, 'frame')}{why}")

    def _print(self, line: str) -> None:
        print(line, file=self._stream, flush=True)


def _warn(text: str, stream: TextIO) -> None:
    print(f"posetrail: {text}", file=stream, flush=True)


class _Json(_Lines):
    every_s = _JSON_EVERY_S

    def warn(self, text: str) -> None:
        json_line(self._stream, "warning", text=text)

    def _report_clip(self, label: str, frames: int, total: int | None, people: int) -> None:
        json_line(self._stream, "progress", clip=label, frames=frames, total=total, people=people)

    def _report_row(self, label: str, row: Row) -> None:
        json_line(
            self._stream,
            "clip",
            clip=label,
            status=row.status,
            frames=row.frames,
            people=row.people,
            warnings=row.warnings,
            clips_done=self._done,
            clips=self._clips,
        )


@contextmanager
def _bars(clips: int, stream: TextIO) -> Iterator[Watch]:
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[shown]}"),
        TimeElapsedColumn(),
    )

    class Bars:
        def __init__(self, bars: Progress) -> None:
            self._bars = bars
            self._all: Any = bars.add_task("batch", total=clips, shown="")
            self._tasks: dict[str, Any] = {}
            self._bad = 0

        def opened(self, label: str, total: int | None) -> None:
            self._tasks[label] = self._bars.add_task(escape(label), total=total, shown="")

        def advanced(self, label: str, frames: int, people: int) -> None:
            if label in self._tasks:
                self._bars.update(self._tasks[label], completed=frames, shown=counted_people(people))

        def finished(self, label: str, row: Row) -> None:
            if label in self._tasks:
                self._bars.remove_task(self._tasks.pop(label))
            if row.status not in FINE:
                self._bad += 1
                self._bars.console.print(escape(f"{label}: {row.status}: {row.warnings}"), highlight=False)
            self._bars.update(self._all, advance=1, shown=f"{self._bad} with problems" if self._bad else "")

        def warn(self, text: str) -> None:
            self._bars.console.print(escape(f"posetrail: {text}"), highlight=False)

    with Progress(*columns, console=Console(file=stream)) as bars:
        yield Bars(bars)
