"""The entry point of the `posetrail` program: signals and standard streams, before and after the command line's code.

It imports little, because until `main` has installed the signal handlers, Ctrl-C ends in a traceback.
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

_LINE_BYTES = 1 << 20  # lines up to this length are one write each, so that stdout and stderr do not mix in one file


def main() -> NoReturn:
    """Run the command line. A stop signal ends it with one line at any moment; a closed output pipe does not end it."""
    interrupts = Interrupts()
    try:
        code = _run(interrupts)
    except BaseException:  # any: an interrupt inside C code may appear as, for example, an ImportError
        ignore_stop_signals()
        if interrupts.first is None:
            raise
        from tracker.cli.printing import Printer, wants_json

        Printer(as_json=wants_json(sys.argv)).error(str(interrupts.first), interrupts.first.code)
        code = interrupts.first.code
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    if interrupts.first is not None:
        os._exit(interrupts.first.code)  # files are closed by now; running threads are not joined
    sys.exit(code)


def _run(interrupts: Interrupts) -> int | str | None:
    """Run the command line, and ignore stop signals at its end; returns its exit code.

    From the first handler to the last one, all code is in here, so that `main` catches an interrupt of any line of it.
    """
    interrupts.install()
    _open_streams()
    if any("://" in argument or "@" in argument for argument in sys.argv[1:]):
        from tracker.cli.process_title import hide_passwords  # not above: it takes a while to import

        hide_passwords()
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")  # otherwise it prints its own line about a damaged image
    code = None
    try:
        from tracker.cli.app import main as command_line

        command_line()
    except SystemExit as ended:
        code = ended.code
    ignore_stop_signals()
    return code


class _Patient(io.FileIO):
    """A standard stream whose reader may close it, as `| head` does, or a terminal that closes.

    Later output is discarded and the work continues; the exit code is that of the work.
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
    """Open standard streams that the shell closed, and make them robust against readers that close them."""
    if os.name != "posix":  # there a file or pipe has the encoding of the locale, which lacks most characters
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
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
        errors="backslashreplace",  # names of files may have bytes that are not valid text
        line_buffering=number == 2 or raw.isatty(),
    )
