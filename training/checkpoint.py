"""The checkpoint of a training: one file from which it continues, written whole or not at all.

A checkpoint holds tensors, numbers and text only, and is read without executing code in it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from posetrail.errors import InputError
from posetrail.files import written_whole

LAST = "last.pt"
FORMAT = 2
_MOST_SHOWN = 40  # characters of two values in a message


def save_checkpoint(folder: Path, content: dict[str, Any]) -> None:
    """Write the checkpoint of a folder.

    Raises:
        InputError: it cannot be written, as on a full disc; the checkpoint before it stays.
    """
    path = folder / LAST
    try:
        with written_whole(path) as beside, beside.open("wb") as file:
            torch.save(_canonical({"format": FORMAT, **content}), file)
    except (OSError, RuntimeError) as error:  # torch reports a short write as a RuntimeError
        reason = _os_error(error)
        raise InputError(
            f"{path}: cannot be written ({reason}); the checkpoint before it is kept: make room, or give other rights, "
            "and start the same command again"
        ) from None


def _os_error(error: BaseException) -> str:
    """The reason that the operating system gave for an error, or the first line of its text."""
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, OSError) and found.strerror:
            return found.strerror
        found = found.__cause__ or found.__context__
    return str(error).partition("\n")[0]


def load_checkpoint(folder: Path, made_with: Mapping[str, str]) -> dict[str, Any] | None:
    """The content of a folder's checkpoint; None if there is none.

    Args:
        folder: of the training.
        made_with: everything that must be the same to continue, by name.

    Raises:
        InputError: the file is damaged, or of a training with other settings or data.
    """
    path = folder / LAST
    if not path.is_file():
        return None
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        if content["format"] != FORMAT:
            raise KeyError(FORMAT)
    except (UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError, TypeError) as error:
        first_line = str(error).partition("\n")[0]
        raise InputError(
            f"{path}: expected the checkpoint of a training, got a damaged or other file ({first_line}); remove it to "
            "start again"
        ) from None
    if changed := _changes(content["made_with"], made_with):
        raise InputError(
            f"{path}: is of a training with other settings or data: {changed}; give those again, choose another output "
            "folder, or give --redo to start again"
        )
    return content


def _changes(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """The names of what changed, with both values where they are short; empty if nothing did."""
    changes = []
    for name in dict.fromkeys([*before, *now]):
        old, new = before.get(name, "none"), now.get(name, "none")
        if old != new:
            is_short = len(old) + len(new) <= _MOST_SHOWN
            changes.append(f"{name} (was {old}, now {new})" if is_short else name)
    return ", ".join(changes)


def _canonical(content: Any) -> Any:
    """The content with equal strings as one object, because pickle writes an object that it knows in another way.

    Otherwise the bytes of a checkpoint would depend on whether the training was resumed.
    """
    if isinstance(content, str):
        return sys.intern(str(content))
    if isinstance(content, dict):
        return {_canonical(key): _canonical(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return type(content)(_canonical(each) for each in content)
    return content
