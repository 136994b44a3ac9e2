"""The one exception that is the user's to mend: bad input, bad flag, missing file."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class InputError(ValueError):
    """Input that cannot be used. Its text is one line: what was wanted, what came, what to do. Exit code 2."""


def unknown_name(kind: str, name: str, known: Iterable[str]) -> InputError:
    """What to raise for a name nobody has: "unknown detector 'nanodt'; did you mean 'nanodet'? (known: nanodet)"."""
    known = list(known)
    close = get_close_matches(name, known, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return InputError(f"unknown {kind} {name!r}{hint} (known: {', '.join(known)})")
