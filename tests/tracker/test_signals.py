"""Stop signals at any moment of the program's life end it with its exit code and at most one line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tracker.batch.table import read_table
from tracker.signals import Interrupted, Interrupts, signals_blocked, stop_on_ctrl_c

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="looks up signals in /proc")

NOISE = ("Traceback", "Exception ignored", "KeyboardInterrupt", "ended before it could begin")
PROGRAM = [sys.executable, "-c", "from tracker.cli.start import main; main()"]


def started(*arguments: object, cwd: Path) -> subprocess.Popen[str]:
    """The program as a shell starts it: in a process group of its own, no signal ignored."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [*PROGRAM, *map(str, arguments)]
    return subprocess.Popen(command, cwd=cwd, env=environment, start_new_session=True, **pipes)  # type: ignore[call-overload, no-any-return]


def wait_for_handlers(process: int) -> None:
    """Until the program has begun: Python alone does not catch SIGTERM."""
    until_s = time.monotonic() + 60
    while time.monotonic() < until_s:
        caught = Path(f"/proc/{process}/status").read_text().partition("SigCgt:")[2].split()[:1]
        if caught and int(caught[0], 16) >> (signal.SIGTERM - 1) & 1:
            return
        time.sleep(0.005)
    raise AssertionError("the program did not begin")


def to_one(process: int, number: int) -> None:
    os.kill(process, number)


def to_the_group(process: int, number: int) -> None:
    os.killpg(process, number)


def check(running: subprocess.Popen[str], number: int) -> str:
    _, said = running.communicate(timeout=120)
    assert running.returncode == 128 + number, said
    assert not any(noise in said for noise in NOISE), said
    return said


@pytest.mark.parametrize(
    ("number", "send"),
    [(signal.SIGINT, to_one), (signal.SIGINT, to_the_group), (signal.SIGTERM, to_one), (signal.SIGHUP, to_the_group)],
)
def test_a_signal_at_any_time_ends_track_with_one_line(
    example_clip: Path, tmp_path: Path, number: int, send: Callable[[int, int], None]
) -> None:
    moments_s = (0.0, 0.1, 0.3, 0.9)  # while it is imported, while the networks are loaded, while frames are seen
    commands = []
    for moment in moments_s:  # side by side, since most of the time is waiting
        folder = tmp_path / str(moment)
        folder.mkdir()
        commands.append(started("track", example_clip, "--progress", "none", cwd=folder))
    for moment, running in zip(moments_s, commands, strict=True):
        wait_for_handlers(running.pid)
        time.sleep(moment - moments_s[moments_s.index(moment) - 1] if moment else 0)
        send(running.pid, number)
    for running in commands:
        assert len(check(running, number).splitlines()) <= 1


@pytest.mark.parametrize("moment_s", [0.0, 1.0])
def test_a_signal_to_the_group_of_a_batch_ends_it_and_leaves_no_process(
    example_clip: Path, tmp_path: Path, moment_s: float
) -> None:
    running = started("batch", example_clip, example_clip.parent, "-j", 2, "--progress", "none", cwd=tmp_path)
    wait_for_handlers(running.pid)
    time.sleep(moment_s)
    to_the_group(running.pid, signal.SIGINT)
    assert len(check(running, signal.SIGINT).splitlines()) <= 1
    with pytest.raises(ProcessLookupError):
        to_the_group(running.pid, 0)
    table = tmp_path / "posetrail_out" / "batch.csv"
    if table.exists():
        assert {row.status for row in read_table(table)} <= {"pending", "interrupted"}


@pytest.mark.parametrize("arguments", [["doctor"], ["eval", "gone", "gone"], ["models", "verify"]])
def test_other_commands_end_in_the_same_way(tmp_path: Path, arguments: list[str]) -> None:
    running = started(*arguments, cwd=tmp_path)
    wait_for_handlers(running.pid)
    to_one(running.pid, signal.SIGINT)
    assert check(running, signal.SIGINT) == "posetrail: interrupted by SIGINT\n"


@pytest.fixture
def handlers_kept() -> object:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    hooks = sys.excepthook, sys.unraisablehook
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
    sys.excepthook, sys.unraisablehook = hooks


@pytest.mark.usefixtures("handlers_kept")
def test_a_signal_is_a_request_between_frames_and_a_second_ctrl_c_interrupts() -> None:
    with stop_on_ctrl_c() as stopped:
        assert not stopped()
        signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGTERM)  # as from a terminal that closes: no more than a repeated request
        assert stopped()
        assert stopped.code == 129
        with pytest.raises(Interrupted, match="SIGINT"):
            signal.raise_signal(signal.SIGINT)


@pytest.mark.usefixtures("handlers_kept")
def test_signals_that_nohup_ignores_stay_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    Interrupts().install()
    signal.raise_signal(signal.SIGHUP)
    with pytest.raises(Interrupted) as stop:
        signal.raise_signal(signal.SIGTERM)
    assert stop.value.code == 143


@pytest.mark.usefixtures("handlers_kept")
def test_an_interrupt_that_python_drops_is_sent_again() -> None:
    class Loses:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGINT)

    Interrupts().install()
    lossy = Loses()
    with pytest.raises(Interrupted):
        del lossy
        time.sleep(5)


@pytest.mark.usefixtures("handlers_kept")
def test_a_signal_during_the_start_of_a_worker_is_delivered_later() -> None:
    Interrupts().install()
    begun = []
    with pytest.raises(Interrupted), signals_blocked():
        signal.raise_signal(signal.SIGINT)
        begun.append(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ()))
    assert begun == [True]
