"""Kills a batch at random moments, again and again: `python -m tests.batch_kills INPUT OUTPUT SEED KILLS [SEGMENT_S]`.

A program of its own, because only a process without threads forks cheaply: 20 batches start in the time of one.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

from tracker.batch.batch import run_batch
from tracker.batch.clip_list import find_clips
from tracker.batch.workers import track_in_processes

from .batch_worlds import slow_truth, task


def batch(folder: Path, output: Path, segment_s: float | None) -> None:
    todo = replace(task(output), segment_s=segment_s, fps=4.0 if segment_s else None)
    follow = partial(track_in_processes, open_networks=slow_truth, start_method="fork")
    run_batch(find_clips([folder], output), todo, jobs=2, progress="none", run_clips=follow)


def forked(folder: Path, output: Path, segment_s: float | None) -> int:
    """A batch in a process group of its own."""
    process = os.fork()
    if process == 0:
        os.setsid()
        try:
            batch(folder, output, segment_s)
        except BaseException as error:
            sys.stderr.write(f"{error!r}\n")
            sys.stderr.flush()
            os._exit(1)
        os._exit(0)
    return process


def main() -> None:
    folder, output = map(Path, sys.argv[1:3])
    segment_s = float(sys.argv[5]) if len(sys.argv) > 5 else None
    moments = random.Random(int(sys.argv[3]))
    killed = 0
    for _ in range(int(sys.argv[4])):
        process = forked(folder, output, segment_s)
        time.sleep(moments.uniform(0.05, 0.45))
        if os.waitpid(process, os.WNOHANG)[0] == 0:
            os.killpg(process, signal.SIGKILL)
            os.waitpid(process, 0)
            killed += 1
    _, status = os.waitpid(forked(folder, output, segment_s), 0)
    sys.stdout.write(f"killed {killed}\n")
    sys.exit(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
