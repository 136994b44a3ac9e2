"""Names of networks that contain the path of a file, and options checked against what a network takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import signature
from pathlib import Path
from typing import Any

from posetrail.errors import InputError

_NOT_OPTIONS = ("runtime", "name", "network", "path", "file")  # set by the code that creates a network, not by users
ONNX_PREFIX = "onnx:"
"""Stands before the path of an ONNX file in place of the name of a network."""
BOXES_PREFIX = "boxes:"
"""Stands before the path of a file of boxes in place of the name of a detector."""


def onnx_path(name: str) -> Path | None:
    """The path of an ONNX file given in place of the name of a network; None for a name.

    >>> onnx_path("onnx:rtmpose-m.onnx"), onnx_path("models/rtmpose-m.onnx"), onnx_path("rtmpose_m")
    (PosixPath('rtmpose-m.onnx'), PosixPath('models/rtmpose-m.onnx'), None)
    """
    if name.startswith(ONNX_PREFIX):
        return Path(name.removeprefix(ONNX_PREFIX))
    return Path(name) if name.lower().endswith(".onnx") else None


def boxes_path(name: str) -> Path | None:
    """The path of a file of boxes given in place of the name of a detector; None for a name.

    >>> boxes_path("boxes:det.txt"), boxes_path("nanodet")
    (PosixPath('det.txt'), None)
    """
    return Path(name.removeprefix(BOXES_PREFIX)) if name.startswith(BOXES_PREFIX) else None


def file_in_name(name: str) -> tuple[str, Path] | None:
    """The prefix and the path in a name like "onnx:FILE" or "boxes:FILE"; None for other names."""
    if path := onnx_path(name):
        return ONNX_PREFIX, path
    if path := boxes_path(name):
        return BOXES_PREFIX, path
    return None


def suited(options: Mapping[str, Any], make: Callable[..., Any], name: str) -> dict[str, Any]:
    """The options that `make` takes; an option of None that it does not take is left out.

    Args:
        options: by name.
        make: a class or function.
        name: what is made, for the error message.

    Raises:
        InputError: an option that it does not take has a value.
    """
    known = signature(make).parameters
    for option, value in options.items():
        if option not in known and value is not None:
            takes = ", ".join(each for each in known if each not in _NOT_OPTIONS) or "none"
            raise InputError(f"{name} has no option {option} (its options: {takes})")
    return {option: value for option, value in options.items() if option in known}
