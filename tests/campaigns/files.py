"""Every kind of file that the product reads, mutated: refused in one line, or read as what it says.

A case is a format: some mutants go through the whole command line within one process, and one as a command of its own.
For pose logs and run.json a success without a word must give the results of the undamaged file.
"""

from __future__ import annotations

import contextlib
import io
import os
import random
import re
import shutil
import sys
import time
import traceback
from collections import Counter
from functools import cache
from pathlib import Path

from .campaign import FINDING, main
from .formats import Format, formats
from .results import data_files
from .sandbox import Ended, Finding, Limits, Sandbox, judge_leftovers, judge_words, waited

LONGEST_S = 30.0
_PLACE = re.compile(r"(?<![A-Z])(FILE|IN|OUT)(?![A-Z])")


def case(number: int, rng: random.Random, sandbox: Sandbox) -> Counter[str]:
    (format,) = random.Random(number).choices(formats(), [each.share for each in formats()])
    file = format.make(sandbox.given, sandbox.shared)
    data = file.read_bytes()
    if format.exact:
        _expected(format, sandbox.shared)  # before the fork
    outcomes = _many(format, file, data, rng, sandbox)
    file.write_bytes(format.mutate(data, rng))
    try:
        ended = sandbox.posetrail(*_prepared(format, file, sandbox))
        _judge(format, ended, sandbox)
    except Finding as finding:
        outcomes[f"{FINDING} {finding} (({format.name}, a command))"] += 1
        shutil.copy2(file, sandbox.root / f"mutant-command-{file.name}")
    else:
        outcomes[f"{format.name}: {ended.outcome}"] += 1
    return outcomes


def _prepared(format: Format, file: Path, sandbox: Sandbox) -> list[str]:
    shutil.rmtree(sandbox.out)
    sandbox.out.mkdir()
    if (earlier := sandbox.given / "earlier").is_dir():
        shutil.copytree(earlier, sandbox.out, dirs_exist_ok=True)
    places = {"FILE": str(file), "IN": str(sandbox.given), "OUT": str(sandbox.out)}
    return [_PLACE.sub(lambda found: places[found[0]], argument) for argument in format.arguments]


def _many(format: Format, file: Path, data: bytes, rng: random.Random, sandbox: Sandbox) -> Counter[str]:
    """Mutants in a process that is forked once."""
    notes = sandbox.root / "outcomes"
    pid = os.fork()
    if not pid:
        try:
            os.setsid()
            sys.stdout = sys.stderr = io.StringIO()
            with notes.open("w") as out:
                for mutant in range(format.mutants):
                    file.write_bytes(format.mutate(data, rng))
                    out.write(_tried(format, file, mutant, sandbox) + "\n")
                    out.flush()
            os._exit(0)
        finally:
            os._exit(1)
    try:
        code, _, _ = waited(pid, sandbox.root, Limits(seconds=format.mutants * LONGEST_S))
        if code:
            raise Finding(f"a process that reads it ends in {code}")
    except Finding as finding:
        shutil.copy2(file, sandbox.root / f"mutant-last-{file.name}")
        with notes.open("a") as out:
            out.write(f"{FINDING} {finding} (({format.name}))\n")
    return Counter(notes.read_text().splitlines())


def _tried(format: Format, file: Path, mutant: int, sandbox: Sandbox) -> str:
    arguments = _prepared(format, file, sandbox)
    before = sandbox.state()
    ended = _called(arguments)
    try:
        if ended.seconds > LONGEST_S:
            raise Finding(f"takes {ended.seconds:.0f} s")
        judge_words(ended)
        sandbox.judge_changes(before)
        judge_leftovers(sandbox.out)
        _judge(format, ended, sandbox)
    except Finding as finding:
        shutil.copy2(file, sandbox.root / f"mutant-{mutant}-{file.name}")
        return f"{FINDING} {finding} (({format.name}))"
    return f"{format.name}: {ended.outcome}"


def _called(arguments: list[str]) -> Ended:
    """The command line within this process."""
    from .product import Product

    started, code = time.perf_counter(), 0
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        try:
            Product().run(arguments)
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        except BaseException:
            traceback.print_exc()
            code = 1
    seconds = time.perf_counter() - started
    return Ended(code=code, out=out.getvalue(), err=err.getvalue(), seconds=seconds, megabytes=0.0)


@cache
def _expected(format: Format, shared: Path) -> dict[str, bytes]:
    """What the command makes of the undamaged file."""
    sandbox = Sandbox(shared / f"whole {format.name}", shared)
    file = format.make(sandbox.given, shared)
    ended = sandbox.posetrail(*_prepared(format, file, sandbox))
    assert ended.code == 0, ended
    return data_files(sandbox.out)


def _judge(format: Format, ended: Ended, sandbox: Sandbox) -> None:
    if ended.code not in (0, 2, 3):
        raise Finding(f"exit code {ended.code}")
    if format.exact and ended.code == 0 and not ended.err:
        expected, found = _expected(format, sandbox.shared), data_files(sandbox.out)
        for name in ("again/tracks.json", "again/tracks.csv", "drawn.mp4", "a/tracks.json", "a/poses.arrow"):
            if name in expected and name in found and found[name] != expected[name]:
                raise Finding(
                    f"silently makes another {name}, of {len(found[name]) / len(expected[name]):.0%} the size"
                )


if __name__ == "__main__":
    main("files", case)
