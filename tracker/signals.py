"""Stop signals: Ctrl-C (SIGINT), SIGTERM, and SIGHUP, which a terminal sends when it is closed; Ctrl-Break on Windows.

The exit code is 128 + the signal's number: 130, 143, 129, 149. This module imports nothing large, because a signal may
arrive while the rest of the program is being imported.
"""

from __future__ import annotations

import signal
import sys
from contextlib import contextmanager

TYPE_CHECKING = False  # as `typing` has it, which takes longer to import than everything else here
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType
    from typing import Any

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")  # Windows has no SIGHUP, others have no SIGBREAK
STOP_SIGNALS = tuple(getattr(signal, name) for name in _NAMES if hasattr(signal, name))
_REPEAT_S = 0.05
_IMPORT_POLL_S = 0.001  # short, so that a stop takes effect before a quick command ends by itself
_MAX_DEFERRALS = 10_000  # ten seconds: an import that hangs is interrupted in the end


class Interrupted(KeyboardInterrupt):
    """The program received a stop signal; `code` is its exit code."""

    def __init__(self, number: int) -> None:
        super().__init__(f"interrupted by {signal.Signals(number).name}")
        self.code = 128 + number


class Interrupts:
    """After `install`, every stop signal raises `Interrupted` in the main thread.

    During an import it is raised when the import is over, because extension modules crash when they are interrupted
    while they initialise themselves.
    """

    def __init__(self) -> None:
        self.first: Interrupted | None = None
        self._deferrals = 0

    def install(self) -> None:
        """Handle the stop signals, and suppress the tracebacks that Python prints of interrupts."""
        _handle(self._raise)
        sys.excepthook = _without_interrupts(sys.excepthook)
        sys.unraisablehook = self._unraisable(sys.unraisablehook)

    def _raise(self, number: int, frame: FrameType | None) -> None:
        self.first = self.first or Interrupted(number)
        if self._deferrals < _MAX_DEFERRALS and _is_importing(frame):
            self._deferrals += 1
            _send_later(number, _IMPORT_POLL_S)
            return
        raise Interrupted(number)

    def _unraisable(self, report: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """Python drops an interrupt in a callback from C code: send it again a moment later."""

        def hook(lost: Any) -> None:
            if not issubclass(lost.exc_type, KeyboardInterrupt) or self.first is None:
                report(lost)
                return
            _send_later(self.first.code - 128, _REPEAT_S)

        return hook


def ignore_stop_signals() -> None:
    """Ignore all stop signals from now on, so that the program can clean up."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, 0)  # of `_send_later`


class StopRequest:
    """Called between frames: whether a stop signal has arrived; `code` is the exit code then, 0 before."""

    def __init__(self) -> None:
        self.code = 0

    def __call__(self) -> bool:
        """Whether a stop signal has arrived."""
        return self.code > 0


@contextmanager
def stop_on_ctrl_c() -> Iterator[StopRequest]:
    """The first stop signal sets a request, which is checked between frames; a second Ctrl-C raises `Interrupted`.

    Other repeated signals have no effect; a terminal that is closed often sends several.
    """
    request = StopRequest()

    def on_signal(number: int, _frame: object) -> None:
        if request() and number == signal.SIGINT:
            raise Interrupted(number)
        request.code = request.code or 128 + number

    before = _handle(on_signal)
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def signals_blocked() -> Iterator[None]:
    """Block the stop signals in this context and in the processes that are started in it.

    A terminal sends Ctrl-C to all of its processes, and a worker that is still importing would print a traceback.
    Signals that arrive for this process meanwhile are delivered at the end.
    """
    if not hasattr(signal, "pthread_sigmask"):  # on Windows
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # starting it unblocks the signals, so it is started before
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _handle(handler: Callable[[int, Any], None]) -> dict[int, Any]:
    """Set the handler of the stop signals; returns the previous ones. Signals that nohup ignores stay ignored.

    SIGINT is handled even if it is ignored: shells ignore it in background processes, where `kill -INT` should work.
    """
    before = {}
    for number in STOP_SIGNALS:
        if number == signal.SIGINT or signal.getsignal(number) != signal.SIG_IGN:
            before[number] = signal.signal(number, handler)
    return before


def _is_importing(frame: FrameType | None) -> bool:
    """Whether a frame is part of an import."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _send_later(number: int, delay_s: float) -> None:
    """Send a signal to this process again in a moment."""
    if hasattr(signal, "setitimer"):  # no thread is needed, so this works in the middle of an import
        signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(number))
        signal.setitimer(signal.ITIMER_REAL, delay_s)
        return
    import threading

    again = threading.Timer(delay_s, signal.raise_signal, [number])
    again.daemon = True
    again.start()


def _without_interrupts(report: Callable[..., Any]) -> Callable[..., Any]:
    def hook(kind: type[BaseException], *rest: Any) -> None:
        if not issubclass(kind, KeyboardInterrupt):
            report(kind, *rest)

    return hook
