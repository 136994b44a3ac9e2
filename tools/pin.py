"""Pins all direct and indirect dependencies to the versions that resolve today, in pyproject.toml.

    uv run python -m tools.pin

The pins are constraints under [tool.uv], because a lock file would contain the address of the package index it was made
from. `uv run` uses them automatically, pip with `-c`: `python -m tools.pin --print > constraints.txt`.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"
_LIST = re.compile(r"^constraint-dependencies = \[\n.*?^\]\n", re.MULTILINE | re.DOTALL)


def resolved(pyproject: str) -> list[str]:
    """`name==version ; marker` of all dependencies of this pyproject.toml on any platform."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "pyproject.toml").write_text(_LIST.sub("", pyproject), encoding="utf-8")
        command = ["uv", "export", "--all-groups", "--all-extras", "--no-hashes", "--no-emit-project", "--no-annotate"]
        command += ["--no-header", "--project", folder]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [line for line in done.stdout.splitlines() if "==" in line]


def main() -> None:
    """Rewrite the list, or print it."""
    text = PYPROJECT.read_text(encoding="utf-8")
    if "--print" in sys.argv:
        print("\n".join(tomllib.loads(text)["tool"]["uv"]["constraint-dependencies"]))
        return
    lines = "".join(f'    "{line.strip()}",\n' for line in resolved(text))
    PYPROJECT.write_text(_LIST.sub(f"constraint-dependencies = [\n{lines}]\n", text), encoding="utf-8")


if __name__ == "__main__":
    main()
