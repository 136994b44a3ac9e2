"""Finds interpreters of the Python versions that posetrail supports."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

# Prints the version of released CPythons with a global lock; few wheels exist for others.
_PROBE = """
import sys, sysconfig
if sys.version_info.releaselevel == "final" and not sysconfig.get_config_var("Py_GIL_DISABLED"):
    print(sys.implementation.name, "%d.%d" % sys.version_info[:2])
"""


def claimed_minors(pyproject: str) -> list[str]:
    """The minor versions, such as 3.12, in the classifiers of a pyproject.toml, in its order."""
    return re.findall(r'"Programming Language :: Python :: (3\.\d+)"', pyproject)


def find_python(minor: str) -> Path | None:
    """A working interpreter of this minor version from PATH, pyenv or uv; None if there is none."""
    expected = f"cpython {minor}"
    return next((path for path in _candidates(minor) if _output(path, "-c", _PROBE) == expected), None)


def _candidates(minor: str) -> Iterator[Path]:
    """Possible interpreters, the usual ones first; some may be shims of pyenv that do not run."""
    for folder in filter(None, os.environ.get("PATH", "").split(os.pathsep)):
        yield Path(folder, f"python{minor}")
    roots = filter(None, (os.environ.get("PYENV_ROOT"), Path.home() / ".pyenv"))
    for root in map(Path, roots):
        yield from sorted((root / "versions").glob(f"{minor}.*/bin/python"), reverse=True)
    known_to_uv = _output("uv", "python", "find", "--no-python-downloads", "--no-project", "--system", minor)
    if known_to_uv:
        yield Path(known_to_uv)


def _output(*command: str | Path) -> str:
    """The stripped output of a command; empty if it fails or does not exist."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
