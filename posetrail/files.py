"""Files that appear complete or not at all, and whether they are those they were."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from posetrail.errors import InputError


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
    for path in missing:
        sync_folder(path.parent)
    try:
        yield
    except BaseException:
        for path in missing:
            with suppress(OSError):  # it holds something, or is gone already
                path.rmdir()
        raise


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to; on leaving it becomes `path`, on an exception it is removed.

    >>> with written_whole(Path("tracks.json")) as beside:
    ...     beside.write_text("{}")

    Whatever stood at `path` stays until the new file is whole; a crash leaves at most the file beside. On return the
    file and its name are on the disk, so what is written next never survives a power cut that this did not.
    """
    beside = path.with_name(f".{path.name}.part")
    try:
        yield beside
        with beside.open("rb") as file:
            sync_file(file.fileno())  # or a power cut could leave the new name with none of the content
        _rename(beside, path)
        sync_folder(path.parent)
    except BaseException:
        with suppress(OSError):  # the error that counts is the first one
            beside.unlink(missing_ok=True)
        raise


def _rename(beside: Path, path: Path) -> None:
    """Rename a file; an error is none where the file has its new name.

    A network file system repeats a request whose answer was lost, and then finds nothing to rename.
    """
    file = beside.stat()
    try:
        beside.replace(path)
    except OSError:
        with suppress(OSError):
            there = path.stat()
            if (there.st_dev, there.st_ino) == (file.st_dev, file.st_ino):
                return
        raise


def sync_file(descriptor: int) -> None:
    """Put what was written to an open file on the disk, where the file system knows that request.

    Raises:
        OSError: the disk could not take it.
    """
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems have no fsync
            raise


def sync_folder(folder: Path) -> None:
    """Put the names of a folder's files on the disk, where the system has a way to ask for it."""
    if os.name == "nt":
        return
    entry = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network file systems refuse it of a folder
            os.fsync(entry)
    finally:
        os.close(entry)


def digest(path: Path) -> str:
    """The sha256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fits(found: str, sha256: Sequence[str]) -> bool:
    """Whether a digest is one of those wanted, whole or by its first digits; any is, where none is wanted."""
    return not sha256 or any(found.startswith(wanted.lower()) for wanted in sha256 if wanted)
