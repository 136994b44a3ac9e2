"""The exception for problems that a user can solve: unusable input, a wrong flag, a missing file."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class InputError(ValueError):
    """Input or a setting cannot be used. The message is one line: what was expected, what was given, what to do.

    The command line prints it and ends with exit code 2.
    """


def unknown_name(kind: str, name: str, known: Iterable[str]) -> InputError:
    """The error for an unknown name: "unknown detector 'nanodt'; did you mean 'nanodet'? (known: nanodet)"."""
    known = list(known)
    close = get_close_matches(name, known, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return InputError(f"unknown {kind} {name!r}{hint} (known: {', '.join(known)})")
