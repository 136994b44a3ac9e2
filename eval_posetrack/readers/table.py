"""Reads numbers from CSV files; errors name the line and the column of a cell that is not a number."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from eval_posetrack.formats.columns import shown
from eval_posetrack.readers.sources import read_text
from posetrail.errors import InputError


def read_rows(path: Path) -> list[list[str]]:
    """The lines of a CSV file, all with as many cells as the first; empty lines at the end are ignored.

    Raises:
        InputError: the file cannot be read, or its lines differ in length.
    """
    try:
        rows = list(csv.reader(read_text(path).splitlines(), strict=True))
    except csv.Error as error:
        raise InputError(f"{path}: expected CSV, got {error}") from error
    while rows and not any(rows[-1]):
        rows.pop()
    for i, row in enumerate(rows):
        if len(row) != len(rows[0]):
            raise InputError(f"{path}: line {i + 1}: expected {len(rows[0])} cells as in line 1, got {len(row)}")
    return rows


def numbers(
    rows: Sequence[Sequence[str]], columns: Sequence[int], where: Path, *, first_line: int, largest: float
) -> np.ndarray:
    """(R, C) float64: the numbers in these columns, NaN for empty cells.

    Args:
        rows: (R,) lines without the header.
        columns: (C,) indices of cells.
        where: the file, for error messages.
        first_line: the number in the file of the first of `rows`, counted from 1.
        largest: the largest plausible absolute value.
    """
    cells = [[row[c].strip() or "nan" for c in columns] for row in rows]
    try:
        if any("_" in cell for row in cells for cell in row):  # Python reads 1_0 as 10
            raise ValueError
        table = np.array(cells, float).reshape(len(rows), len(columns))
        if (np.abs(table) > largest).any():
            raise ValueError
    except ValueError:
        for i, row in enumerate(cells):
            for c, cell in zip(columns, row, strict=True):
                if not _is_fine(cell, largest):
                    raise InputError(
                        f"{where}: line {first_line + i}, column {c + 1}: expected a number up to {largest:g}, "
                        f"got {shown(cell)}"
                    ) from None
        raise
    return table


def frame_numbers(
    rows: Sequence[Sequence[str]], column: int, where: Path, *, first_line: int, largest: int
) -> np.ndarray:
    """(R,) int64: frame numbers from 0 to below `largest`."""
    for i, row in enumerate(rows):
        cell = row[column].strip()
        if not (cell.isascii() and cell.isdecimal() and len(cell) < 16 and int(cell) < largest):
            raise InputError(
                f"{where}: line {first_line + i}, column {column + 1}: expected a frame number below {largest}, "
                f"got {shown(cell)}"
            )
    return np.array([int(row[column]) for row in rows], np.int64)


def _is_fine(cell: str, largest: float) -> bool:
    try:
        return "_" not in cell and not abs(float(cell)) > largest
    except ValueError:
        return False
