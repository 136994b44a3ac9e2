"""The first moments of a worker process, before it imports anything heavy: tracker/batch/workers.py starts it here.

So whatever keeps the networks from being loaded, a library that is missing included, is met by a `try` and reported
through the pipe; and what C code writes to stderr goes to the worker's log instead of between the batch's own lines.
"""

from __future__ import annotations

import os
import pickle
import sys
from contextlib import suppress
from multiprocessing.connection import Connection

from posetrail.errors import InputError
from tracker.signals import ignore_stop_signals


def run(pipe: Connection, batch_end: Connection, log: str, work: bytes) -> None:
    """Do the pickled work, a function of the pipe; report what it raises as ("unusable", one line).

    Args:
        pipe: to the batch.
        batch_end: the batch's end of it, as a forked worker has it too.
        log: file that takes the place of stderr.
        work: pickled, as it imports what it needs when it is unpickled.
    """
    batch_end.close()  # or a forked worker would keep its own pipe open when the batch dies
    ignore_stop_signals()  # Ctrl-C reaches the whole terminal; the batch decides
    _write_stderr_to(log)
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):  # the batch is gone
        try:
            pickle.loads(work)(pipe)
        except (EOFError, BrokenPipeError, ConnectionResetError):
            raise
        except (Exception, SystemExit) as error:
            pipe.send(("unusable", not_loaded(error)))


def not_loaded(error: BaseException) -> str:
    """Why a worker could not load its networks, in one line."""
    text = " ".join(str(error).split())
    if isinstance(error, InputError):
        return text
    return f"a worker could not load the networks: {type(error).__name__}: {text}"


def _write_stderr_to(log: str) -> None:
    file = os.open(log, os.O_WRONLY | os.O_APPEND)
    os.dup2(file, 2)
    os.close(file)
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)  # noqa: SIM115
