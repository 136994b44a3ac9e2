"""Wall-clock and CPU time of one piece of work on a clip."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Timing:
    """What one pass over a clip took."""

    frames: int
    people: int | None
    """Poses in all frames; None if the work does not count them."""
    seconds: float
    cpu_seconds: float
    """User and system time of all threads; on a busy machine it varies less than `seconds`."""


def timed(work: Callable[[], tuple[int, int | None]]) -> Timing:
    """The time of work in this process that returns the numbers of frames and people."""
    started, used = time.perf_counter(), time.process_time()
    frames, people = work()
    return Timing(
        frames=frames,
        people=people,
        seconds=time.perf_counter() - started,
        cpu_seconds=time.process_time() - used,
    )
