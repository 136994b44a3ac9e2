"""Checks of the path and of the part of a clip that a user gives."""

from __future__ import annotations

import math
from pathlib import Path

from posetrail.errors import InputError


def check_part(start_s: float | None, end_s: float | None, stride: int, fps: float | None) -> None:
    """Raise an InputError unless these arguments of `open_source` select a part of a clip."""
    for name, value in (("start", start_s), ("end", end_s)):
        if value is not None and not (math.isfinite(value) and value >= 0):
            raise InputError(f"{name}: expected seconds from the start of the clip, 0 or more, got {value}")
    if end_s is not None and end_s <= (start_s or 0):
        raise InputError(f"end: expected a time after start, got start {start_s or 0} s and end {end_s} s")
    if stride < 1 or stride != int(stride):
        raise InputError(f"stride: expected a whole number, 1 or more, got {stride}")
    if fps is not None and not (math.isfinite(fps) and fps > 0):
        raise InputError(f"fps: expected frames per second, more than 0, got {fps}")


def check_readable(path: Path) -> None:
    """Raise an InputError unless the path is a file that can be read and is not empty."""
    if path.is_symlink() and not path.exists():
        raise InputError(f"{path}: a link to {path.readlink()}, which does not exist; repair or remove it")
    if not path.exists():
        raise InputError(f"{path}: no such file or folder; check the path")
    if not path.is_file():
        raise InputError(f"{path}: neither a file nor a folder; give a video file, a folder of images or a glob")
    if not path.stat().st_size:
        raise InputError(f"{path}: the file is empty; copy or download it again")
    try:
        path.open("rb").close()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check its permissions") from None


def check_start(path: Path, start_s: float, length_s: float) -> None:
    """Raise an InputError if a clip of this length ends before its start."""
    if start_s >= length_s:
        raise InputError(f"{path}: start {start_s} s is beyond the end; the clip is {length_s:.2f} s long")
