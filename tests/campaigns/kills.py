"""SIGKILL, SIGINT and SIGTERM at any moment of every command, then the same command again.

A finding is, besides what always is one: final files that are not those of an undisturbed run, byte for byte; a file
half-written under its final name; after SIGINT or SIGTERM another exit code than 130 or 143 (which is also what shells
say of a process that the signal ended), or more than one line.
"""

from __future__ import annotations

import random
import signal

from .campaign import main
from .results import data_files, judge_run, judge_same, judge_whole_files
from .sandbox import Ended, Finding, Sandbox, send
from .work import SLOW, WORKS, undisturbed

EXIT_CODES = {signal.SIGINT: (0, 130), signal.SIGTERM: (0, 143, -signal.SIGTERM), signal.SIGKILL: (0, -signal.SIGKILL)}
REAL_START_S = 8.0  # the installed command has loaded its networks by then


def case(number: int, rng: random.Random, sandbox: Sandbox) -> str:
    work = WORKS[number % len(WORKS)]
    which = rng.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
    real = number % 16 == 15 and which != signal.SIGKILL
    files, calm = undisturbed(work, sandbox.shared)
    arguments = work.prepare(sandbox)
    try:
        for _ in range(1 if real else rng.choice([1, 1, 2, 4])):
            moment = rng.uniform(0, REAL_START_S if real else 1.2 * calm.seconds)
            group = which != signal.SIGTERM and rng.random() < 0.7
            ended = sandbox.posetrail(
                *arguments, product=SLOW, start="real" if real else "fork", actions=[send(which, moment, group=group)]
            )
            _judge(ended, which)
            if which == signal.SIGKILL:
                judge_whole_files(sandbox.out, files)
            elif ended.code and work.name.startswith("track") and (sandbox.out / "a" / "run.json").is_file():
                judge_run(sandbox.out / "a")
        if not real:  # its networks see other people
            again = sandbox.posetrail(*arguments, product=SLOW)
            if again.code != 0:
                raise Finding(f"the same command ends in {again.code}: {again.err.strip()[:200]}")
            judge_same(data_files(sandbox.out), files)
    except Finding as finding:
        raise Finding(f"{which.name}: {finding} (({work.name}{', real' if real else ''}))") from None
    return f"{which.name} {'stopped' if ended.code else 'came too late'}{', real' if real else ''}"


def _judge(ended: Ended, which: signal.Signals) -> None:
    if ended.code not in EXIT_CODES[which]:
        raise Finding(f"exit code {ended.code}: {ended.err.strip()[:200]}")
    if which != signal.SIGKILL and len(ended.err.splitlines()) > 1:
        raise Finding(f"{len(ended.err.splitlines())} lines: {ended.err.strip()[:300]}")


if __name__ == "__main__":
    main("kills", case)
