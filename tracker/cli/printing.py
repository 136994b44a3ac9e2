"""Output of the commands: text, or with `--progress json` only JSON lines, on stdout and stderr alike.

Passwords in addresses are hidden in warnings and errors, whichever library wrote them.

Each JSON line has "time" (ISO 8601, UTC) and "event"; docs/reference/events.md lists the events and their fields.
"""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tracker.io.live_address import redacted_text
from tracker.progress import json_line


def wants_json(arguments: Sequence[str]) -> bool:
    """Whether the arguments have `--progress json`; then errors in the arguments are JSON, too."""
    following = [*arguments[1:], ""]
    return any(
        flag == "--progress=json" or (flag, value) == ("--progress", "json")
        for flag, value in zip(arguments, following, strict=False)
    )


class Printer:
    """Prints results on stdout, or on stderr where stdout holds other lines; warnings and errors on stderr."""

    def __init__(self, *, as_json: bool = False, on_stderr: bool = False) -> None:
        self.as_json = as_json
        self._on_stderr = on_stderr

    def result(self, text: str, event: str = "result", **fields: Any) -> None:
        """Print a result on stdout: `text`, or as JSON the fields."""
        if self.as_json:
            json_line(sys.stdout, event, **fields)
        else:
            print(text, file=sys.stderr if self._on_stderr else sys.stdout)

    def warning(self, text: str) -> None:
        """Print a warning on stderr."""
        self._line("warning", text)

    def error(self, text: str, code: int, **fields: Any) -> None:
        """Print on stderr why the command ends with this exit code."""
        self._line("error", text, exit_code=code, **fields)

    @contextmanager
    def of_libraries(self) -> Iterator[None]:
        """Within this context, warnings of Python libraries are printed as JSON, too, if JSON was asked for."""
        if not self.as_json:
            yield
            return
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, kind, *_, **__: self.warning(f"{kind.__name__}: {message}")
            before, logging.lastResort = logging.lastResort, _Forward(self)
            try:
                yield
            finally:
                logging.lastResort = before

    def _line(self, event: str, text: str, **fields: Any) -> None:
        line = redacted_text(" ".join(text.split()))
        if self.as_json:
            json_line(sys.stderr, event, text=line, **fields)
        else:
            print(f"posetrail: {line}", file=sys.stderr)  # noqa: T201


class _Forward(logging.Handler):
    """Passes log records to a printer."""

    def __init__(self, printer: Printer) -> None:
        super().__init__(logging.WARNING)
        self._printer = printer

    def emit(self, record: logging.LogRecord) -> None:
        self._printer.warning(f"{record.name}: {record.getMessage()}")
