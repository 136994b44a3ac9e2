"""Locks of runs and batches: one process at a time writes a folder, and detects that the folder was removed.

A lock is a file inside the folder that it protects, so every path to the folder leads to the same lock and nothing is
written beside the folder. The file is held open and locked, and removed on release. The operating system releases the
lock of a process that died; the remaining file does not block others. On file systems without locks, nothing is locked.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from posetrail import file_locks
from posetrail.errors import InputError
from posetrail.files import folder_made

_NAME = ".posetrail.lock"  # in a run's folder
BATCH_FOLDER = ".posetrail"  # folder in a batch's output
_POLL_S = 0.02
_GRACE_S = 0.2  # a reader holds the lock exclusively for a moment when it releases it
_BUSY = (errno.EAGAIN, errno.EACCES, errno.EDEADLK)
_READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)


class Locked(InputError):
    """Another process uses the same run or batch."""


@dataclass(frozen=True)
class Lock:
    """A held lock."""

    folder: Path  # what it protects, for messages
    file: Path
    descriptor: int

    @property
    def is_lost(self) -> bool:
        """Whether its file has gone, because the folder was removed, moved or replaced."""
        try:
            there, held = self.file.stat(), os.fstat(self.descriptor)
        except OSError:
            return True
        return (there.st_dev, there.st_ino) != (held.st_dev, held.st_ino)

    def check(self) -> None:
        """Check that the folder still exists; takes a few microseconds.

        Raises:
            InputError: it was removed, moved or replaced.
        """
        if self.is_lost:
            raise InputError(
                f"{self.folder}: was removed, moved or replaced while posetrail was at work in it; start again"
            )

    def checking(self, on_frame: Callable[[int], None]) -> Callable[[int], None]:
        """The same callback, which first checks that the folder still exists."""

        def check_and_call(people: int) -> None:
            self.check()
            on_frame(people)

        return check_and_call


@contextmanager
def write_lock(folder: Path, *, wait_s: float = 0.0) -> Iterator[Lock]:
    """Lock a run's folder for writing; it is made if it does not exist, and removed after an error if it is empty.

    Args:
        folder: of the run.
        wait_s: seconds to wait for another process that uses the folder.

    Raises:
        Locked: another process writes or reads there.
        InputError: the folder cannot be made or written to, or was removed meanwhile.
    """
    with folder_made(folder), _held(folder, folder / _NAME, wait_s=wait_s) as lock:
        yield lock


@contextmanager
def read_lock(folder: Path) -> Iterator[None]:
    """Lock a run's folder for reading, together with other readers.

    If no lock file can be made or opened, as on a read-only file system, the folder is read without a lock.

    Raises:
        Locked: another process writes there.
    """
    file = folder / _NAME
    try:
        descriptor = _acquire(folder, file, shared=True)
    except OSError:
        yield
        return
    try:
        yield
    finally:
        _release(file, descriptor, shared=True)


@contextmanager
def file_lock(path: Path, *, wait_s: float = 0.0) -> Iterator[Lock]:
    """Lock a file outside of run folders, or one that is written without the folder's lock, for writing.

    Args:
        path: the file.
        wait_s: seconds to wait for another process that writes it.

    Raises:
        Locked: another process writes the same file.
        InputError: nothing can be written there, or the folder was removed meanwhile.
    """
    with _held(path, path.with_name(f".{path.name}.lock"), wait_s=wait_s) as lock:
        yield lock


@contextmanager
def batch_lock(output: Path, name: str) -> Iterator[Lock]:
    """Lock a batch, or a shard of one, in an output folder, which is made if it does not exist.

    Raises:
        Locked: another process holds the lock.
        InputError: nothing can be written there, or the folder was removed meanwhile.
    """
    folder = output / BATCH_FOLDER
    with folder_made(folder), _held(output, folder / f"{name}.lock", others="share the work with --shard") as lock:
        yield lock


@contextmanager
def _held(
    folder: Path, file: Path, *, wait_s: float = 0.0, others: str = "choose another output folder"
) -> Iterator[Lock]:
    try:
        lock = Lock(folder, file, _acquire(folder, file, wait_s=wait_s, others=others))
    except OSError as error:
        raise InputError(f"{folder}: cannot be written to ({error.strerror}); choose another output folder") from None
    try:
        yield lock
    except Exception:
        lock.check()  # a removed folder may be the cause
        raise
    else:
        lock.check()
    finally:
        _release(file, lock.descriptor)


def _acquire(folder: Path, file: Path, *, shared: bool = False, wait_s: float = 0.0, others: str = "") -> int:
    until = time.monotonic() + max(wait_s, _GRACE_S)
    while (descriptor := _attempt(file, shared)) is None:
        if time.monotonic() > until:
            remedy = f"wait for its end, or {others}" if others else "wait for its end"
            raise Locked(f"{folder}: another posetrail is at work here; {remedy}")
        time.sleep(_POLL_S)
    return descriptor


def _attempt(file: Path, shared: bool) -> int | None:
    """The locked descriptor of the lock file; None if another process holds it."""
    descriptor = _opened(file, shared)
    try:
        locked = _lock(descriptor, shared)
        # The previous holder may have removed the file after it was opened and before it was locked.
        if locked and not Lock(file, file, descriptor).is_lost:
            return descriptor
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def _opened(file: Path, shared: bool) -> int:
    flags = getattr(os, "O_NOFOLLOW", 0)  # a link would lead out of the folder
    try:
        return os.open(file, os.O_RDWR | os.O_CREAT | flags, 0o666)
    except OSError as error:
        if not shared or error.errno not in _READ_ONLY:
            raise
        return os.open(file, os.O_RDONLY | flags)  # of a process that may write there


def _release(file: Path, descriptor: int, *, shared: bool = False) -> None:
    if not file_locks.CAN_REMOVE_OPEN_FILES:
        os.close(descriptor)
        with suppress(OSError):  # another process has it open
            file.unlink()
        return
    with suppress(OSError):
        if shared:
            file_locks.lock_file(descriptor, shared=False)  # only the last reader removes the file
        if not Lock(file, file, descriptor).is_lost:
            file.unlink()
    os.close(descriptor)


def _lock(descriptor: int, shared: bool) -> bool:
    """Lock the open file; returns False if another process holds it."""
    try:
        file_locks.lock_file(descriptor, shared=shared)
    except OSError as error:
        return error.errno not in _BUSY  # any other error: the file system has no locks
    return True
