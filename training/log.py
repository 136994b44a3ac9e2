"""The log of a training: one event a line, the same bytes whether the training was killed and resumed or not.

Times differ from run to run, so they are in a file of their own.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from posetrail.errors import InputError
from posetrail.files import sync_file, written_whole

LOG, TIMES = "log.jsonl", "times.jsonl"
RECORD = "training.json"  # beside them, for those who read all three
_TIMES = ("seconds", "seconds_waiting_for_data")  # keys of events


class Log:
    """Appends events to the two files of a folder, and hands each of them on.

    Args:
        folder: of the training.
        on_event: called with every event.
        writes: false in all processes of a training but the first, where nothing happens.
    """

    def __init__(self, folder: Path, on_event: Callable[[dict[str, Any]], None], *, writes: bool) -> None:
        self._folder, self._on_event, self._writes = folder, on_event, writes

    def start(self, event: dict[str, Any], steps: int) -> None:
        """Begin or continue the log: events after step `steps` are removed, because they will happen again.

        Args:
            event: of the start; logged if the training has no steps yet.
            steps: that the checkpoint has done.

        Raises:
            InputError: the files cannot be written.
        """
        if not self._writes:
            return
        try:
            for name in (LOG, TIMES):
                _cut(self._folder / name, steps)
        except OSError as error:
            raise _not_written(self._folder / LOG, error) from None
        if steps:
            self._on_event(event)
        else:
            self(event)

    def __call__(self, event: dict[str, Any]) -> None:
        """Log an event.

        Raises:
            InputError: the files cannot be written.
        """
        if not self._writes:
            return
        times = {name: event[name] for name in _TIMES if name in event}
        try:
            _append(self._folder / LOG, {name: value for name, value in event.items() if name not in times})
            if times:
                _append(self._folder / TIMES, {"event": "time", "step": event["step"], **times})
        except OSError as error:
            raise _not_written(self._folder / LOG, error) from None
        self._on_event(event)


def read_log(path: Path) -> list[dict[str, Any]]:
    """The events of a log, in the order of their steps; of events of the same kind and step, the later one.

    A line that was cut off is left out.
    """
    kept: dict[tuple[str, int], dict[str, Any]] = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        kept[str(event.get("event")), int(event.get("step", 0))] = event
    return sorted(kept.values(), key=lambda event: int(event.get("step", 0)))


def _cut(path: Path, steps: int) -> None:
    """Remove the events after a step from a log, all events if `steps` is 0, and a line that was cut off."""
    lines = path.read_bytes().splitlines(keepends=True) if path.is_file() else []
    kept = []
    for line in lines if steps else ():
        try:
            event = json.loads(line)
        except ValueError:
            break
        if not line.endswith(b"\n") or event.get("step", 0) > steps:
            break
        kept.append(line)
    if kept != lines:
        with written_whole(path) as beside:
            beside.write_bytes(b"".join(kept))


def _append(path: Path, event: dict[str, Any]) -> None:
    with path.open("a", encoding="utf-8", newline="\n") as file:
        file.write(json.dumps(event) + "\n")
        file.flush()
        sync_file(file.fileno())  # before the checkpoint that follows


def _not_written(path: Path, error: OSError) -> InputError:
    return InputError(f"{path}: cannot be written ({error.strerror}); make room, or choose another output folder")
