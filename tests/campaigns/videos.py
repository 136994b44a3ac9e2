"""`track --video` on damaged and strange videos: every container and codec, cut, flipped, zeroed, joined, spliced.

A finding is, besides what always is one: fewer frames than FFmpeg gives or than the clip has, without a word; times
that repeat; a drawn video that does not decode or has other frames than the pose log.
"""

from __future__ import annotations

import random

import numpy as np

from .campaign import main
from .clips import FRAMES, KINDS, MUTATIONS, Kind, clip, doubled, readable_frames, truncated, whole
from .results import judge_drawn, judge_run, log_times
from .sandbox import Ended, Finding, Limits, Sandbox

LIMITS = Limits()


def case(number: int, rng: random.Random, sandbox: Sandbox) -> str:
    kinds = [kind for kind in KINDS if clip(kind, sandbox.shared)]
    kind = kinds[number % len(kinds)]
    mutation = MUTATIONS[number // len(kinds) % len(MUTATIONS)]
    path = sandbox.given / f"clip{kind.suffix}"
    path.write_bytes(mutation(clip(kind, sandbox.shared).read_bytes(), rng))  # type: ignore[union-attr]
    if rng.random() < 0.1:  # spliced: the beginning of one file before another, of any kind
        other = clip(rng.choice(kinds), sandbox.shared).read_bytes()  # type: ignore[union-attr]
        path.write_bytes(other[: rng.randrange(len(other))] + path.read_bytes())
        mutation = None  # type: ignore[assignment]
    ended = sandbox.posetrail(
        "track", path, "-o", sandbox.out, "--video", "--progress", "none", limits=LIMITS, lines=1,
        start="fresh" if number % 100 == 99 else "fork",
    )  # fmt: skip
    try:
        _judge(ended, sandbox, kind, mutation)
    except Finding as finding:
        raise Finding(f"{finding} (({kind.name} {mutation.__name__ if mutation else 'spliced'}))") from None
    return ended.outcome


def _judge(ended: Ended, sandbox: Sandbox, kind: Kind, mutation: object) -> None:
    if ended.outcome == "refused":
        if left := list(sandbox.out.iterdir()):
            raise Finding(f"refused, but leaves {left[0].name}")
        if mutation is whole:
            raise Finding(f"refuses a whole clip: {ended.err.strip()[:300]}")
        return
    (folder,) = sandbox.out.iterdir()
    frames = judge_run(folder)
    judge_drawn(folder, ended.err)
    if ended.err:
        if mutation is whole and ended.code == 2:
            raise Finding(f"calls a whole clip damaged: {ended.err.strip()[:300]}")
        return
    if frames < (readable := readable_frames(sandbox.given / f"clip{kind.suffix}")):
        raise Finding(f"silently reads {frames} frames of {readable} that can be read")
    expected = FRAMES
    if mutation is doubled and kind.joins:
        expected = 2 * FRAMES
    if mutation is doubled and not kind.joins and frames < 2 * FRAMES:
        raise Finding(f"silently reads {frames} frames of two clips of {FRAMES}")
    if frames < expected and (mutation is not truncated or kind.promises) and mutation in (whole, truncated, doubled):
        raise Finding(f"silently reads {frames} frames of {expected}")
    if mutation in (whole, doubled):
        steps = np.diff(log_times(folder / "poses.arrow"))
        if (steps <= 0).any():
            raise Finding(f"silently has {(steps <= 0).sum()} times that repeat the one before")


if __name__ == "__main__":
    main("videos", case)
