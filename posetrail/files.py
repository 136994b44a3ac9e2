"""Files that appear complete or not at all, and their digests."""

from __future__ import annotations

import errno
import hashlib
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

from posetrail.errors import InputError

_IS_WINDOWS = os.name == "nt"
_FULL_SYNC = getattr(fcntl, "F_FULLFSYNC", None)  # on macOS fsync leaves the data in the drive's cache
_OPEN_ELSEWHERE_S = 1.0  # readers and virus scanners keep a file open for a moment
_POLL_S = 0.02


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
        with beside.open("r+b" if _IS_WINDOWS else "rb") as file:  # Windows syncs no file that is open for reading only
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
    Windows refuses to replace a file that another process has open; it is tried again for a second.
    """
    file = beside.stat()
    until = time.monotonic() + _OPEN_ELSEWHERE_S
    try:
        while not _replaced(beside, path, or_raise=not _IS_WINDOWS or time.monotonic() > until):
            time.sleep(_POLL_S)
    except OSError:
        with suppress(OSError):
            there = path.stat()
            if (there.st_dev, there.st_ino) == (file.st_dev, file.st_ino):
                return
        raise


def _replaced(beside: Path, path: Path, *, or_raise: bool) -> bool:
    try:
        beside.replace(path)
    except PermissionError:
        if or_raise:
            raise
        return False
    return True


def sync_file(descriptor: int) -> None:
    """Sync an open file to disk, if the file system supports that.

    Raises:
        OSError: the data cannot be written.
    """
    if _FULL_SYNC is not None:
        with suppress(OSError):  # some file systems have only fsync
            fcntl.fcntl(descriptor, _FULL_SYNC)
            return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems have no fsync
            raise


def sync_folder(folder: Path) -> None:
    """Sync the entries of a folder to disk, if the system supports that."""
    if _IS_WINDOWS:
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
