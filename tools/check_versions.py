"""Tests posetrail with the oldest and with the newest versions of packages that pyproject.toml permits.

    uv run python -m tools.check_versions
    uv run python -m tools.check_versions lowest-direct --python 3.12

Builds the wheel and installs it with all optional dependencies into temporary environments outside the checkout, where
the pins under [tool.uv] do not apply: once with every direct dependency at its lowest bound, once with the newest
versions. Runs the main command of the README and the fast tests in each, and prints the versions and the results. Exit
code 1 if one failed.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tools.ci import MAIN_COMMAND, REPOSITORY

RESOLUTIONS = ("lowest-direct", "highest")
_FOR_TESTS = ("tests", "examples", "benchmarks", "tools")  # the packages themselves come from the wheel


def main() -> int:
    """Check the given resolutions."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "resolutions", nargs="*", metavar="RESOLUTION", help=f"{' or '.join(RESOLUTIONS)}; both if not given"
    )
    parser.add_argument("--python", default=sys.executable, help="version or path; the running Python by default")
    given = parser.parse_args()
    results = {}
    for resolution in given.resolutions or RESOLUTIONS:
        with tempfile.TemporaryDirectory(prefix="posetrail_versions_") as folder:
            print(f"== {resolution}", flush=True)
            results[resolution] = holds(resolution, given.python, Path(folder))
    for resolution, passed in results.items():
        print(f"{resolution}: {'passed' if passed else 'FAILED'}")
    return 0 if all(results.values()) else 1


def holds(resolution: str, python: str, folder: Path) -> bool:
    """Whether the main command and the fast tests pass with this resolution; everything is done in `folder`."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    environment, copy = folder / "environment", folder / "copy"
    programs = environment / "bin"
    for name in _FOR_TESTS:
        shutil.copytree(REPOSITORY / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(REPOSITORY / name, copy / name)
    install = ["uv", "pip", "install", "--quiet", "--no-config", "--only-binary", ":all:", "--python", environment]

    if not _passes(["uv", "build", "--quiet", "--wheel", "--out-dir", folder, REPOSITORY], folder):
        return False
    # Given as separate requirements, because uv does not treat those of a wheel as direct.
    direct, test_tools = _requirements(project["project"]), project["dependency-groups"]["test"]
    if not (
        _passes(["uv", "venv", "--quiet", "--no-config", "--python", python, environment], folder)
        and _passes([*install, "--resolution", resolution, *direct], folder)
        and _passes([*install, *test_tools], folder)  # newest versions; installed packages are kept
        and _passes([*install, "--no-deps", next(folder.glob("*.whl"))], folder)
    ):
        return False
    _print_versions(environment, project["project"], folder)
    return _passes([programs / MAIN_COMMAND[0], *MAIN_COMMAND[1:], "-o", folder / "out"], copy) and _passes(
        [programs / "pytest", "-m", "fast"], copy
    )


def _print_versions(environment: Path, project: dict[str, Any], folder: Path) -> None:
    """Print the versions of the direct dependencies in one line."""
    freeze = ["uv", "pip", "freeze", "--python", environment]
    done = subprocess.run(freeze, cwd=folder, capture_output=True, text=True, check=True)
    direct = {_name(line) for line in _requirements(project)}
    print(*(line for line in done.stdout.splitlines() if _name(line) in direct), flush=True)


def _requirements(project: dict[str, Any]) -> list[str]:
    """The names of all direct dependencies, including optional ones."""
    extras = project["optional-dependencies"].values()
    return [*project["dependencies"], *(line for extra in extras for line in extra)]


def _name(requirement: str) -> str:
    return re.split(r"[^\w.-]", requirement, maxsplit=1)[0].lower()


def _passes(command: Sequence[str | Path], folder: Path) -> bool:
    return not subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
