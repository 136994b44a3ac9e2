"""Fields of JSON records as checked arrays: one fast pass; on a fault, a slow one that says where and what.

A file of poses is lists of records (frames, people, points). Every field becomes one array over all records, so a
file costs a few passes in C. What cannot be used is an InputError with file, record, field, what was wanted, what came.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain, islice
from reprlib import Repr
from typing import Any, NoReturn

import numpy as np

from posetrail.errors import InputError

# No image is a million pixels wide; a larger number is a fault in the file, and its square would overflow.
LARGEST_PX = 1e6
LARGEST_SCORE = 1e9
_LARGEST_ID = 2**53  # what survives the way through a float in other tools' JSON
_NUMBERS = {int, float}


_SHOWN = 60  # characters


class _Short(Repr):
    """`repr` of as much of a value as is shown: some are hundreds of megabytes, or nested deeper than `repr` can go."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 4
        self.maxlist = self.maxdict = _SHOWN // 2
        self.maxlong = self.maxother = 2 * _SHOWN

    def repr_str(self, x: str, level: int) -> str:
        """Its beginning; `Repr` would leave out the middle."""
        return repr(x[: 2 * _SHOWN])

    def repr_dict(self, x: dict[Any, Any], level: int) -> str:
        """In the file's order; `Repr` would sort the keys."""
        if level <= 0:
            return "{...}"
        pairs = islice(x.items(), self.maxdict)
        return f"{{{', '.join(f'{self.repr1(k, level - 1)}: {self.repr1(v, level - 1)}' for k, v in pairs)}}}"


_SHORT = _Short()


def shown(value: object) -> str:
    """A value from a file for an error line: short, on one line, harmless to a terminal."""
    text = _SHORT.repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


class Records:
    """The records of one list in a file, read a field at a time.

    Args:
        records: the list as it was parsed.
        where: says in words where record i stands, for error lines.

    Raises:
        InputError: from every method, when the field cannot be used.
    """

    def __init__(self, records: Sequence[Any], where: Callable[[int], str]) -> None:
        self.where = where
        self.records = records
        if not set(map(type, records)) <= {dict}:
            i = _first(type(record) is not dict for record in records)
            raise InputError(f"{where(i)}: wanted a record {{...}}, got {shown(records[i])}")

    def __len__(self) -> int:
        return len(self.records)

    def fail(self, i: int, key: str, wanted: str) -> NoReturn:
        """Stop: the field of record i is not what was wanted."""
        record = self.records[i]
        came = shown(record[key]) if key in record else "no such field"
        raise InputError(f"{self.where(i)}: {key!r}: wanted {wanted}, got {came}")

    def values(self, key: str) -> list[Any]:
        """The field as it stands, None where a record has none."""
        return [record.get(key) for record in self.records]

    def given(self, key: str, *, empty_counts: bool = False) -> np.ndarray:
        """(R,) bool: which records have the field, with something in it or (`empty_counts`) just an empty list."""
        return np.array([value is not None and (empty_counts or value != []) for value in self.values(key)], bool)

    def numbers(self, key: str, *, largest: float) -> np.ndarray:
        """(R,) float64; NaN where absent. A list of one number counts as that number, as 2017 files write it."""
        values = [_unwrapped(value) for value in self.values(key)]
        if set(map(type, values)) <= _NUMBERS:
            found = np.array(values, float)
        else:
            for i, value in enumerate(values):
                if value is not None and type(value) not in _NUMBERS:
                    self.fail(i, key, "a number")
            found = np.array([np.nan if value is None else float(value) for value in values], float)
        self._within(np.abs(found) > largest, key, largest)
        return found

    def integers(self, key: str, *, absent: int | None = None) -> np.ndarray:
        """(R,) int64; `absent` where the field is not there, or a fault when that is None."""
        values = [_unwrapped(value) for value in self.values(key)]
        for i, value in enumerate(values) if set(map(type, values)) != {int} else ():
            if value is None and absent is not None:
                values[i] = absent
            elif type(value) not in _NUMBERS or value != int(value):
                self.fail(i, key, "a whole number")
        for i, value in enumerate(values):
            if not -_LARGEST_ID <= value <= _LARGEST_ID:
                self.fail(i, key, "a whole number below 2**53")
        return np.array(values, np.int64)

    def flags(self, key: str, default: np.ndarray) -> np.ndarray:
        """(R,) bool; `default` (R,) where the field is not there."""
        out = default.copy()
        for i, value in enumerate(self.values(key)):
            value = _unwrapped(value)
            if value is not None:
                if type(value) not in {bool, int, float} or value not in (0, 1):
                    self.fail(i, key, "true or false")
                out[i] = bool(value)
        return out

    def rows(self, key: str, widths: Iterable[int], *, largest: float) -> tuple[np.ndarray, np.ndarray]:
        """Lists of numbers: (G, width) float64 and the records (G,) they belong to; absent and empty ones are left out.

        Args:
            key: the field.
            widths: lengths a list may have; all of one file have the same.
            largest: the largest size of a number that can be meant.
        """
        values = self.values(key)
        if not set(map(type, values)) <= {list, type(None)}:
            self.fail(_first(value is not None and type(value) is not list for value in values), key, "a list")
        given = np.flatnonzero([bool(value) for value in values])
        kept = [values[i] for i in given]
        widths = tuple(widths)
        width = len(kept[0]) if kept and len(kept[0]) in widths else widths[0]
        wanted = f"{' or '.join(map(str, widths))} numbers"
        if not set(map(len, kept)) <= {width}:
            self.fail(given[_first(len(row) != width for row in kept)], key, f"{wanted} (a list of {width})")
        if not set(map(type, chain.from_iterable(kept))) <= _NUMBERS:
            self.fail(given[_first(not set(map(type, row)) <= _NUMBERS for row in kept)], key, wanted)
        table = np.fromiter(chain.from_iterable(kept), float, len(kept) * width).reshape(-1, width)
        over = np.zeros(len(self), bool)
        over[given] = (np.abs(table) > largest).any(axis=1)
        self._within(over, key, largest)
        return table, given

    def children(
        self, key: str, where: Callable[[int, int], str], *, needed: bool = False
    ) -> tuple[Records, np.ndarray]:
        """Lists of records inside each record, end to end, and the record (C,) each belongs to.

        Args:
            key: the field.
            where: says in words where child i of record r stands.
            needed: every record has the field; otherwise absent means empty.
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
    """2017 files wrap every number in a list; an empty list says nothing."""
    if type(value) is list and len(value) < 2:
        return value[0] if value else None
    return value


def _first(wrong: Iterable[bool]) -> int:
    return next(i for i, is_wrong in enumerate(wrong) if is_wrong)
