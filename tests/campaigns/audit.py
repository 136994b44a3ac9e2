"""Which paths a Python process opens and changes: noted in a file, one a line, as WORD PATH.

Only what goes through Python is seen; what C++ libraries write beside it, the sandbox sees by looking at its folders
before and after.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

_CHANGES = {"os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "shutil.rmtree"}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


def install(notes: Path) -> None:
    """Note everything that this process and those forked from it do from now on."""
    file = os.open(notes, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, mode, flags = arguments
            if isinstance(path, int) or path is None or (mode is None and not os.path.isabs(path)):  # noqa: PTH117
                return  # a file that is open already, or a name within a folder that is
            word = "writes" if flags & _WRITING else "reads"
            paths = [path]
        elif event in _CHANGES:
            word, paths = "changes", [each for each in arguments[:2] if isinstance(each, (str, bytes, os.PathLike))]
            if any(isinstance(each, int) and each >= 0 for each in arguments[1:]):
                return  # names within a folder that is open: rmtree's, whose own event tells which
        else:
            return
        for path in paths:
            os.write(file, f"{word} ".encode() + os.path.abspath(os.fsencode(path)) + b"\n")  # noqa: PTH100

    sys.addaudithook(hook)
