"""Finds interpreters of the Python versions that posetrail supports."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

# A released CPython with a global lock says its version; wheels of other builds are rare.
_PROBE = """
import sys, sysconfig
if sys.version_info.releaselevel == "final" and not sysconfig.get_config_var("Py_GIL_DISABLED"):
    print(sys.implementation.name, "%d.%d" % sys.version_info[:2])
"""


def claimed_minors(pyproject: str) -> list[str]:
    """The minor versions, such as 3.12, that the classifiers of a pyproject.toml claim, in its order."""
    return re.findall(r'"Programming Language :: Python :: (3\.\d+)"', pyproject)


def find_python(minor: str) -> Path | None:
    """An interpreter of this minor version that runs: on PATH, of pyenv, or known to uv; None where there is none."""
    expected = f"cpython {minor}"
    return next((path for path in _candidates(minor) if _output(path, "-c", _PROBE) == expected), None)


def _candidates(minor: str) -> Iterator[Path]:
    """Places to look in, the usual ones first; a shim of pyenv may be among them that runs no Python."""
    for folder in filter(None, os.environ.get("PATH", "").split(os.pathsep)):
        yield Path(folder, f"python{minor}")
    roots = filter(None, (os.environ.get("PYENV_ROOT"), Path.home() / ".pyenv"))
    for root in map(Path, roots):
        yield from sorted((root / "versions").glob(f"{minor}.*/bin/python"), reverse=True)
    known_to_uv = _output("uv", "python", "find", "--no-python-downloads", "--no-project", "--system", minor)
    if known_to_uv:
        yield Path(known_to_uv)


def _output(*command: str | Path) -> str:
    """What a command prints, stripped; empty if it fails or there is no such command."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
