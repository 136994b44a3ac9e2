"""Options that come from the command line, before they reach what may not have them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import signature
from pathlib import Path
from typing import Any

from posetrail.errors import InputError

_NOT_OPTIONS = ("runtime", "name", "network", "path")  # they say what is made, and where it runs
ONNX_PREFIX = "onnx:"
"""What may stand before the path of an ONNX file, where the name of a network is expected."""


def onnx_path(name: str) -> Path | None:
    """The path of an ONNX file, given where the name of a network is expected; None if it is a name.

    >>> onnx_path("onnx:rtmpose-m.onnx"), onnx_path("models/rtmpose-m.onnx"), onnx_path("rtmpose_m")
    (PosixPath('rtmpose-m.onnx'), PosixPath('models/rtmpose-m.onnx'), None)
    """
    if name.startswith(ONNX_PREFIX):
        return Path(name.removeprefix(ONNX_PREFIX))
    return Path(name) if name.lower().endswith(".onnx") else None


def suited(options: Mapping[str, Any], make: Callable[..., Any], name: str) -> dict[str, Any]:
    """The options that `make` takes; one of None that it does not take asks for nothing and is left out.

    Args:
        options: by name.
        make: a class or a function.
        name: of what is made, for the error.

    Raises:
        InputError: an option that it does not take.
    """
    known = signature(make).parameters
    for option, value in options.items():
        if option not in known and value is not None:
            takes = ", ".join(each for each in known if each not in _NOT_OPTIONS) or "none"
            raise InputError(f"{name} has no option {option} (its options: {takes})")
    return {option: value for option, value in options.items() if option in known}
