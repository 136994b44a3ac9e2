"""A machine that misbehaves: clocks, discs and network file systems, inside the process that is to be disturbed.

Each is NAME=VALUE; `install("replace=EXDEV:3")` makes the third rename from now on fail as between two file systems.
"""

from __future__ import annotations

import errno
import os
import random
import signal
import time
from collections.abc import Callable
from typing import Any

_DAY_S = 86400.0


def install(disturbance: str) -> None:
    """Disturb this process, and those forked from it, from now on."""
    name, _, value = disturbance.partition("=")
    INSTALLERS[name](value)


def _failing(function: Callable[..., Any], value: str) -> Callable[..., Any]:
    """The function failing: ERROR; ERROR:N, in the N-th call alone; ERROR:after, having done its work."""
    name, _, when = value.partition(":")
    calls = 0

    def fails(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if when.isdigit() and calls != int(when):
            return function(*arguments, **named)
        if when == "after":
            function(*arguments, **named)
        code = getattr(errno, name)
        names = [each for each in arguments if isinstance(each, (str, bytes, os.PathLike))]
        raise OSError(code, os.strerror(code), *(os.fspath(each) for each in names[:1]))

    return fails


def _replace(value: str) -> None:
    os.replace = _failing(os.replace, value)
    os.rename = _failing(os.rename, value)


def _fsync(value: str) -> None:
    os.fsync = _failing(os.fsync, value)


def _unlink(value: str) -> None:
    os.unlink = _failing(os.unlink, value)
    os.remove = _failing(os.remove, value)


def _mkdir(value: str) -> None:
    os.mkdir = _failing(os.mkdir, value)


def _flock(value: str) -> None:
    import fcntl

    fcntl.flock = _failing(fcntl.flock, value)  # type: ignore[assignment]


def _file_size(value: str) -> None:
    """Files may have so many bytes; the signal that comes first is ignored, as shells and cluster managers do."""
    import resource

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(value), int(value)))


def _wall_clock(value: str) -> None:
    disturbed = wall_clock(time.time, value)
    time.time, time.time_ns = disturbed, lambda: int(disturbed() * 1e9)


def wall_clock(true: Callable[[], float], value: str) -> Callable[[], float]:
    """A clock that "jumps" by up to a day each time, goes "back", or stands in "1970"."""
    jumps = random.Random(0)
    start = true()
    return {
        "jumps": lambda: true() + jumps.uniform(-_DAY_S, _DAY_S),
        "back": lambda: start - (true() - start) * 1000,
        "forth": lambda: start + (true() - start) * 1e6,
        "1970": lambda: 0.0,
    }[value]


def _monotonic(value: str) -> None:
    """It is "slow" by a factor of 1000, "coarse" (16 ms), or "jumps" by an hour a call, as after a suspended machine.

    It never stands still for good: Python's own `multiprocessing.connection.wait` would not return then.
    """
    for name in ("monotonic", "perf_counter"):
        true = getattr(time, name)
        start, calls = true(), iter(range(10**9))
        clock = {
            "slow": lambda true=true, start=start: start + (true() - start) / 1000,
            "coarse": lambda true=true: true() // 0.016 * 0.016,
            "jumps": lambda start=start, calls=calls: start + 3600.0 * next(calls),
        }[value]
        setattr(time, name, clock)


INSTALLERS: dict[str, Callable[[str], None]] = {
    "replace": _replace,
    "fsync": _fsync,
    "unlink": _unlink,
    "mkdir": _mkdir,
    "flock": _flock,
    "file-size": _file_size,
    "wall": _wall_clock,
    "monotonic": _monotonic,
}
