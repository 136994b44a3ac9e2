"""File names that are legal somewhere and awkward: control characters, bytes that are not UTF-8, reserved names."""

from __future__ import annotations

import os
from pathlib import Path

ODD_NAMES = (
    b"two  spaces.mp4",
    b"new\nline.mp4",
    b"quotes\"'`.mp4",
    b"-dash.mp4",
    b"--jobs.mp4",
    b"dot..mp4",
    b"semi;colon, comma.mp4",
    b"[red]markup[bold].mp4",
    b"\x1b[31mcolour.mp4",
    "\N{FAMILY}\N{PEDESTRIAN}\N{ZERO WIDTH JOINER}\N{MALE SIGN}.mp4".encode(),
    "e\N{COMBINING ACUTE ACCENT}.mp4".encode(),
    "\N{LATIN SMALL LETTER E WITH ACUTE}.mp4".encode(),
    "line\N{LINE SEPARATOR}separator.mp4".encode(),
    b"not UTF-8 \xff.mp4",
    b"not UTF-8 \xfe.mp4",
    b"n" * 251 + b".mp4",
    "\N{CJK UNIFIED IDEOGRAPH-8D70}".encode() * 83 + b".mp4",
    b"batch.mp4",
    b"batch.csv.mp4",
    b"Batch.1of2.mp4",
)


def write_odd_names(folder: Path) -> list[Path]:
    """Empty files; of those names that this file system takes."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name in ODD_NAMES:
        path = folder / os.fsdecode(name)
        try:
            path.touch(exist_ok=False)
        except (OSError, UnicodeError):
            continue
        written.append(path)
    return written
