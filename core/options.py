"""Options that come from the command line, before they reach what may not have them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import signature
from typing import Any

from core.errors import InputError

_NOT_OPTIONS = ("runtime", "name", "network", "path")  # they say what is made, and where it runs


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
