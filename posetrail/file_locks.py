"""Locks of open files, which the operating system releases when the file is closed or its process dies.

POSIX systems have `flock`. Windows locks ranges of bytes, each for one holder: an exclusive lock is all of the first 64
bytes, a shared one is any of them.
"""

from __future__ import annotations

import os
import sys

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

CAN_REMOVE_OPEN_FILES = sys.platform != "win32"
MOST_READERS = 64
"""Shared locks of one file at the same time, on Windows."""

if sys.platform == "win32":

    def lock_file(descriptor: int, *, shared: bool) -> None:
        """Lock an open file without waiting; shared locks exclude only exclusive ones.

        Raises:
            OSError: another process holds a lock (EACCES), or the file system has none.
        """
        if not shared:
            _lock_bytes(descriptor, 0, MOST_READERS)
            return
        start = os.getpid() % MOST_READERS
        for step in range(MOST_READERS):
            try:
                _lock_bytes(descriptor, (start + step) % MOST_READERS, 1)
            except OSError:
                if step == MOST_READERS - 1:
                    raise
            else:
                return

    def _lock_bytes(descriptor: int, first: int, count: int) -> None:
        os.lseek(descriptor, first, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, count)

else:

    def lock_file(descriptor: int, *, shared: bool) -> None:
        """Lock an open file without waiting, or change its lock; shared locks exclude only exclusive ones.

        Raises:
            OSError: another process holds a lock (EAGAIN), or the file system has none.
        """
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
