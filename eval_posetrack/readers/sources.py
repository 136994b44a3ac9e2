"""Reads files of other tools as Python values, and fields that several of their formats share."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from eval_posetrack.formats.columns import LARGEST_PX, Records, shown
from posetrail.errors import InputError

_LARGEST_ID = 2**53


def read_bytes(path: Path) -> bytes:
    """The file's content.

    Raises:
        InputError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error


def read_json(path: Path) -> Any:
    """The content of a JSON file; NaN, which Python writes although it is not JSON, is a missing number.

    Raises:
        InputError: the file cannot be read or is not JSON.
    """
    data = read_bytes(path)
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        if b"NaN" not in data:
            raise InputError(f"{path}: expected JSON, got {error}") from error
    try:
        return json.loads(data.decode(), parse_constant=_only_nan, parse_int=_number)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: expected JSON, got {error}") from error


def _only_nan(name: str) -> float:
    if name != "NaN":
        raise ValueError(f"the number {name}")
    return float("nan")


def _number(digits: str) -> int | float:
    return int(digits) if len(digits) < 20 else float(digits)


def read_text(path: Path) -> str:
    """The file as UTF-8 text.

    Raises:
        InputError: it cannot be read or is not text.
    """
    try:
        return read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: expected text in UTF-8, got byte {error.start} ({error.reason})") from error


def files_of(path: Path, suffixes: Iterable[str], what: str) -> list[Path]:
    """The file itself, or all such files of a folder in natural order, one for each clip.

    Raises:
        InputError: there is no such file.
    """
    if path.is_file():
        return [path]
    suffixes = tuple(suffixes)
    files = [file for file in path.iterdir() if file.name.lower().endswith(suffixes)] if path.is_dir() else []
    if not files:
        raise InputError(f"{path}: expected {what} ({', '.join(suffixes)}) or a folder of them, got none")
    return sorted(files, key=lambda file: natural(file.name))


def natural(name: str) -> tuple[Any, ...]:
    """A key that sorts frame_2 before frame_10."""
    parts = re.split(r"([0-9]+)", name)
    digits = (part.lstrip("0") for part in parts[1::2])
    return parts[0], tuple(zip(((len(d), d) for d in digits), parts[2::2], strict=True)), name


def joints_of(records: Records, key: str, widths: Iterable[int]) -> tuple[np.ndarray, np.ndarray]:
    """Lists x y score x y score ... as keypoints (P, K, 2) and scores (P, K), NaN where missing.

    A joint at 0, 0 is missing whatever its score, because some tools keep scores of joints that they leave out.

    Args:
        records: the people.
        key: the field.
        widths: permitted lengths of the lists; all people of a file have the same.
    """
    table, given = records.rows(key, widths, largest=LARGEST_PX)
    slots = np.full((len(records), table.shape[1] // 3, 3), np.nan)
    slots[given] = table.reshape(-1, slots.shape[1], 3)
    return without_missing(slots[:, :, :2], slots[:, :, 2])


def without_missing(keypoints: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The joints with NaN for those at 0, 0 and for those that lack a coordinate."""
    missing = (keypoints == 0).all(axis=2) | np.isnan(keypoints).any(axis=2)
    return np.where(missing[:, :, None], np.nan, keypoints), np.where(missing, np.nan, scores)


def boxes_of(records: Records, key: str, *, corners: bool) -> np.ndarray:
    """Boxes as (P, 4) x1 y1 x2 y2, NaN where not given.

    Args:
        records: the people.
        key: the field.
        corners: the field is x1 y1 x2 y2, not x y width height.
    """
    table, given = records.rows(key, [4], largest=LARGEST_PX)
    ends = table[:, 2:] if corners else table[:, :2] + table[:, 2:]
    negative = (ends < table[:, :2]).any(axis=1)
    if negative.any():
        expected = "x1 y1 x2 y2 with x1 <= x2 and y1 <= y2" if corners else "x y width height, with no negative size"
        records.fail(int(given[negative.argmax()]), key, expected)
    boxes = np.full((len(records), 4), np.nan)
    boxes[given] = np.concatenate([table[:, :2], ends], axis=1)
    boxes[np.isnan(boxes).any(axis=1)] = np.nan
    return boxes


def whole_numbers(records: Records, key: str, *, lowest: int = 0, absent: int | None = None) -> np.ndarray:
    """(P,) int64. A list of one number counts as that number, an empty one as missing.

    Args:
        records: the people, or images.
        key: the field.
        lowest: the smallest permitted number.
        absent: the value for missing numbers; if None, every record must have one.
    """
    out = np.zeros(len(records), np.int64)
    for i, value in enumerate(records.values(key)):
        while type(value) is list and len(value) < 2:
            value = value[0] if value else None
        if value is None and absent is not None:
            value = absent
        if type(value) not in (int, float) or not lowest <= value <= _LARGEST_ID or value != int(value):
            records.fail(i, key, f"a whole number of at least {lowest}")
        out[i] = int(value)
    return out


def track_ids_of(records: Records, key: str) -> np.ndarray:
    """(P,) int64 track ids, -1 where there is none."""
    return whole_numbers(records, key, lowest=-1, absent=-1)


def first_length(records: Records, key: str) -> int | None:
    """The length of the first list that is not empty; None if there is none."""
    return next((len(value) for value in records.values(key) if isinstance(value, list) and value), None)


def file_name(value: str) -> str:
    """The last part of a path, with the separators of any system."""
    return value.replace("\\", "/").rstrip("/").rpartition("/")[2]


def needed_list(path: Path, content: Any, what: str) -> list[Any]:
    """The content, which must be a list."""
    if not isinstance(content, list):
        raise InputError(f"{path}: expected a list of {what}, got {shown(content)}")
    return content
