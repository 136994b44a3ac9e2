"""How far a run is, told while it runs: a bar on a terminal, plain lines elsewhere, JSON lines for programs."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal, TextIO

ProgressStyle = Literal["auto", "bar", "lines", "json", "none"]
OnFrame = Callable[[int], None]
"""Called after each frame with the number of people in it."""

_LINE_EVERY_S = 5.0
_JSON_EVERY_S = 0.5


@contextmanager
def progress(style: ProgressStyle, name: str, total: int | None, stream: TextIO | None = None) -> Iterator[OnFrame]:
    """Tell of the frames of one clip on `stream` (stderr when not given).

    Args:
        style: "auto" is a bar on a terminal and lines elsewhere.
        name: the clip's.
        total: expected number of frames, where it is known.
        stream: where to.
    """
    stream = stream or sys.stderr
    if style == "auto":
        style = "bar" if stream.isatty() else "lines"
    if style == "none":
        yield lambda _: None
    elif style == "bar":
        with _bar(name, total, stream) as on_frame:
            yield on_frame
    else:
        tell = _json_line if style == "json" else _plain_line
        pace = _Pace(name, total, stream, tell, _JSON_EVERY_S if style == "json" else _LINE_EVERY_S)
        try:
            yield pace.on_frame
        finally:
            pace.end()


class _Pace:
    """Counts frames and tells of them every few seconds, and of the last one."""

    def __init__(
        self, name: str, total: int | None, stream: TextIO, tell: Callable[[_Pace], str], every_s: float
    ) -> None:
        self.name, self.total = name, total
        self.frames = self.people = 0
        self._stream, self._tell, self._every_s = stream, tell, every_s
        self._started = self._told = time.monotonic()

    def on_frame(self, people: int) -> None:
        self.frames += 1
        self.people = people
        if time.monotonic() - self._told >= self._every_s:
            self._write()

    def end(self) -> None:
        self._write()

    def _write(self) -> None:
        self._told = time.monotonic()
        print(self._tell(self), file=self._stream, flush=True)

    @property
    def rate(self) -> float:
        """Frames per second so far."""
        return self.frames / max(time.monotonic() - self._started, 1e-9)

    @property
    def left_s(self) -> float | None:
        """Seconds to go; None while nobody knows."""
        return None if self.total is None or not self.frames else max(self.total - self.frames, 0) / self.rate


def _plain_line(pace: _Pace) -> str:
    of = f"/{pace.total}" if pace.total else ""
    left = f", {pace.left_s:.0f} s left" if pace.left_s else ""
    return f"{pace.name}: {pace.frames}{of} frames, {pace.rate:.1f} frames/s, {pace.people} people{left}"


def _json_line(pace: _Pace) -> str:
    told = {
        "clip": pace.name,
        "frames": pace.frames,
        "total": pace.total,
        "frames_per_s": round(pace.rate, 2),
        "people": pace.people,
        "left_s": None if pace.left_s is None else round(pace.left_s, 1),
    }
    return json.dumps(told)


@contextmanager
def _bar(name: str, total: int | None, stream: TextIO) -> Iterator[OnFrame]:
    from rich.console import Console
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
        TextColumn("{task.fields[rate]:.1f} frames/s"),
        TextColumn("{task.fields[people]} people"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(file=stream)) as bar:
        started = time.monotonic()
        task = bar.add_task(name, total=total, rate=0.0, people=0)
        frames = 0

        def on_frame(people: int) -> None:
            nonlocal frames
            frames += 1
            rate = frames / max(time.monotonic() - started, 1e-9)
            bar.update(task, completed=frames, people=people, rate=rate)

        yield on_frame
