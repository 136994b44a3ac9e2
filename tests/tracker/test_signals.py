"""Stop signals end the program at any moment with exit code 128 + signal and at most one line on stderr."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tracker.batch.table import read_table
from tracker.signals import Interrupted, Interrupts, signals_blocked, stop_on_ctrl_c

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="looks up signals in /proc")

NOISE = ("Traceback", "Exception ignored", "KeyboardInterrupt", "ended before it could begin")
PROGRAM = "from tracker.cli.start import main; main()"
SIGNAL_AT_THE_BEGINNING = """
import signal
from tracker.cli import start
start._open_streams = lambda: signal.raise_signal(signal.SIGTERM)
start.main()
"""
SIGNAL_DURING_AN_IMPORT = """
import sys
from pathlib import Path
from tracker.cli import start
Path("probe.py").write_text(
    "import signal, time; signal.raise_signal(signal.SIGTERM); time.sleep(0.2); open('initialised', 'w').close()"
)
def import_probe():
    sys.path.insert(0, ".")
    import probe
    while True:
        pass
start._open_streams = import_probe
start.main()
"""


def started(*arguments: object, cwd: Path, program: str = PROGRAM) -> subprocess.Popen[str]:
    """The program as a shell starts it: in a process group of its own, no signal ignored."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.Popen(command, cwd=cwd, env=environment, start_new_session=True, **pipes)  # type: ignore[call-overload, no-any-return]


def wait_for_handlers(process: int) -> None:
    """Wait until the program has installed its handlers: Python alone does not catch SIGTERM."""
    until_s = time.monotonic() + 60
    while time.monotonic() < until_s:
        caught = Path(f"/proc/{process}/status").read_text().partition("SigCgt:")[2].split()[:1]
        if caught and int(caught[0], 16) >> (signal.SIGTERM - 1) & 1:
            return
        time.sleep(0.005)
    raise AssertionError("no handler of SIGTERM after 60 s")


def to_one(process: int, number: int) -> None:
    os.kill(process, number)


def to_the_group(process: int, number: int) -> None:
    os.killpg(process, number)


def stderr_of_interrupted(running: subprocess.Popen[str], number: int) -> str:
    """Wait for the end of the program; checks its exit code, and that it printed no traceback."""
    _, stderr = running.communicate(timeout=120)
    assert running.returncode == 128 + number, stderr
    assert not any(noise in stderr for noise in NOISE), stderr
    return stderr


def processes_in_group(group: int) -> list[str]:
    """The command lines of the processes in a group.

    A process that has ended stays in its group until its parent collects it, which takes init a while on a busy
    machine. Its memory is released first, so its command line is empty; it is left out.
    """
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended meanwhile
            fields = (process / "stat").read_text().rpartition(")")[2].split()  # state, parent, group, ...
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            if int(fields[2]) == group and command:
                found.append(command)
    return found


@pytest.mark.parametrize(
    ("number", "send"),
    [(signal.SIGINT, to_one), (signal.SIGINT, to_the_group), (signal.SIGTERM, to_one), (signal.SIGHUP, to_the_group)],
)
def test_a_signal_at_any_time_ends_track_with_one_line(
    example_clip: Path, tmp_path: Path, number: int, send: Callable[[int, int], None]
) -> None:
    moments_s = (0.0, 0.1, 0.3, 0.9)  # while it is imported, while the networks are loaded, while frames are inferred
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
        assert len(stderr_of_interrupted(running, number).splitlines()) <= 1


@pytest.mark.parametrize("moment_s", [0.0, 1.0])
def test_a_signal_to_the_process_group_ends_a_batch_and_its_workers(
    example_clip: Path, tmp_path: Path, moment_s: float
) -> None:
    running = started("batch", example_clip, example_clip.parent, "-j", 2, "--progress", "none", cwd=tmp_path)
    wait_for_handlers(running.pid)
    time.sleep(moment_s)
    assert processes_in_group(running.pid)
    to_the_group(running.pid, signal.SIGINT)
    assert len(stderr_of_interrupted(running, signal.SIGINT).splitlines()) <= 1
    assert processes_in_group(running.pid) == []
    table = tmp_path / "posetrail_out" / "batch.csv"
    if table.exists():
        assert {row.status for row in read_table(table)} <= {"pending", "interrupted"}


@pytest.mark.parametrize("arguments", [["doctor"], ["eval", "gone", "gone"], ["models", "verify"]])
def test_a_signal_ends_other_commands_with_one_line(tmp_path: Path, arguments: list[str]) -> None:
    running = started(*arguments, cwd=tmp_path)
    wait_for_handlers(running.pid)
    to_one(running.pid, signal.SIGINT)
    assert stderr_of_interrupted(running, signal.SIGINT) == "posetrail: interrupted by SIGINT\n"


def test_a_signal_before_the_command_line_is_imported_ends_the_program_with_one_line(tmp_path: Path) -> None:
    running = started("doctor", cwd=tmp_path, program=SIGNAL_AT_THE_BEGINNING)
    assert stderr_of_interrupted(running, signal.SIGTERM) == "posetrail: interrupted by SIGTERM\n"


def test_a_signal_during_an_import_ends_the_program_when_the_import_is_over(tmp_path: Path) -> None:
    running = started("doctor", cwd=tmp_path, program=SIGNAL_DURING_AN_IMPORT)
    assert stderr_of_interrupted(running, signal.SIGTERM) == "posetrail: interrupted by SIGTERM\n"
    assert (tmp_path / "initialised").exists()


@pytest.fixture
def handlers_kept() -> object:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    hooks = sys.excepthook, sys.unraisablehook
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
    sys.excepthook, sys.unraisablehook = hooks


@pytest.mark.usefixtures("handlers_kept")
def test_the_first_signal_sets_a_request_and_a_second_ctrl_c_interrupts() -> None:
    with stop_on_ctrl_c() as stopped:
        assert not stopped()
        signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGTERM)  # as from a terminal that closes: still only a request
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
def test_an_interrupt_that_python_ignores_in_a_destructor_is_raised_again() -> None:
    class InterruptedWhenDeleted:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGINT)

    Interrupts().install()
    deleted = InterruptedWhenDeleted()
    with pytest.raises(Interrupted):
        del deleted
        time.sleep(5)


@pytest.mark.usefixtures("handlers_kept")
def test_blocked_signals_are_delivered_at_the_end_of_the_context() -> None:
    Interrupts().install()
    blocked = []
    with pytest.raises(Interrupted), signals_blocked():
        signal.raise_signal(signal.SIGINT)
        blocked.append(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ()))
    assert blocked == [True]
