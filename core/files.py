"""Files that appear complete or not at all, and whether they are those they were."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from core.errors import InputError


@contextmanager
def folder_made(folder: Path) -> Iterator[None]:
    """Make a folder; after an error, folders that were made and hold nothing go again.

    Raises:
        InputError: it cannot be made.
    """
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made ({error.strerror}); choose another output folder") from None
    try:
        yield
    except BaseException:
        for path in missing:
            if not any(path.iterdir()):
                path.rmdir()
        raise


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to; on leaving it becomes `path`, on an exception it is removed.

    >>> with written_whole(Path("tracks.json")) as beside:
    ...     beside.write_text("{}")

    Whatever stood at `path` stays until the new file is whole; a crash leaves at most the file beside.
    """
    beside = path.with_name(f".{path.name}.part")
    try:
        yield beside
        with beside.open("rb") as file:
            os.fsync(file.fileno())  # or a power cut could leave the new name with none of the content
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def digest(path: Path) -> str:
    """The sha256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fits(found: str, sha256: Sequence[str]) -> bool:
    """Whether a digest is one of those wanted, whole or by its first digits; any is, where none is wanted."""
    return not sha256 or any(found.startswith(wanted.lower()) for wanted in sha256 if wanted)
