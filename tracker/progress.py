"""Progress of a run on stderr: a bar on a terminal, plain lines elsewhere, or JSON lines for programs."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal, TextIO

from posetrail.wording import counted
from posetrail.wording import people as counted_people

ProgressStyle = Literal["auto", "bar", "lines", "json", "none"]
OnFrame = Callable[[int], None]
"""Called after each frame with the number of people in it."""

_LINE_EVERY_S = 5.0
_JSON_EVERY_S = 0.5


@contextmanager
def progress(
    style: ProgressStyle, name: str, total: int | None, stream: TextIO | None = None, unit: str = "frame"
) -> Iterator[OnFrame]:
    """Show how many frames of a clip are done, while the context is active.

    Nothing is shown for a clip that fails before its first frame.

    Args:
        style: "auto" is "bar" on a terminal, otherwise "lines".
        name: name of the clip.
        total: expected number of frames; None if unknown.
        stream: where to write; stderr if None.
        unit: what is counted, for the text.

    Yields:
        a function to be called after each frame.
    """
    stream = stream or sys.stderr
    if style == "auto":
        style = "bar" if stream.isatty() else "lines"
    if style == "none":
        yield lambda _: None
    elif style == "bar":
        with _bar(name, total, stream, unit) as on_frame:
            yield on_frame
    else:
        as_json = style == "json"
        write = _json if as_json else partial(_plain, unit=unit)
        pace = _Pace(name, total, stream, write, _JSON_EVERY_S if as_json else _LINE_EVERY_S)
        try:
            yield pace.on_frame
        except BaseException:
            if pace.frames:
                pace.end()
            raise
        pace.end()


def json_line(stream: TextIO, event: str, **fields: Any) -> None:
    """Write one event as one line of JSON, in a single write.

    Args:
        stream: where to write.
        event: kind of the event, the value of "event".
        fields: further keys of the object. "time" (ISO 8601, UTC) is added.
    """
    now = datetime.now(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
    stream.write(json.dumps({"time": now, "event": event, **fields}, default=str) + "\n")
    stream.flush()


class _Pace:
    """Counts frames and reports progress every few seconds, and at the end."""

    def __init__(
        self, name: str, total: int | None, stream: TextIO, report: Callable[[_Pace, TextIO], None], every_s: float
    ) -> None:
        self.name, self.total = name, total
        self.frames = self.people = 0
        self._stream, self._report, self._every_s = stream, report, every_s
        self._started = self._reported = time.monotonic()

    def on_frame(self, people: int) -> None:
        self.frames += 1
        self.people = people
        if time.monotonic() - self._reported >= self._every_s:
            self._write()

    def end(self) -> None:
        self._write()

    def _write(self) -> None:
        self._reported = time.monotonic()
        self._report(self, self._stream)

    @property
    def rate(self) -> float:
        """Frames per second so far."""
        return self.frames / max(time.monotonic() - self._started, 1e-9)

    @property
    def left_s(self) -> float | None:
        """Estimated remaining seconds; None if unknown."""
        return None if self.total is None or not self.frames else max(self.total - self.frames, 0) / self.rate


def _plain(pace: _Pace, stream: TextIO, unit: str) -> None:
    done = f"{pace.frames}/{counted(pace.total, unit)}" if pace.total else counted(pace.frames, unit)
    left = f", {pace.left_s:.0f} s left" if pace.left_s else ""
    print(
        f"{pace.name}: {done}, {pace.rate:.1f} {unit}s/s, {counted_people(pace.people)}{left}", file=stream, flush=True
    )


def _json(pace: _Pace, stream: TextIO) -> None:
    json_line(
        stream,
        "progress",
        clip=pace.name,
        frames=pace.frames,
        total=pace.total,
        frames_per_s=round(pace.rate, 2),
        people=pace.people,
        left_s=None if pace.left_s is None else round(pace.left_s, 1),
    )


@contextmanager
def _bar(name: str, total: int | None, stream: TextIO, unit: str) -> Iterator[OnFrame]:
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]:.1f} " + f"{unit}s/s"),
        TextColumn("{task.fields[people]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    bar = Progress(*columns, console=Console(file=stream))
    started = time.monotonic()
    task: Any = None
    frames = 0

    def on_frame(people: int) -> None:
        nonlocal frames, task
        if task is None:  # a clip that fails before its first frame shows no bar, only the line of its error
            bar.start()
            task = bar.add_task(escape(name), total=total, rate=0.0, people="")
        frames += 1
        rate = frames / max(time.monotonic() - started, 1e-9)
        bar.update(task, completed=frames, people=counted_people(people), rate=rate)

    try:
        yield on_frame
    finally:
        if task is not None:  # otherwise stopping prints an empty line
            bar.stop()
