"""Files that appear complete or not at all, and their digests."""

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
    """Create a folder; on an exception, remove the folders that were created and are still empty.

    Raises:
        InputError: the folder cannot be created.
    """
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be created ({error.strerror}); choose another output folder") from None
    for path in missing:
        sync_folder(path.parent)
    try:
        yield
    except BaseException:
        for path in missing:
            with suppress(OSError):  # not empty, or removed already
                path.rmdir()
        raise


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; it is renamed to `path` on leaving and removed on an exception.

    >>> with written_whole(Path("tracks.json")) as beside:
    ...     beside.write_text("{}")

    An existing file stays until the new one is complete. After a crash, at most the temporary file is left. On return,
    the content and the name are synced to disk, so nothing that is written later can survive a power cut that this file
    does not.
    """
    beside = path.with_name(f".{path.name}.part")
    try:
        yield beside
        with beside.open("rb") as file:
            sync_file(file.fileno())  # else a power cut could leave the new name without the content
        _rename(beside, path)
        sync_folder(path.parent)
    except BaseException:
        with suppress(OSError):  # the first error is the one to report
            beside.unlink(missing_ok=True)
        raise


def _rename(beside: Path, path: Path) -> None:
    """Rename a file; ignore an error if the file has its new name nevertheless.

    A network file system repeats a request whose reply was lost; the second request then finds nothing to rename.
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
    """Sync an open file to disk, if the file system supports that.

    Raises:
        OSError: the data cannot be written.
    """
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems have no fsync
            raise


def sync_folder(folder: Path) -> None:
    """Sync the entries of a folder to disk, if the system supports that."""
    if os.name == "nt":
        return
    entry = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network file systems refuse it for folders
            os.fsync(entry)
    finally:
        os.close(entry)


def digest(path: Path) -> str:
    """The sha256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fits(found: str, sha256: Sequence[str]) -> bool:
    """Whether a digest starts with one of those given; True if none is given."""
    return not sha256 or any(found.startswith(wanted.lower()) for wanted in sha256 if wanted)
