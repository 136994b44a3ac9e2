"""A campaign's frame: so many cases from a seed, counts of how they ended, findings kept."""

from __future__ import annotations

import argparse
import random
import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import cv2

from .sandbox import Finding, Sandbox

FINDING = "FINDING"
Case = Callable[[int, random.Random, Sandbox], str | Counter[str]]
"""Tries the n-th case; returns its outcome, or the number of each outcome of many tries; raises Finding."""


def run(
    name: str,
    case: Case,
    count: int,
    seed: int,
    *,
    keep: Path | None = None,
    only: int | None = None,
) -> Counter[str]:
    """Try cases 0 to count - 1, or only one of them; how many ended how, and how many of which finding."""
    cv2.setNumThreads(1)  # this process forks
    outcomes: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix=f"campaign-{name}-") as folder:
        shared = Path(folder) / "shared"
        shared.mkdir()
        for number in range(count) if only is None else [only]:
            root = Path(folder) / str(number)
            try:
                outcome = case(number, random.Random(f"{name} {seed} {number}"), Sandbox(root, shared))
                tally = Counter([outcome]) if isinstance(outcome, str) else outcome
            except Finding as finding:
                tally = Counter([f"{FINDING} {finding}"])
            findings = [outcome for outcome in tally if outcome.startswith(FINDING)]
            if findings:
                sys.stdout.write("\n".join(f"case {number}: {finding}" for finding in findings) + "\n")
                sys.stdout.flush()
            if keep and findings:
                _keep(root, keep / f"{name}-{seed}-{number}", "\n".join(findings))
            for outcome, many in tally.items():
                outcomes[_kind(outcome, root) if outcome in findings else outcome] += many
            shutil.rmtree(root, ignore_errors=True)
    return outcomes


def _kind(finding: str, root: Path) -> str:
    """A finding without what differs from case to case: numbers, paths, and what stands in (( ))."""
    general = re.sub(r" \(\(.*?\)\)", "", finding.replace(str(root), "."))
    return re.sub(r"\b\d+(\.\d+)?\b", "N", general)[:160]


def _keep(root: Path, kept: Path, finding: str) -> None:
    shutil.rmtree(kept, ignore_errors=True)
    shutil.copytree(root, kept, symlinks=True, ignore_dangling_symlinks=True)
    (kept / "finding.txt").write_text(finding + "\n")


def main(name: str, case: Case) -> None:
    """The command line of a campaign; its exit code is 1 where there were findings."""
    parser = argparse.ArgumentParser(prog=f"python -m tests.campaigns.{name}")
    parser.add_argument("--count", type=int, default=100, help="cases to try [%(default)s]")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="try this case alone")
    parser.add_argument("--keep", type=Path, help="folder for the findings: input, output, command")
    given = parser.parse_args()
    sys.exit(not report(name, case, given.count, given.seed, keep=given.keep, only=given.only))


def report(name: str, case: Case, count: int, seed: int, *, keep: Path | None = None, only: int | None = None) -> bool:
    """Run a campaign and print what came of it; whether there was no finding."""
    started = time.perf_counter()
    outcomes = run(name, case, count, seed, keep=keep, only=only)
    total, seconds = sum(outcomes.values()), time.perf_counter() - started
    sys.stdout.write(f"{name}: {total} tries of seed {seed} in {seconds:.0f} s\n")
    for outcome, many in sorted(outcomes.items(), key=lambda each: (each[0].startswith(FINDING), -each[1])):
        sys.stdout.write(f"{many:7}  {outcome}\n")
    return not any(outcome.startswith(FINDING) for outcome in outcomes)
