"""Things by name that are imported only when asked for: a table of networks costs nothing to read."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any


def lazily(module: str, name: str, **options: Any) -> Callable[[], Any]:
    """A function without arguments that imports `module`, calls its `name` with the options and gives what it made."""
    return lambda: getattr(import_module(module), name)(**options)
