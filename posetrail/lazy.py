"""Things by name that are imported only when asked for: a table of networks costs nothing to read."""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False  # as typing has it, which takes longer to import than all that the command's start needs
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any


def lazily(module: str, name: str, **options: Any) -> Callable[[], Any]:
    """A function without arguments that imports `module`, calls its `name` with the options and gives what it made."""
    return lambda: getattr(import_module(module), name)(**options)


def names_from(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """A package's `__getattr__`: its public names come from the modules `homes` tells, imported when asked for."""

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(homes[name]), name)

    return get
