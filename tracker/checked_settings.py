"""A dataclass of settings that checks its own fields: each value against its annotation, from Python and flags alike.

Share = Annotated[float, Range(0.0, 1.0)]

@dataclass(frozen=True, kw_only=True)
class Settings:
    min_score: Share = 0.5
    method: Literal["fast", "good"] = "good"

    def __post_init__(self) -> None:
        check_fields(self)
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache
from numbers import Real
from os import PathLike
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from posetrail.errors import InputError, unknown_name


@dataclass(frozen=True)
class Range:
    """Which numbers a field may have, both ends among them; stands in its annotation."""

    low: float
    high: float


_FINITE = Range(-sys.float_info.max, sys.float_info.max)


@dataclass(frozen=True)
class _Field:
    """What an annotation says of a field."""

    kind: type
    optional: bool = False
    choices: tuple[str, ...] = ()
    range: Range = _FINITE

    def checked(self, name: str, value: Any) -> Any:
        """The value as the field's own type: 2.0 is the whole number 2, text is a path.

        Raises:
            InputError: it is of another type, not finite, out of range or not among the choices.
        """
        if value is None and self.optional:
            return None
        if self.choices:
            if isinstance(value, str) and value in self.choices:
                return value
            raise unknown_name(name, str(value), self.choices)
        if self.kind is Path and isinstance(value, str | PathLike):
            return Path(value)
        if self.kind in (int, float):
            if self._is_number(value):
                return self.kind(value)
        elif isinstance(value, self.kind):
            return value
        raise InputError(f"{name}: expected {self._in_words()}, got {value!r}")

    def _is_number(self, value: Any) -> bool:
        """Whether it is a number in range, which NaN is not, and a whole one where that is asked for."""
        number = isinstance(value, Real) and not isinstance(value, bool)
        return number and self.range.low <= value <= self.range.high and (self.kind is float or value == int(value))

    def _in_words(self) -> str:
        named = {int: "a whole number", float: "a number", bool: "true or false", str: "text", Path: "a path"}
        words = named.get(self.kind, self.kind.__name__)
        if self.range is not _FINITE:
            words += f" from {self.range.low:g} to {self.range.high:g}"
        return f"{words}, or none" if self.optional else words


def check_fields(settings: Any) -> None:
    """Check every field of a frozen dataclass, and store each value as its field's own type.

    Raises:
        InputError: the first field whose value cannot be used: what was expected, what came.
    """
    for name, field in _fields(type(settings)).items():  # type: ignore[arg-type]  # mypy takes no class for hashable
        object.__setattr__(settings, name, field.checked(name, getattr(settings, name)))


@cache
def _fields(settings: type) -> dict[str, _Field]:
    return {name: _read(hint) for name, hint in get_type_hints(settings, include_extras=True).items()}


def _read(hint: Any) -> _Field:
    """An annotation: a class, a Literal, Annotated with a Range, or one of these or None."""
    limits, optional = _FINITE, False
    while (origin := get_origin(hint)) in (Annotated, Union, UnionType):
        if origin is Annotated:
            hint, *notes = get_args(hint)
            limits = next((note for note in notes if isinstance(note, Range)), limits)
        else:
            (hint,) = (each for each in get_args(hint) if each is not NoneType)
            optional = True
    if origin is Literal:
        return _Field(str, optional, choices=get_args(hint))
    return _Field(hint, optional, range=limits)
