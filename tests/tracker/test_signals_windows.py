"""Stop signals on a system with SIGBREAK, and without SIGHUP, timers that send signals and blocked signals."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from types import ModuleType

import pytest

from tracker import signals


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module as Windows loads it."""
    for name in ("SIGHUP", "setitimer", "pthread_sigmask"):
        monkeypatch.delattr(signal, name)
    monkeypatch.setattr(signal, "SIGBREAK", 21, raising=False)
    loaded = ModuleType("signals_of_windows")
    exec(compile(Path(signals.__file__).read_bytes(), signals.__file__, "exec"), loaded.__dict__)
    return loaded


def test_ctrl_break_is_a_stop_signal(module: ModuleType) -> None:
    assert module.STOP_SIGNALS == (signal.SIGINT, signal.SIGTERM, 21)
    with module.stop_on_ctrl_c() as stopped:
        signal.raise_signal(21)
        assert stopped()
    assert stopped.code == 149


def test_processes_start_without_blocked_signals(module: ModuleType) -> None:
    with module.signals_blocked():
        pass


def test_a_signal_is_sent_again_without_a_timer_of_the_system(module: ModuleType) -> None:
    arrived: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: arrived.append(number))
    try:
        module._send_later(signal.SIGTERM, 0.01)
        until = time.monotonic() + 5
        while not arrived and time.monotonic() < until:
            time.sleep(0.01)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert arrived == [signal.SIGTERM]
