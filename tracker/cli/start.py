"""The `posetrail` program from its first moment: what may come before and after the command line's own code.

Kept thin: until `main` has installed its handlers, Ctrl-C ends in a traceback of Python's.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from contextlib import suppress

from tracker.signals import Interrupts, ignore_stop_signals

TYPE_CHECKING = False  # as `typing` has it, which takes longer to import than everything else here
if TYPE_CHECKING:
    from typing import NoReturn, TextIO

_LINE_BYTES = 1 << 20  # a line up to so long is one write, so that lines of stdout and stderr never mix in one file


def main() -> NoReturn:
    """Run the command line; a stop signal ends it at any moment with one line, a reader who leaves does not end it."""
    interrupts = Interrupts()
    interrupts.install()
    _open_streams()
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")  # it writes to stderr beside our one line of a damaged image
    try:
        from tracker.cli.app import main as command_line

        command_line()
    except SystemExit as ended:
        code = ended.code
    except BaseException:
        if interrupts.first is None:
            raise
        from tracker.cli.printing import Printer, wants_json

        ignore_stop_signals()
        # Also any other exception: an interrupt may leave C code as, say, an ImportError.
        Printer(as_json=wants_json(sys.argv)).error(str(interrupts.first), interrupts.first.code)
        code = interrupts.first.code
    ignore_stop_signals()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    if interrupts.first is not None:
        os._exit(
            interrupts.first.code
        )  # whatever was open is closed; threads in the middle of something are not joined
    sys.exit(code)


class _Patient(io.FileIO):
    """A standard stream whose reader may leave, as `| head` does, or a terminal that closes.

    What is written from then on is dropped and the work goes on, because its results matter more than the lines; the
    exit code tells of the work.
    """

    def write(self, data: object) -> int:
        try:
            return super().write(data)  # type: ignore[arg-type]
        except OSError as error:
            if error.errno not in (errno.EPIPE, errno.EIO):
                raise
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            return memoryview(data).nbytes  # type: ignore[arg-type]


def _open_streams() -> None:
    """Standard streams that are there, even where the shell closed them, and stay usable when their reader leaves."""
    if os.name != "posix":
        return
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
    sys.stdout = _stream(1, sys.stdout)
    sys.stderr = _stream(2, sys.stderr)


def _stream(number: int, before: TextIO | None) -> TextIO:
    raw = _Patient(number, "w", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(raw, _LINE_BYTES),
        encoding=before.encoding if before else "utf-8",
        errors="backslashreplace",  # a file's name may hold bytes that are no text
        line_buffering=number == 2 or raw.isatty(),
    )
