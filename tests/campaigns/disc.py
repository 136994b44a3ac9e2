"""Full discs, quotas, failing renames and syncs, read-only output, and output that vanishes while it is written.

Whatever the disc does, a command ends in 0, 2 or 3 with a line that says why, leaves no half-written file under a final
name, and once the disc is well again the same command makes the files of an undisturbed run.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from .campaign import main
from .quota import quota_library
from .results import data_files, judge_same, judge_whole_files
from .sandbox import Action, Ended, Finding, Sandbox
from .work import SLOW, WORKS, Work, undisturbed

ERRORS = ("EXDEV", "EBUSY", "ESTALE", "EACCES", "EIO", "ENOENT", "EDQUOT", "EROFS")
Disturbed = Callable[[Work, random.Random, Sandbox], Ended]


def case(number: int, rng: random.Random, sandbox: Sandbox) -> str:
    name, disturbed = list(DISTURBANCES.items())[number % len(DISTURBANCES)]
    work = WORKS[number // len(DISTURBANCES) % len(WORKS)]
    files, _ = undisturbed(work, sandbox.shared)
    try:
        ended = disturbed(work, rng, sandbox)
        if ended.code not in (0, 2, 3):
            raise Finding(f"exit code {ended.code}: {ended.err.strip()[:200]}")
        if ended.code == 0:
            judge_same(data_files(sandbox.out), files)
        judge_whole_files(sandbox.out, files)
        again = sandbox.posetrail(*work.prepare(sandbox), product=SLOW)
        if again.code:
            raise Finding(f"the same command, disturbed no more, ends in {again.code}: {again.err.strip()[:200]}")
        judge_same(data_files(sandbox.out), files)
    except Finding as finding:
        raise Finding(f"{name}: {finding} (({work.name}))") from None
    return f"{name}: {ended.outcome}"


def _faulty(name: str, values: Callable[[random.Random], str]) -> Disturbed:
    """A function of the operating system fails, as tests/campaigns/disturbances.py has it."""

    def disturbed(work: Work, rng: random.Random, sandbox: Sandbox) -> Ended:
        product = replace(SLOW, disturbances=(f"{name}={values(rng)}",))
        return sandbox.posetrail(*work.prepare(sandbox), product=product)

    return disturbed


def _error(rng: random.Random) -> str:
    return rng.choice(ERRORS) + rng.choice(["", ":after", ":1", ":2", ":3", ":4"])


def full(work: Work, rng: random.Random, sandbox: Sandbox) -> Ended:
    """A small file system, which fills at some moment."""
    with mounted(sandbox.out, "tmpfs", f"size={rng.choice([4, 8, 16, 32, 64, 128, 256, 512])}k"):
        try:
            arguments = work.prepare(sandbox)
        except (OSError, shutil.Error):
            shutil.rmtree(sandbox.out / "run", ignore_errors=True)
            arguments = replace(work, needs_run=False).prepare(sandbox)
        ended = sandbox.posetrail(*arguments, product=SLOW)
        left = sandbox.root / "tmp" / "out"
        shutil.copytree(sandbox.out, left)
    shutil.copytree(left, sandbox.out, dirs_exist_ok=True)  # what lies beneath the mount is what comes next
    shutil.rmtree(left)
    return ended


def quota(work: Work, rng: random.Random, sandbox: Sandbox) -> Ended:
    """Writing fails with EDQUOT after so many bytes, for C++ libraries, too."""
    environment = {
        "LD_PRELOAD": str(quota_library(sandbox.shared)),
        "QUOTA_BYTES": str(rng.choice([0, 2000, 10_000, 60_000])),
    }
    environment["QUOTA_FOLDER"] = str(sandbox.out)
    arguments = work.prepare(sandbox)
    return sandbox.posetrail(*arguments, product=SLOW, start="fresh", environment=environment)


def read_only(work: Work, _: random.Random, sandbox: Sandbox) -> Ended:
    arguments = work.prepare(sandbox)
    with mounted(sandbox.out, "none", "bind"):
        subprocess.run(["mount", "-o", "remount,bind,ro", str(sandbox.out)], check=True)
        return sandbox.posetrail(*arguments, product=SLOW)


def removed(work: Work, rng: random.Random, sandbox: Sandbox) -> Ended:
    """Somebody removes the output at some moment."""
    _, calm = undisturbed(work, sandbox.shared)
    at = rng.choice([sandbox.out, sandbox.out / "a", sandbox.out / "again", sandbox.out / ".posetrail"])

    def remove(_: int) -> None:
        shutil.rmtree(at, ignore_errors=True)

    actions = [Action(rng.uniform(0, calm.seconds), remove)]
    ended = sandbox.posetrail(*work.prepare(sandbox), product=SLOW, actions=actions)
    if work.needs_run and not (sandbox.out / "run").is_dir():
        shutil.rmtree(sandbox.out, ignore_errors=True)
    sandbox.out.mkdir(exist_ok=True)
    return ended


def made_by_another_case(work: Work, _: random.Random, sandbox: Sandbox) -> Ended:
    """Where names differ in their case alone, a file system may have one file for both."""
    arguments = work.prepare(sandbox)
    for clip in list(sandbox.given.iterdir()):
        os.link(clip, sandbox.given / clip.name.upper())
    ended = sandbox.posetrail(*arguments, product=SLOW)
    names = [path.name.casefold() for path in sandbox.out.iterdir()]
    if len(set(names)) < len(names):
        raise Finding(f"folders differ in their case alone: {sorted(names)}")
    for clip in sandbox.given.glob("*.MKV"):
        clip.unlink()
    shutil.rmtree(sandbox.out)
    sandbox.out.mkdir()
    return replace(ended, code=2) if ended.code == 0 else ended  # more clips than undisturbed


@contextmanager
def mounted(folder: Path, kind: str, options: str) -> Iterator[None]:
    """A file system in a folder; needs to be root."""
    what = [str(folder), str(folder)] if kind == "none" else ["none", str(folder)]
    subprocess.run(["mount", "-t", kind, "-o", options, *what], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


DISTURBANCES: dict[str, Disturbed] = {
    "rename fails": _faulty("replace", _error),
    "file size limit": _faulty("file-size", lambda rng: str(rng.choice([0, 1000, 8000, 30_000, 100_000]))),
    "removed": removed,
    "fsync fails": _faulty("fsync", lambda rng: rng.choice(["EINVAL", "EIO", "ENOSPC", "EDQUOT", "EIO:2"])),
    "unlink fails": _faulty("unlink", _error),
    "mkdir fails": _faulty("mkdir", _error),
    "lock fails": _faulty("flock", lambda rng: rng.choice(["ENOLCK", "EIO", "ESTALE", "ENOSYS", "EOPNOTSUPP"])),
    "names by case": made_by_another_case,
}  # fmt: skip
if os.geteuid() == 0 and shutil.which("mount"):
    DISTURBANCES |= {"full": full, "read-only": read_only}
if shutil.which("cc"):
    DISTURBANCES |= {"quota": quota}


if __name__ == "__main__":
    main("disc", case)
