"""Nested frozen dataclasses from JSON: every value is checked against the annotation of its field.

An annotation is a dataclass, `str`, `int` (0 or more), `float`, `bool`, a Literal of strings, `dict[str, Any]`,
`dict[str, str]`, `tuple[T, ...]` (a JSON list), `T | None`, a union of dataclasses that differ in a Literal field
`kind`, or `Annotated[T, Check(...)]`. Fields with a default may be missing; unknown keys are ignored.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

_LARGEST_NUMBER = 1e15
_SHOWN = 40  # characters of a wrong value in an error line
_SCALARS: dict[Any, Callable[[Any], bool]] = {
    str: lambda value: isinstance(value, str),
    bool: lambda value: isinstance(value, bool),
    int: lambda value: type(value) is int and 0 <= value < _LARGEST_NUMBER,
    float: lambda value: type(value) in (int, float) and abs(value) < _LARGEST_NUMBER,
    Any: lambda value: True,
}

T = TypeVar("T")


@dataclass(frozen=True)
class Check:
    """A condition on a value beyond its type; stands in the annotation of a field."""

    holds: Callable[[Any], bool]


def from_json(kind: type[T], value: Any) -> T:
    """A dataclass from the value that `json.loads` returned.

    Raises:
        ValueError: a value is missing or has another type than its field; one line without the file's name.
    """
    made: T = _parsed(kind, value, "it")
    return made


def _parsed(hint: Any, value: Any, name: str) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        parsed = _parsed(arguments[0], value, name)
        if all(check.holds(parsed) for check in arguments[1:] if isinstance(check, Check)):
            return parsed
    elif origin in (Union, UnionType):
        return _parsed_union(arguments, value, name)
    elif origin is Literal:
        if isinstance(value, str) and value in arguments:
            return value
    elif origin is tuple:
        if isinstance(value, list):
            return tuple(_parsed(arguments[0], each, name) for each in value)
    elif origin is dict:
        if isinstance(value, dict):
            return {key: _parsed(arguments[1], each, name) for key, each in value.items()}
    elif is_dataclass(hint):
        if isinstance(value, dict):
            return _parsed_record(hint, value)
    elif _SCALARS[hint](value):
        return value
    raise ValueError(f"{name} cannot be {str(value)[:_SHOWN]!r}")


def _parsed_union(options: tuple[Any, ...], value: Any, name: str) -> Any:
    if value is None and NoneType in options:
        return None
    kinds = [option for option in options if option is not NoneType]
    if len(kinds) > 1:
        if not isinstance(value, dict):
            raise ValueError(f"{name} cannot be {str(value)[:_SHOWN]!r}")
        if "kind" not in value:
            raise ValueError("has no 'kind'")
        kinds = [each for each in kinds if value["kind"] in get_args(_hints(each)["kind"])]
        if not kinds:
            raise ValueError(f"'kind' cannot be {str(value['kind'])[:_SHOWN]!r}")
    return _parsed(kinds[0], value, name)


def _parsed_record(kind: Any, value: dict[str, Any]) -> Any:
    for field in fields(kind):
        if field.name not in value and _is_required(field):
            raise ValueError(f"has no {field.name!r}")
    hints = _hints(kind)
    return kind(**{name: _parsed(hint, value[name], repr(name)) for name, hint in hints.items() if name in value})


def _is_required(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)
