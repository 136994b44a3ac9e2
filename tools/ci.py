"""Runs CI: the main command and the fast tests on every other supported Python, then the whole suite on this one.

    bash .ci/run                 installs uv with pip, then runs this program
    uv run python -m tools.ci    the same where uv is installed

The suite runs last, so that its summary is at the end; failures on other Pythons are repeated after it. The
environments are .venv for this Python, and .venv-3.12 and so on for others.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tools.pythons import claimed_minors, find_python

REPOSITORY = Path(__file__).resolve().parents[1]
MAIN_COMMAND = ("posetrail", "track", "examples/pose2sim_cam01.mp4")  # as the README has it
_UNCLAIMED = ("3.14",)  # wheels exist, but it has not been tested yet: to be added to the classifiers once it passes


def main() -> int:
    """Run all checks; gives 1 if any failed."""
    this = f"{sys.version_info.major}.{sys.version_info.minor}"
    claimed = claimed_minors((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    others = [minor for minor in dict.fromkeys((*claimed, *_UNCLAIMED)) if minor != this]
    pythons = {minor: find_python(minor) for minor in others}
    _say(f"Python {this}: {sys.executable}: the whole suite")
    for minor, python in pythons.items():
        _say(f"Python {minor}: {f'{python}: the main command and the fast tests' if python else 'not found'}")
    failed = [minor for minor, python in pythons.items() if python and not works_on(minor, python)]
    _say(f"Python {this}")
    suite_passes = _passes([Path(sys.executable).parent / "pytest"], dict(os.environ))
    for minor in failed:
        _say(f"Python {minor}: FAILED, see above")
    return 0 if suite_passes and not failed else 1


def works_on(minor: str, python: Path) -> bool:
    """Whether the main command and the fast tests pass with that Python, in a separate environment."""
    _say(f"Python {minor}")
    folder = REPOSITORY / f".venv-{minor}"
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    environment["UV_PROJECT_ENVIRONMENT"] = str(folder)
    programs = folder / "bin"
    sync = ["uv", "sync", "--quiet", "--python", python, "--no-default-groups", "--group", "test"]
    with tempfile.TemporaryDirectory() as output:
        track = [programs / MAIN_COMMAND[0], *MAIN_COMMAND[1:], "-o", output]
        commands = [sync, track, [programs / "pytest", "-m", "fast"]]
        return all(_passes(command, environment) for command in commands)  # the first failure is the last command


def _passes(command: Sequence[str | Path], environment: dict[str, str]) -> bool:
    return not subprocess.run(
        command, cwd=REPOSITORY, env=environment, stdin=subprocess.DEVNULL, check=False
    ).returncode


def _say(line: str) -> None:
    print(f"== {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
