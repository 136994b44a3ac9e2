"""One case of each quick campaign finds no fault; the other campaigns are imported."""

from __future__ import annotations

import subprocess
import sys

from tests.conftest import REPOSITORY

QUICK = ("videos", "files", "fetch")


def test_a_case_of_the_quick_campaigns() -> None:
    command = [sys.executable, "-m", "tests.campaigns", "--count", "1", *QUICK]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line.partition(":")[0] for line in done.stdout.splitlines() if " tries of seed " in line] == list(QUICK)
