"""Every campaign, one after the other: `python -m tests.campaigns --count N --seed S [NAME ...]`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from . import clock, disc, fetch, files, kills, lock, videos
from .campaign import report

CAMPAIGNS = {
    "videos": videos.case,
    "files": files.case,
    "kills": kills.case,
    "disc": disc.case,
    "clock": clock.case,
    "fetch": fetch.case,
    "lock": lock.case,
}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(CAMPAIGNS)} [all]")
    parser.add_argument("--count", type=int, default=10, help="cases of each [%(default)s]")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder for the findings: input, output, command")
    given = parser.parse_args()
    names = given.names or list(CAMPAIGNS)
    if unknown := set(names) - set(CAMPAIGNS):
        parser.error(f"unknown campaign {unknown.pop()!r} (known: {', '.join(CAMPAIGNS)})")
    fine = [report(name, CAMPAIGNS[name], given.count, given.seed, keep=given.keep) for name in names]
    sys.exit(not all(fine))
