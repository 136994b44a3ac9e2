"""What Windows does differently with files, imitated: locks of byte ranges, and open files that cannot be removed."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from posetrail import file_locks


def _locking(descriptor: int, _mode: int, count: int) -> None:
    """`msvcrt.locking`: an exclusive lock of bytes from the position of the open file on, which closing it releases."""
    place = os.lseek(descriptor, 0, os.SEEK_CUR)
    wanted = struct.pack("hhqqi", fcntl.F_WRLCK, os.SEEK_SET, place, count, 0)
    try:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, wanted)
    except OSError:
        raise PermissionError(errno.EACCES, "Permission denied") from None


def locks_without_fcntl(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module `posetrail.file_locks` as Windows loads it, in place of the one of this system."""
    with monkeypatch.context() as other_system:
        other_system.setattr(sys, "platform", "win32")
        other_system.setitem(sys.modules, "fcntl", None)
        other_system.setitem(sys.modules, "msvcrt", SimpleNamespace(locking=_locking, LK_NBLCK=2))
        module = ModuleType("file_locks_of_windows")
        exec(compile(Path(file_locks.__file__).read_bytes(), file_locks.__file__, "exec"), module.__dict__)
    for name in ("lock_file", "CAN_REMOVE_OPEN_FILES"):
        monkeypatch.setattr(file_locks, name, getattr(module, name))
    return module


def keep_open_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `Path.unlink` and `Path.replace` fail for files that this process has open."""
    unlink, replace = Path.unlink, Path.replace

    def careful_unlink(self: Path, missing_ok: bool = False) -> None:
        _refuse_if_open(self)
        unlink(self, missing_ok)

    def careful_replace(self: Path, target: Path) -> Path:
        _refuse_if_open(self)
        _refuse_if_open(target)
        return replace(self, target)

    monkeypatch.setattr(Path, "unlink", careful_unlink)
    monkeypatch.setattr(Path, "replace", careful_replace)


def _refuse_if_open(path: Path) -> None:
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            opened = str(descriptor.readlink())
        except OSError:
            continue
        if opened == str(path.resolve()):
            raise PermissionError(errno.EACCES, "The process cannot access the file", str(path))
