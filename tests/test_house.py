"""The repository is in order: format, lint, types and import contracts; users' programs get real types."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

BIN = Path(sys.executable).parent

USERS_PROGRAM = """\
import posetrail as pt

reveal_type(pt.Tracker(pt.AssociationSettings()))
reveal_type(pt.Settings().association)
reveal_type(next(pt.track("clip.mp4")).people)
reveal_type(pt.evaluate("ground_truth", "predictions"))
reveal_type(pt.PRESETS)
reveal_type(pt.__version__)
pt.trakc
"""
USERS_TYPES = [
    "tracker.association.tracker.Tracker",
    "tracker.settings.AssociationSettings",
    "posetrail.poses.TrackedPoses",
    "eval_posetrack.reports.report.Report",
    "dict[str, tracker.settings.Settings]",
    "str",
]


def run(*command: str) -> subprocess.CompletedProcess[str]:
    arguments = [BIN / command[0], *command[1:]]
    return subprocess.run(arguments, cwd=REPOSITORY, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "command",
    [["ruff", "format", "--check", "."], ["ruff", "check", "."], ["mypy"], ["lint-imports"]],
    ids=["format", "lint", "types", "imports"],
)
def test_the_repository_is_in_order(command: list[str]) -> None:
    done = run(*command)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_users_program_gets_the_types_of_the_public_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "users_program.py").write_text(USERS_PROGRAM)
    monkeypatch.setenv("MYPYPATH", str(tmp_path))
    done = run("mypy", "-m", "users_program")  # shares the cache of the test of the types
    assert re.findall(r'Revealed type is "(.+)"', done.stdout) == USERS_TYPES
    assert re.findall(r"error: (.+?)  ", done.stdout) == ['Module has no attribute "trakc"; maybe "track"?']


def test_the_hooks_before_a_commit_run_the_same_programs() -> None:
    hooks = (REPOSITORY / ".pre-commit-config.yaml").read_text()
    for program in ("ruff format", "ruff check", "mypy", "lint-imports"):
        assert f"entry: uv run --no-sync {program}" in hooks
    assert "repo: local" in hooks
    assert "https://" not in hooks
