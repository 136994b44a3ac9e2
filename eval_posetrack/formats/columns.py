"""Reads fields of JSON records as checked arrays: a fast pass, and a slow one that locates an error if there is one.

A file of poses consists of lists of records (frames, people, points). Each field becomes one array over all records, in
a few passes of C code. Values that cannot be used raise an InputError that names file, record, field, the expected and
the given value.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import chain, islice
from reprlib import Repr
from typing import Any, NoReturn

import numpy as np

from posetrail.errors import InputError

# No image is a million pixels wide: a larger number is an error in the file.
LARGEST_PX = 1e6
LARGEST_SCORE = 1e9
_LARGEST_ID = 2**53  # larger integers are not exact as floats, which other tools write
_NUMBERS = {int, float}


_SHOWN = 60  # characters


class _Short(Repr):
    """`repr` of only what is shown of a value: some are hundreds of megabytes, or nested deeper than `repr` can go."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 4
        self.maxlist = self.maxdict = _SHOWN // 2
        self.maxlong = self.maxother = 2 * _SHOWN

    def repr_str(self, x: str, level: int) -> str:
        """The beginning; `Repr` would leave out the middle."""
        return repr(x[: 2 * _SHOWN])

    def repr_dict(self, x: dict[Any, Any], level: int) -> str:
        """Keys in the file's order; `Repr` would sort them."""
        if level <= 0:
            return "{...}"
        pairs = islice(x.items(), self.maxdict)
        return f"{{{', '.join(f'{self.repr1(k, level - 1)}: {self.repr1(v, level - 1)}' for k, v in pairs)}}}"


_SHORT = _Short()


def shown(value: object) -> str:
    """A value from a file for an error message: short, on one line, without control characters."""
    text = _SHORT.repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


class Records:
    """The records of one list in a file, read field by field.

    Args:
        records: the parsed list.
        where: describes the place of record i, for error messages.

    Raises:
        InputError: from every method, if the field cannot be used.
    """

    def __init__(self, records: Sequence[Any], where: Callable[[int], str]) -> None:
        self.where = where
        self.records = records
        if not set(map(type, records)) <= {dict}:
            i = _first(type(record) is not dict for record in records)
            raise InputError(f"{where(i)}: expected a record {{...}}, got {shown(records[i])}")

    def __len__(self) -> int:
        return len(self.records)

    def fail(self, i: int, key: str, expected: str) -> NoReturn:
        """Raise an InputError: the field of record i is not what was expected."""
        record = self.records[i]
        given = shown(record[key]) if key in record else "no such field"
        raise InputError(f"{self.where(i)}: {key!r}: expected {expected}, got {given}")

    def values(self, key: str) -> list[Any]:
        """The field of each record as parsed, None where there is none."""
        return [record.get(key) for record in self.records]

    def given(self, key: str, *, empty_counts: bool = False) -> np.ndarray:
        """(R,) bool: which records have the field; an empty list counts only with `empty_counts`."""
        return np.array([value is not None and (empty_counts or value != []) for value in self.values(key)], bool)

    def numbers(self, key: str, *, largest: float) -> np.ndarray:
        """(R,) float64, NaN where absent. A list of one number counts as that number, as in 2017 files."""
        values = [_unwrapped(value) for value in self.values(key)]
        if set(map(type, values)) <= _NUMBERS:
            table = np.array(values, float)
        else:
            for i, value in enumerate(values):
                if value is not None and type(value) not in _NUMBERS:
                    self.fail(i, key, "a number")
            table = np.array([np.nan if value is None else float(value) for value in values], float)
        self._within(np.abs(table) > largest, key, largest)
        return table

    def integers(self, key: str, *, absent: int | None = None) -> np.ndarray:
        """(R,) int64; `absent` where the field is missing, which is an error if `absent` is None."""
        values = [_unwrapped(value) for value in self.values(key)]
        for i, value in enumerate(values) if set(map(type, values)) != {int} else ():
            if value is None and absent is not None:
                values[i] = absent
            elif type(value) not in _NUMBERS or not math.isfinite(value) or value != int(value):
                self.fail(i, key, "a whole number")
        for i, value in enumerate(values):
            if not -_LARGEST_ID <= value <= _LARGEST_ID:
                self.fail(i, key, "a whole number below 2**53")
        return np.array(values, np.int64)

    def flags(self, key: str, default: np.ndarray) -> np.ndarray:
        """(R,) bool; `default` (R,) where the field is missing."""
        out = default.copy()
        for i, value in enumerate(self.values(key)):
            value = _unwrapped(value)
            if value is not None:
                if type(value) not in {bool, int, float} or value not in (0, 1):
                    self.fail(i, key, "true or false")
                out[i] = bool(value)
        return out

    def rows(self, key: str, widths: Iterable[int], *, largest: float) -> tuple[np.ndarray, np.ndarray]:
        """Lists of numbers: (G, width) float64 and the records (G,) they belong to, without missing and empty ones.

        Args:
            key: the field.
            widths: permitted lengths; all lists of a file have the same.
            largest: the largest plausible absolute value.
        """
        values = self.values(key)
        if not set(map(type, values)) <= {list, type(None)}:
            self.fail(_first(value is not None and type(value) is not list for value in values), key, "a list")
        given = np.flatnonzero([bool(value) for value in values])
        kept = [values[i] for i in given]
        widths = tuple(widths)
        width = len(kept[0]) if kept and len(kept[0]) in widths else widths[0]
        expected = f"{' or '.join(map(str, widths))} numbers"
        if not set(map(len, kept)) <= {width}:
            self.fail(given[_first(len(row) != width for row in kept)], key, f"{expected} (a list of {width})")
        if not set(map(type, chain.from_iterable(kept))) <= _NUMBERS:
            self.fail(given[_first(not set(map(type, row)) <= _NUMBERS for row in kept)], key, expected)
        table = np.fromiter(chain.from_iterable(kept), float, len(kept) * width).reshape(-1, width)
        over = np.zeros(len(self), bool)
        over[given] = (np.abs(table) > largest).any(axis=1)
        self._within(over, key, largest)
        return table, given

    def children(
        self, key: str, where: Callable[[int, int], str], *, needed: bool = False
    ) -> tuple[Records, np.ndarray]:
        """Lists of records inside each record, concatenated, and the record (C,) that each belongs to.

        Args:
            key: the field.
            where: describes the place of child i of record r.
            needed: every record must have the field; otherwise a missing one counts as empty.
        """
        values = self.values(key)
        allowed = {list} if needed else {list, type(None)}
        if not set(map(type, values)) <= allowed:
            self.fail(_first(type(value) not in allowed for value in values), key, "a list")
        counts = np.array([len(value or ()) for value in values], int)
        owners = np.repeat(np.arange(len(self)), counts)
        starts = np.cumsum(counts) - counts
        everything = list(chain.from_iterable(value or () for value in values))
        return Records(everything, lambda i: where(int(owners[i]), int(i - starts[owners[i]]))), owners

    def _within(self, over: np.ndarray, key: str, largest: float) -> None:
        if over.any():
            self.fail(int(over.argmax()), key, f"no number beyond {largest:g}")


def _unwrapped(value: Any) -> Any:
    """2017 files wrap every number in a list; an empty list counts as missing."""
    if type(value) is list and len(value) < 2:
        return value[0] if value else None
    return value


def _first(wrong: Iterable[bool]) -> int:
    return next(i for i, is_wrong in enumerate(wrong) if is_wrong)
