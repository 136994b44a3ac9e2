"""Validation of dataclasses of settings: each value is checked against the annotation of its field.

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
    """The interval of numbers that a field may have, ends included; part of its annotation."""

    low: float
    high: float


_FINITE = Range(-sys.float_info.max, sys.float_info.max)


@dataclass(frozen=True)
class _Field:
    """The type and the allowed values of a field, from its annotation."""

    kind: type
    optional: bool = False
    choices: tuple[str, ...] = ()
    range: Range = _FINITE

    def checked(self, name: str, value: Any) -> Any:
        """The value, converted to the field's type: 2.0 becomes the whole number 2, text becomes a path.

        Raises:
            InputError: the value is of another type, not finite, out of range or not among the choices.
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
        """Whether the value is a number in range (NaN is not), and a whole number where the field is an int."""
        number = isinstance(value, Real) and not isinstance(value, bool)
        return number and self.range.low <= value <= self.range.high and (self.kind is float or value == int(value))

    def _in_words(self) -> str:
        named = {int: "a whole number", float: "a number", bool: "true or false", str: "text", Path: "a path"}
        words = named.get(self.kind, self.kind.__name__)
        if self.range is not _FINITE:
            words += f" from {self.range.low:g} to {self.range.high:g}"
        return f"{words}, or none" if self.optional else words


def check_fields(settings: Any) -> None:
    """Check every field of a frozen dataclass, and store each value as its field's type.

    Raises:
        InputError: a value cannot be used; the message names the field, what was expected and what was given.
    """
    for name, field in _fields(type(settings)).items():  # type: ignore[arg-type]  # mypy does not accept a class as hashable
        object.__setattr__(settings, name, field.checked(name, getattr(settings, name)))


@cache
def _fields(settings: type) -> dict[str, _Field]:
    return {name: _read(hint) for name, hint in get_type_hints(settings, include_extras=True).items()}


def _read(hint: Any) -> _Field:
    """Read an annotation: a class, a Literal, Annotated with a Range, or one of these or None."""
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
