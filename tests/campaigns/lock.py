"""Two processes at once in one output: each ends with its results or in one line, and the files are of one run.

The second starts at a random moment of the first. Afterwards the first command's results are those of an undisturbed
run, or the same command makes them so.
"""

from __future__ import annotations

import random
import time

from .campaign import main
from .results import data_files, judge_same
from .sandbox import Finding, Running, Sandbox
from .work import QUIET, SLOW, WORKS, Work, undisturbed

TRACK, VIDEO, BATCH, SEGMENTS = WORKS[:4]
IN_PLACE = ("OUT/a",)
PAIRS = (
    (TRACK, TRACK),
    (VIDEO, VIDEO),
    (TRACK, Work("batch of one", ("batch", "IN/a.mkv", "-o", "OUT", *QUIET))),
    (VIDEO, Work("draw", ("draw", *IN_PLACE, *QUIET))),
    (TRACK, Work("follow", ("follow", *IN_PLACE))),
    (BATCH, BATCH),
    (SEGMENTS, SEGMENTS),
    (BATCH, Work("track of one", ("track", "IN/b.mkv", "-o", "OUT", *QUIET))),
)


def case(number: int, rng: random.Random, sandbox: Sandbox) -> str:
    first, second = PAIRS[number % len(PAIRS)]
    files, calm = undisturbed(first, sandbox.shared)
    arguments = [list(map(str, work.prepare(sandbox))) for work in (first, second)]
    try:
        one = Running(sandbox, arguments[0], SLOW)
        time.sleep(rng.uniform(0, 1.1 * calm.seconds))
        two = Running(sandbox, arguments[1], SLOW)
        ends = []
        for running in (one, two):  # half-written files may be the other's
            ends.append(running.judged(leftovers=running is two))
            if ends[-1].code not in (0, 2, 3):
                raise Finding(f"exit code {ends[-1].code}: {ends[-1].err.strip()[:200]}")
        again = sandbox.posetrail(*arguments[0], product=SLOW)
        if again.code:
            raise Finding(f"the first command again ends in {again.code}: {again.err.strip()[:200]}")
        judge_same(data_files(sandbox.out), files)
    except Finding as finding:
        raise Finding(f"{first.name} and {second.name}: {finding}") from None
    return f"{first.name} and {second.name}: {ends[0].outcome}, {ends[1].outcome}"


if __name__ == "__main__":
    main("lock", case)
