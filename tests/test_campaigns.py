"""The campaigns run: a case or two of each, which find nothing."""

from __future__ import annotations

import subprocess
import sys

from .conftest import REPOSITORY


def test_a_case_of_every_campaign() -> None:
    command = [sys.executable, "-m", "tests.campaigns", "--count", "1"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("videos", "files", "kills", "disc", "clock", "fetch", "lock"):
        assert f"{name}: " in done.stdout
