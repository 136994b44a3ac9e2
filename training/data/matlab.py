"""Reads MATLAB files of annotations, and their structures as checked Python values."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import loadmat

from eval_posetrack.formats.columns import shown
from eval_posetrack.readers.sources import read_bytes
from posetrail.errors import InputError


def read_mat(path: Path) -> dict[str, Any]:
    """The variables of a file by name; arrays keep all of their axes.

    Files that were cut off are refused. Other damage can crash scipy's reader: read files of data sets only.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        content = loadmat(BytesIO(read_bytes(path)))  # type: ignore[arg-type]  # its stubs know paths only
    except InputError:
        raise
    except NotImplementedError as error:  # HDF5
        raise InputError(f"{path}: expected a MATLAB file up to version 7, got 7.3; save it with -v7") from error
    except Exception as error:  # scipy raises many kinds for damaged files
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path}: cannot be read as a MATLAB file ({reason}); is it complete?") from error
    return {name: value for name, value in content.items() if not name.startswith("__")}


def variable(path: Path, content: Any, name: str) -> Any:
    """A variable of a parsed file.

    Raises:
        InputError: there is none of this name.
    """
    if not isinstance(content, dict) or name not in content:
        given = ", ".join(map(str, content)) if isinstance(content, dict) else shown(content)
        raise InputError(f"{path}: expected the variable {name!r}, got {shown(given)}")
    return content[name]


def structures(where: str, value: Any, needed: Sequence[str] = ()) -> list[dict[str, Any]]:
    """The elements of an array of structures as dictionaries; an empty array is an empty list.

    Args:
        where: the place in the file, for error messages.
        value: as `read_mat` returns it.
        needed: fields that must exist.

    Raises:
        InputError: it is something else.
    """
    if not isinstance(value, np.ndarray) or (value.size and not value.dtype.names):
        raise InputError(f"{where}: expected structures, got {described(value)}")
    if value.size == 0:
        return []
    names = value.dtype.names or ()
    if missing := [name for name in needed if name not in names]:
        raise InputError(f"{where}: expected the field {missing[0]!r}, got {', '.join(names)}")
    return [{name: element[name] for name in names} for element in value.ravel()]


def numbers(where: str, value: Any, count: int) -> np.ndarray:
    """(count,) float64.

    Raises:
        InputError: it has another size or is no number.
    """
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "biuf" or value.size != count:
        raise InputError(
            f"{where}: expected {'a number' if count == 1 else f'{count} numbers'}, got {described(value)}"
        )
    flat = value.astype(float).ravel()
    if not np.isfinite(flat).all():
        raise InputError(
            f"{where}: expected {'a number' if count == 1 else f'{count} numbers'}, got {shown(flat.tolist())}"
        )
    return flat


def text(where: str, value: Any) -> str:
    """A string.

    Raises:
        InputError: it is none.
    """
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "UO" or value.size != 1:
        raise InputError(f"{where}: expected text, got {described(value)}")
    element = value.ravel()[0]
    return element if isinstance(element, str) else text(where, element)


def is_empty(value: Any) -> bool:
    """Whether a field has no value."""
    return value is None or (isinstance(value, np.ndarray) and value.size == 0)


def described(value: Any) -> str:
    """A value for an error message, on one line: the shape of an array, or its values if it has at most four."""
    if not isinstance(value, np.ndarray):
        return shown(value)
    if value.dtype.names:
        return f"structures with {', '.join(value.dtype.names)}"
    if 0 < value.size <= 4 and value.dtype.kind in "biufU":
        return shown(value.ravel().tolist())
    return f"an array of the shape {value.shape}"
