"""Programs of other packages in processes and environments of their own, made by uv and removed with the process.

Their requirements conflict (one needs NumPy 1, one an old version of rich), so none of them is a dependency:
`uv run --isolated --with trackers==2.6.1` installs it when needed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self


@dataclass(eq=False)
class PeerProcess:
    """A program that replies to each line of JSON with one; it ends with `close`. A context manager.

    Raises:
        FileNotFoundError: uv is not there to make the environment.
    """

    packages: tuple[str, ...]  # requirements of its environment, the package itself first
    script: Path
    variables: Mapping[str, str] = field(default_factory=dict)  # of the environment of the process

    def __post_init__(self) -> None:
        if shutil.which("uv") is None:
            raise FileNotFoundError("expected the program uv, which makes its environment, got none; pip install uv")
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        packages = [flag for package in self.packages for flag in ("--with", package)]
        command = ["uv", "run", "--quiet", "--no-project", "--isolated", "--python", version, *packages, "python", "-W"]
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 closed with the process
        self._process = subprocess.Popen(
            [*command, "ignore", str(self.script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env={**os.environ, **self.variables},
        )

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The reply to a request.

        Raises:
            RuntimeError: the environment could not be made, or the program ended.
        """
        assert self._process.stdin
        assert self._process.stdout
        try:
            print(json.dumps(request), file=self._process.stdin, flush=True)
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            self._errors.seek(0)
            last_line = self._errors.read().strip().rpartition("\n")[2].strip()
            raise RuntimeError(f"{self.packages[0]} could not be installed, or its process ended: {last_line}")
        return json.loads(answer)

    def close(self) -> None:
        """End the process."""
        self._process.communicate()
        self._errors.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
