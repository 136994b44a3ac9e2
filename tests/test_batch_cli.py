"""The batch command where people run it: in a terminal, twice at once, in the dark."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tracker.batch import Row, read_table
from tracker.batch_cli import summary
from tracker.clip_list import ListedClip

from .batch_worlds import data_files, write_clips
from .conftest import REPOSITORY
from .media import write_video
from .test_batch import batch

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and terminals")
SETTINGS = ["--queue-frames", "2", "--detect-every", "2", "--save", "mot,parquet"]  # as batch_worlds.task


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clips(tmp_path_factory.mktemp("terminal") / "recordings", 3)


@pytest.fixture(scope="module")
def undisturbed(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    output = tmp_path_factory.mktemp("undisturbed")
    batch(clips, output)
    return data_files(output)


def started(*arguments: object, **options: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.batch_command", *map(str, arguments), *SETTINGS]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.Popen(command, cwd=REPOSITORY, text=True, **pipes)  # type: ignore[call-overload, no-any-return]


def in_a_terminal(*arguments: object) -> tuple[subprocess.Popen[str], int]:
    """With its end of a terminal, whose keys reach all its processes; only stdout goes elsewhere."""
    import fcntl
    import pty
    import termios

    terminal, end = pty.openpty()
    running = started(
        *arguments,
        stdin=end,
        stderr=end,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(end)
    return running, terminal


def test_ctrl_c_in_a_terminal_leaves_a_row_for_every_clip_and_the_same_command_goes_on(
    clips: Path, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    running, terminal = in_a_terminal("slow_truth", "spawn", clips, "-o", tmp_path)
    shown = ""
    while " people" not in shown:  # a clip is at work
        shown += os.read(terminal, 4096).decode()
    os.write(terminal, b"\x03")
    table, _ = running.communicate(timeout=60)
    os.close(terminal)
    assert running.returncode == 130
    rows = read_table(tmp_path / "batch.csv")
    assert [row.status for row in rows] == ["interrupted", "not begun", "not begun"]
    assert rows[2].input == str(clips / "clip 2")
    assert [line.split("│")[2].strip() for line in table.splitlines() if "│ clip" in line] == [
        row.status for row in rows
    ]
    assert "3 clips: 2 not begun, 1 interrupted" in table
    assert summary(batch(clips, tmp_path)) == "3 clips: 3 complete"
    assert data_files(tmp_path) == undisturbed


def test_what_was_not_begun_has_not_failed(clips: Path, tmp_path: Path) -> None:
    def stopped_at_once(*_: object, **__: object) -> Iterator[Row]:
        return iter(())

    batch(clips, tmp_path, follow=stopped_at_once)
    assert summary(batch(clips, tmp_path, retry_failed=True)) == "3 clips: 3 not begun"
    batch(clips / "clip 1", tmp_path)
    assert summary(batch(clips, tmp_path, follow=stopped_at_once)) == "3 clips: 2 not begun, 1 complete"


def test_a_retry_that_is_stopped_goes_on_with_the_same_command(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").touch()

    def stopped_in_the_middle(listed: list[ListedClip], *_: object, **__: object) -> Iterator[Row]:
        for clip in listed:
            yield Row(clip=clip.name, status="interrupted", warnings="stopped; the same command goes on")

    assert summary(batch(tmp_path / "clip.mp4", tmp_path)) == "1 clips: 1 failed"
    stopped = batch(tmp_path / "clip.mp4", tmp_path, follow=stopped_in_the_middle, retry_failed=True)
    assert stopped.rows["clip"].status == "failed"
    assert "stopped" in stopped.rows["clip"].warnings
    write_video(tmp_path / "clip.mp4", 6)
    assert summary(batch(tmp_path / "clip.mp4", tmp_path, retry_failed=True)) == "1 clips: 1 complete"
