"""How far a batch is: a bar for all of it and one for each clip at work, plain lines, or JSON lines for programs."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from tracker.progress import ProgressStyle

if TYPE_CHECKING:
    from tracker.batch import Row, Watch

_LINE_EVERY_S = 10.0
_JSON_EVERY_S = 0.5


@contextmanager
def batch_progress(style: ProgressStyle, clips: int, stream: TextIO | None = None) -> Iterator[Watch]:
    """Tell of a batch of so many clips on `stream`, stderr when not given; "auto" as for one clip."""
    stream = stream or sys.stderr
    if style == "auto":
        style = "bar" if stream.isatty() else "lines"
    if style == "bar":
        with _bars(clips, stream) as watch:
            yield watch
    elif style == "none":
        yield _Silent()
    else:
        yield (_Json if style == "json" else _Lines)(clips, stream)


class _Silent:
    def opened(self, clip: str, total: int | None) -> None:
        pass

    def advanced(self, clip: str, frames: int, people: int) -> None:
        pass

    def finished(self, row: Row) -> None:
        pass


class _Lines:
    """A line for each clip that ends, and now and then one for a clip at work."""

    every_s = _LINE_EVERY_S

    def __init__(self, clips: int, stream: TextIO) -> None:
        self._clips, self._stream = clips, stream
        self._done = 0
        self._totals: dict[str, int | None] = {}
        self._told: dict[str, float] = {}

    def opened(self, clip: str, total: int | None) -> None:
        self._totals[clip] = total
        self._told[clip] = time.monotonic()

    def advanced(self, clip: str, frames: int, people: int) -> None:
        if time.monotonic() - self._told.get(clip, 0.0) >= self.every_s:
            self._told[clip] = time.monotonic()
            self._say(self._of_clip(clip, frames, self._totals.get(clip), people))

    def finished(self, row: Row) -> None:
        self._done += 1
        self._totals.pop(row.clip, None)
        self._told.pop(row.clip, None)
        self._say(self._of_row(row))

    def _of_clip(self, clip: str, frames: int, total: int | None, people: int) -> str:
        return f"{clip}: {frames}{f'/{total}' if total else ''} frames, {people} people"

    def _of_row(self, row: Row) -> str:
        why = f": {row.warnings}" if row.warnings else ""
        return f"{self._done}/{self._clips} {row.clip}: {row.status}, {row.frames} frames{why}"

    def _say(self, line: str) -> None:
        print(line, file=self._stream, flush=True)


class _Json(_Lines):
    every_s = _JSON_EVERY_S

    def _of_clip(self, clip: str, frames: int, total: int | None, people: int) -> str:
        return json.dumps({"clip": clip, "frames": frames, "total": total, "people": people})

    def _of_row(self, row: Row) -> str:
        told = {"clip": row.clip, "status": row.status, "frames": row.frames, "people": row.people}
        return json.dumps({**told, "warnings": row.warnings, "clips_done": self._done, "clips": self._clips})


@contextmanager
def _bars(clips: int, stream: TextIO) -> Iterator[Watch]:
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[told]}"),
        TimeElapsedColumn(),
    )

    class Bars:
        def __init__(self, bars: Progress) -> None:
            self._bars = bars
            self._all: Any = bars.add_task("clips", total=clips, told="")
            self._tasks: dict[str, Any] = {}
            self._bad = 0

        def opened(self, clip: str, total: int | None) -> None:
            self._tasks[clip] = self._bars.add_task(escape(clip), total=total, told="")

        def advanced(self, clip: str, frames: int, people: int) -> None:
            if clip in self._tasks:
                self._bars.update(self._tasks[clip], completed=frames, told=f"{people} people")

        def finished(self, row: Row) -> None:
            if row.clip in self._tasks:
                self._bars.remove_task(self._tasks.pop(row.clip))
            if row.status != "complete":
                self._bad += 1
                self._bars.console.print(escape(f"{row.clip}: {row.status}: {row.warnings}"), highlight=False)
            self._bars.update(self._all, advance=1, told=f"{self._bad} with trouble" if self._bad else "")

    with Progress(*columns, console=Console(file=stream)) as bars:
        yield Bars(bars)
