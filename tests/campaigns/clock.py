"""Clocks that jump, run backwards or crawl: no file of a run depends on them, and no command waits for ever."""

from __future__ import annotations

import random
from dataclasses import replace

from .campaign import main
from .results import data_files, judge_same
from .sandbox import Finding, Sandbox
from .work import SLOW, WORKS, undisturbed

CLOCKS = (
    "wall=jumps",
    "monotonic=slow",
    "wall=back",
    "monotonic=coarse",
    "wall=forth",
    "monotonic=jumps",
    "wall=1970",
)


def case(number: int, rng: random.Random, sandbox: Sandbox) -> str:
    clock = CLOCKS[number % len(CLOCKS)]
    work = WORKS[number // len(CLOCKS) % len(WORKS)]
    files, _ = undisturbed(work, sandbox.shared)
    product = replace(SLOW, disturbances=(clock, *rng.sample(CLOCKS, rng.choice([0, 0, 1]))))
    try:
        ended = sandbox.posetrail(*work.prepare(sandbox), product=product)
        if ended.code:
            raise Finding(f"exit code {ended.code}: {ended.err.strip()[:200]}")
        judge_same(data_files(sandbox.out), files)
    except Finding as finding:
        raise Finding(f"{clock}: {finding} (({work.name}))") from None
    return f"{clock}: {ended.outcome}"


if __name__ == "__main__":
    main("clock", case)
