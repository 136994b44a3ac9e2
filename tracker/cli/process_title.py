"""Hides arguments from the list of processes, which all users of a computer can read."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

from tracker.io.live_address import redacted

_CMDLINE, _STAT, _MEMORY = Path("/proc/self/cmdline"), Path("/proc/self/stat"), Path("/proc/self/mem")
_ARG_START = 47  # field 48 of /proc/PID/stat, see proc(5)


def hide_passwords() -> None:
    """Hide the passwords of the addresses among the arguments of this process."""
    for argument in sys.argv[1:]:
        if "://" in argument or "@" in argument:
            hide_argument(argument, redacted(argument))


def hide_argument(argument: str, shown: str) -> None:
    """Replace an argument of this process by another text, as `ps` shows it; only Linux can do that.

    The text is padded with blanks or cut off to the length of the argument. Before, and in the process that started
    this one, the argument can be seen.
    """
    if argument == shown or sys.platform != "linux":
        return
    before = argument.encode(errors="surrogateescape")
    after = shown.encode(errors="surrogateescape")[: len(before)].ljust(len(before))
    with suppress(OSError, ValueError, IndexError):
        place = _CMDLINE.read_bytes().find(before)
        start = int(_STAT.read_text().rpartition(")")[2].split()[_ARG_START - 2])
        if place >= 0 and start > 0:
            with _MEMORY.open("r+b", buffering=0) as memory:
                memory.seek(start + place)
                memory.write(after)
