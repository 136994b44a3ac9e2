"""Progress of a training on stderr: a bar on a terminal, plain lines elsewhere, or the events as JSON lines."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from tracker.progress import ProgressStyle, json_line

Event = dict[str, Any]
_LINE_EVERY_S = 5.0
_KEYS = ("event", "step", "epoch")  # of a validation, besides its scores


class TrainingProgress:
    """Shows the events of a training.

    Args:
        write: called with each line.
        on_step: called after each step with the number of steps done and what is known about it.
    """

    def __init__(self, write: Callable[[str], None], on_step: Callable[[int, str], None] = lambda *_: None) -> None:
        self.steps = 0
        self._write, self._on_step = write, on_step
        self._batch_size, self._steps_per_epoch, self._first = 0, 1.0, 0
        self._started = time.monotonic()

    def on_event(self, event: Event) -> None:
        """Show an event of the log."""
        if event["event"] == "start":
            self.steps, self._first, self._batch_size = event["steps"], event["steps_done"], event["batch_size"]
            self._steps_per_epoch = event["people"] / event["batch_size"]
            self._started = time.monotonic()
            self._write(start_line(event))
        elif event["event"] == "validation":
            scores = ", ".join(f"{name} {value:.1f}" for name, value in event.items() if name not in _KEYS)
            self._write(f"validation, epoch {event['epoch']:.2f}: {scores}")

    def on_step(self, step: int, loss: float, lr: float) -> None:
        """Show a step."""
        self._on_step(step, self._state(step, loss, lr))

    def _state(self, step: int, loss: float, lr: float) -> str:
        """Epoch, loss, learning rate, speed and the time left; validations count as time of the steps before them."""
        seconds = max(time.monotonic() - self._started, 1e-9)
        done = max(step - self._first, 1)
        left = duration(seconds * (self.steps - step) / done)
        speed = done * self._batch_size / seconds
        epoch = f"epoch {step / self._steps_per_epoch:.2f}"
        return f"{epoch}: loss {loss:.4g}, lr {lr:.2g}, {speed:.0f} people/s, {left} left"


def start_line(event: Event) -> str:
    """What is trained, in one line."""
    taken = f", {len(event['joints_taken_over'])} taken over" if event["joints_taken_over"] else ""
    where = event["device"] if event["processes"] == 1 else f"{event['processes']} processes on {event['device']}"
    line = (
        f"{event['network']}: {event['joints']} joints{taken}; {event['people']} people to train on, "
        f"{event['validation']} to validate on; {event['steps']} steps of {event['batch_size']} people on {where}"
    )
    return line + (f"; {event['steps_done']} steps were done before" if event["steps_done"] else "")


def duration(seconds: float) -> str:
    """Seconds as "42 s", "12 min" or "3.4 h"."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


@contextmanager
def training_progress(style: ProgressStyle, stream: TextIO | None = None) -> Iterator[TrainingProgress]:
    """Show a training while the context is active.

    Args:
        style: "auto" is "bar" on a terminal, otherwise "lines".
        stream: where to write; stderr if None.

    Yields:
        an object whose methods are the callbacks of the training.
    """
    stream = stream or sys.stderr
    if style == "auto":
        style = "bar" if stream.isatty() else "lines"
    if style == "bar":
        with _bar(stream) as shown:
            yield shown
    elif style == "json":
        yield _Json(stream)
    elif style == "none":
        yield TrainingProgress(lambda _: None)
    else:
        yield _lines(stream)


def _lines(stream: TextIO) -> TrainingProgress:
    """A line for a step every few seconds, and for the last one."""
    printed_s = time.monotonic()

    def write(line: str) -> None:
        print(line, file=stream, flush=True)

    def on_step(step: int, text: str) -> None:
        nonlocal printed_s
        if time.monotonic() - printed_s >= _LINE_EVERY_S or step == shown.steps:
            printed_s = time.monotonic()
            write(f"step {step}/{shown.steps}, {text}")

    shown = TrainingProgress(write, on_step)
    return shown


class _Json(TrainingProgress):
    def __init__(self, stream: TextIO) -> None:
        super().__init__(lambda _: None)
        self._stream = stream

    def on_event(self, event: Event) -> None:
        json_line(self._stream, **event)


@contextmanager
def _bar(stream: TextIO) -> Iterator[TrainingProgress]:
    """A bar with the last step, below the lines of the validations."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    console = Console(file=stream, highlight=False)
    columns = (BarColumn(bar_width=20), MofNCompleteColumn(), TextColumn("{task.description}", markup=False))
    bar = Progress(*columns, console=console)
    task: Any = None

    def write(line: str) -> None:
        console.print(line, markup=False, soft_wrap=True)

    def on_step(step: int, text: str) -> None:
        nonlocal task
        if task is None:  # a training that fails before its first step shows no bar
            bar.start()
            task = bar.add_task("", total=shown.steps)
        bar.update(task, completed=step, description=text)

    shown = TrainingProgress(write, on_step)
    try:
        yield shown
    finally:
        if task is not None:
            bar.stop()
