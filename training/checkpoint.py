"""The checkpoint of a training: one file from which it continues, written whole or not at all.

A checkpoint holds tensors, numbers and text only, and is read without executing code in it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from posetrail.errors import InputError
from posetrail.files import written_whole

LAST = "last.pt"
FORMAT = 1


def save_checkpoint(folder: Path, content: dict[str, Any]) -> None:
    """Write the checkpoint of a folder."""
    with written_whole(folder / LAST) as beside, beside.open("wb") as file:
        torch.save(_canonical({"format": FORMAT, **content}), file)


def load_checkpoint(folder: Path, made_with: str) -> dict[str, Any] | None:
    """The content of a folder's checkpoint; None if there is none.

    Args:
        folder: of the training.
        made_with: text that describes everything that must be the same to continue.

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
    if content["made_with"] != made_with:
        raise InputError(
            f"{path}: is of a training with other settings or data; choose another output folder, or give --redo"
        )
    return content


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
