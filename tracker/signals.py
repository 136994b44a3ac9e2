"""Signals that ask the program to stop: Ctrl-C (SIGINT), SIGTERM, and SIGHUP of a terminal that closes.

The exit code is 128 + the signal's number: 130, 143, 129. Imports nothing heavy, since Ctrl-C may come while the rest
of the program is being imported.
"""

from __future__ import annotations

import signal
import sys
from contextlib import contextmanager

TYPE_CHECKING = False  # as `typing` has it, which takes longer to import than everything else here
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

STOP_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
_REPEAT_S = 0.05


class Interrupted(KeyboardInterrupt):
    """A signal asked the program to stop."""

    def __init__(self, number: int) -> None:
        super().__init__(f"interrupted by {signal.Signals(number).name}")
        self.code = 128 + number


class Interrupts:
    """Raises `Interrupted` in the main thread when a stop signal comes, from `install` on."""

    def __init__(self) -> None:
        self.first: Interrupted | None = None

    def install(self) -> None:
        """Handle the stop signals, and keep what Python prints of an interrupt off the terminal."""
        _handle(self._raise)
        sys.excepthook = _without_interrupts(sys.excepthook)
        sys.unraisablehook = self._unraisable(sys.unraisablehook)

    def _raise(self, number: int, _frame: object) -> None:
        self.first = self.first or Interrupted(number)
        raise Interrupted(number)

    def _unraisable(self, report: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """An interrupt in a callback of C code, as imports have, is lost there: let it come again a moment later."""

        def hook(lost: Any) -> None:
            if not issubclass(lost.exc_type, KeyboardInterrupt) or self.first is None:
                report(lost)
                return
            import threading

            again = threading.Timer(_REPEAT_S, _interrupt_main_thread, [self.first.code - 128])
            again.daemon = True
            again.start()

        return hook


def ignore_stop_signals() -> None:
    """Let none of them disturb what is left to do."""
    for each in STOP_SIGNALS:
        signal.signal(each, signal.SIG_IGN)


class StopRequest:
    """Whether a signal has asked to stop: called between frames; `code` is the exit code then."""

    def __init__(self) -> None:
        self.code = 0

    def __call__(self) -> bool:
        """Whether one has come."""
        return self.code > 0


@contextmanager
def stop_on_ctrl_c() -> Iterator[StopRequest]:
    """The first stop signal is a request, looked at between frames; a second Ctrl-C ends the program at once.

    Other signals that are repeated, as those of a terminal that closes often are, change nothing.
    """
    request = StopRequest()

    def ask(number: int, _frame: object) -> None:
        if request() and number == signal.SIGINT:
            raise Interrupted(number)
        request.code = request.code or 128 + number

    before = _handle(ask)
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def inherited_blocked() -> Iterator[None]:
    """Processes that are started within are born with the stop signals blocked.

    A terminal sends Ctrl-C to all of its processes; a worker that is still importing could only answer with a
    traceback. What comes for this process meanwhile comes at the end.
    """
    if not hasattr(signal, "pthread_sigmask"):  # on Windows
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # it would unblock them while it is started
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _handle(handler: Callable[[int, Any], None]) -> dict[int, Any]:
    """Handle the stop signals; returns the handlers before. What nohup ignores stays ignored.

    SIGINT is handled even so: shells ignore it for whatever runs in the background, where `kill -INT` should work.
    """
    before = {}
    for each in STOP_SIGNALS:
        if each == signal.SIGINT or signal.getsignal(each) != signal.SIG_IGN:
            before[each] = signal.signal(each, handler)
    return before


def _interrupt_main_thread(number: int) -> None:
    import threading

    if hasattr(signal, "pthread_kill"):  # which wakes it, should it be waiting
        signal.pthread_kill(threading.main_thread().ident or 0, number)
    else:
        signal.raise_signal(number)


def _without_interrupts(report: Callable[..., Any]) -> Callable[..., Any]:
    def hook(kind: type[BaseException], *rest: Any) -> None:
        if not issubclass(kind, KeyboardInterrupt):
            report(kind, *rest)

    return hook
