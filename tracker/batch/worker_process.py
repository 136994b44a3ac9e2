"""Entry point of a worker process; imports nothing heavy, so that a failing import is caught and reported.

Whatever keeps the networks from loading, a missing library included, is reported through the pipe. Output of C code to
stderr goes to the worker's log instead of between the lines of the batch.
"""

from __future__ import annotations

import os
import pickle
import sys
import traceback
from contextlib import suppress
from multiprocessing.connection import Connection

from posetrail.errors import InputError
from tracker.signals import ignore_stop_signals


def run(pipe: Connection, batch_end: Connection, log: str, work: bytes) -> None:
    """Run the pickled work; report an exception as ("unusable", one line, whether it is an internal error).

    The traceback of an internal error is written to the log.

    Args:
        pipe: to the batch.
        batch_end: the batch's end of the pipe, which a forked worker inherits.
        log: file that replaces stderr.
        work: a pickled function of the pipe; its imports happen when it is unpickled.
    """
    batch_end.close()  # a forked worker would keep its own pipe open after the batch died
    ignore_stop_signals()  # Ctrl-C reaches the whole terminal; the batch decides
    _write_stderr_to(log)
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):  # the batch has ended
        try:
            pickle.loads(work)(pipe)
        except (EOFError, BrokenPipeError, ConnectionResetError):
            raise
        except (Exception, SystemExit) as error:
            if is_internal(error):
                traceback.print_exception(error)  # to the log
            pipe.send(("unusable", loading_error(error), is_internal(error)))


def is_internal(error: BaseException) -> bool:
    """Whether an exception is an error of posetrail, not of its input or of the machine."""
    return not isinstance(error, InputError | ImportError | OSError | MemoryError | SystemExit)


def loading_error(error: BaseException) -> str:
    """Why a worker could not load its networks, in one line."""
    text = " ".join(str(error).split())
    if isinstance(error, InputError):
        return text
    return f"a worker could not load the networks: {type(error).__name__}: {text}"


def divide_threads(threads: int) -> None:
    """Limit the threads of all libraries in this process, so that workers share the CPUs."""
    import cv2

    os.environ["OMP_NUM_THREADS"] = str(threads)  # read by torch, which is not imported yet
    cv2.setNumThreads(threads)


def _write_stderr_to(log: str) -> None:
    file = os.open(log, os.O_WRONLY | os.O_APPEND)
    os.dup2(file, 2)
    os.close(file)
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)  # noqa: SIM115
