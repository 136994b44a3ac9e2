"""Names that come from files and from other people's folders: what they may name, decided here and nowhere else.

Two questions, a function each. `safe_name`: what is a folder or file of ours called after this text? `below`: may this
name, read in a file, be opened? A link inside a folder of the user's is followed, wherever it leads, because the user
made it; a name in a file never climbs out.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from posetrail.errors import InputError

_LONGEST_NAME = 120  # bytes; file systems take 255, and files are written beside under longer names
_NOT_IN_NAMES = frozenset('/\\:*?"<>|')
# Windows opens a device under these names, whatever their ending.
_DEVICE = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|clock\$|(com|lpt)[0-9¹²³])\s*(\..*)?", re.IGNORECASE | re.DOTALL
)
_DRIVE = re.compile(r"[a-zA-Z]:")


def safe_name(text: str) -> str:
    """One path component after any text, as every file system takes it: never empty, hidden, `..`, or a device.

    Characters that some system refuses become _, dots and spaces at either end go, and where the name is too long a
    hash takes the place of its middle. A safe name stays as it is.

    >>> safe_name("../a:b.")
    '_a_b'
    """
    name = "".join("_" if char in _NOT_IN_NAMES or not char.isprintable() else char for char in text)
    name = name.strip(" .") or "clip"
    if _DEVICE.fullmatch(name):
        name = f"_{name}"
    data = name.encode()
    if len(data) <= _LONGEST_NAME:
        return name
    keep = (_LONGEST_NAME - 10) // 2
    head, tail = data[:keep].decode(errors="ignore"), data[-keep:].decode(errors="ignore")
    return f"{head}-{hashlib.sha256(data).hexdigest()[:8]}-{tail}"


def folded(name: str) -> str:
    """What two names have in common that some file system takes for the same: case and accents do not count."""
    return unicodedata.normalize("NFKC", name).casefold()


def distinct_names(texts: Sequence[str]) -> list[str]:
    """A safe name for each text, in order; no two are the same on any file system, not even those of equal texts."""
    names: list[str] = []
    taken: set[str] = set()
    numbers: Counter[str] = Counter()
    for text in texts:
        name = first = safe_name(text)
        while folded(name) in taken:
            numbers[first] += 1
            name = safe_name(f"{first}_{numbers[first] + 1}")
        taken.add(folded(name))
        names.append(name)
    return names


def is_safe_name(text: str) -> bool:
    """Whether a text is one path component that `safe_name` leaves as it is."""
    return text == safe_name(text)


def below(root: Path, name: str, where: object) -> Path:
    """The path of a name that stands in a file: relative to `root`, and below it.

    Args:
        root: folder that the file may speak of.
        name: relative path, parts separated by / or \\.
        where: the file that has the name, for the error line.

    Raises:
        InputError: the name is empty, absolute, has a drive or a `..` in it, or can be no path at all.
    """
    parts = name.replace("\\", "/").split("/")
    climbs = any(".." in part and not part.strip(" .") for part in parts)  # Windows takes "..  ." for ".."
    if not name.strip(" ./\\") or not parts[0] or climbs or _DRIVE.match(name) or not _can_be_a_path(name):
        shown = repr(name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}...")
        raise InputError(f"{where}: expected a file name relative to {root} and below it, got {shown}")
    return root / name


def _can_be_a_path(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in name
