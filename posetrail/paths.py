"""Safe use of names that come from files and from input folders.

`safe_name` turns a text into a name for a file or folder. `below` checks a relative path that was read from a file.
Symbolic links in the folders of the user are followed, because the user made them; a path in a file must stay below its
root.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from posetrail.errors import InputError

_LONGEST_NAME = 120  # bytes; file systems allow 255, and temporary files have longer names
_NOT_IN_NAMES = frozenset('/\\:*?"<>|')
# On Windows these names are devices, whatever their suffix.
_DEVICE = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|clock\$|(com|lpt)[0-9¹²³])\s*(\..*)?", re.IGNORECASE | re.DOTALL
)
_DRIVE = re.compile(r"[a-zA-Z]:")


def safe_name(text: str) -> str:
    """Turn a text into a path component that every file system accepts: never empty, hidden, `..` or a device.

    Characters that some system does not accept become _, dots and spaces at the ends are removed, and the middle of a
    long name is replaced by a hash. A safe name is returned unchanged.

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
    """A key that is equal for names that some file system considers equal: case and accents do not count."""
    return unicodedata.normalize("NFKC", name).casefold()


def distinct_names(texts: Sequence[str]) -> list[str]:
    """A safe name for each text, in order; all are different on every file system, also for equal texts."""
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
    """Whether `safe_name` returns a text unchanged."""
    return text == safe_name(text)


def below(root: Path, name: str, where: object) -> Path:
    """The path of a name read from a file, which must be relative to `root` and below it.

    Args:
        root: the folder that contains the path.
        name: relative path, parts separated by / or \\.
        where: the file with the name, for the error message.

    Raises:
        InputError: the name is empty, absolute, contains a drive or `..`, or is not a valid path.
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
