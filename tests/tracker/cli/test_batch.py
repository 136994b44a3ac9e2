"""`posetrail batch` in a terminal, with two processes at once, interrupted and killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from tests import batch_worlds
from tests.batch_worlds import batch, data_files, truth, write_clips
from tests.command_line import fails
from tests.conftest import REPOSITORY
from tests.media import write_video
from tests.worlds import PowerCut, power_cut_after
from tracker.batch.clip_list import ListedClip
from tracker.batch.table import Row, read_table, summary
from tracker.io.video import open_source
from tracker.runs.folder import run_clip
from tracker.runs.record import VIDEO, Outcome

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


def test_after_ctrl_c_every_clip_has_a_row_and_the_same_command_resumes(
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
    assert [row.status for row in rows] == ["interrupted", "pending", "pending"]
    assert rows[2].input == str(clips / "clip 2")
    assert [line.split("│")[2].strip() for line in table.splitlines() if "│ clip" in line] == [
        row.status for row in rows
    ]
    assert "3 clips: 2 pending, 1 interrupted" in table
    assert summary(batch(clips, tmp_path)) == "3 clips: 3 complete"
    assert data_files(tmp_path) == undisturbed


def test_retry_failed_leaves_out_pending_clips(clips: Path, tmp_path: Path) -> None:
    def stopped_at_once(*_: object, **__: object) -> Iterator[Row]:
        return iter(())

    batch(clips, tmp_path, run_clips=stopped_at_once)
    assert summary(batch(clips, tmp_path, retry_failed=True)) == "3 clips: 3 pending"
    batch(clips / "clip 1", tmp_path)
    assert summary(batch(clips, tmp_path, run_clips=stopped_at_once)) == "3 clips: 2 pending, 1 complete"


def test_an_interrupted_retry_resumes_with_the_same_command(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").touch()

    def stopped_in_the_middle(listed: list[ListedClip], *_: object, **__: object) -> Iterator[Row]:
        for clip in listed:
            yield Row(clip=clip.name, status="interrupted", warnings="stopped; the same command goes on")

    assert summary(batch(tmp_path / "clip.mp4", tmp_path)) == "1 clip: 1 failed"
    stopped = batch(tmp_path / "clip.mp4", tmp_path, run_clips=stopped_in_the_middle, retry_failed=True)
    assert stopped.rows["clip"].status == "failed"
    assert "stopped" in stopped.rows["clip"].warnings
    write_video(tmp_path / "clip.mp4", 6)
    assert summary(batch(tmp_path / "clip.mp4", tmp_path, retry_failed=True)) == "1 clip: 1 complete"


def pictures(video: Path) -> list[np.ndarray]:
    """Every frame of a video as it is shown, and when."""
    with av.open(video) as container:
        return [np.append(frame.to_ndarray(format="rgb24"), frame.pts) for frame in container.decode(video=0)]


def same_but_for_the_encoding(folder: Path, other: Path) -> bool:
    """A drawn video need not have the same bytes, but the same frames."""
    files, others = data_files(folder), data_files(other)
    videos = [name for name in files if name.endswith(".mp4")]
    drawn = all(np.array_equal(pictures(folder / name), pictures(other / name)) for name in videos)
    return (
        drawn and files.keys() == others.keys() and all(files[name] == others[name] for name in files.keys() - videos)
    )


def drawn(clip: Path, folder: Path, **options: object) -> Outcome:
    with truth(batch_worlds.SETTINGS) as networks:
        return run_clip(
            open_source(clip),
            folder / "clip",
            networks,
            batch_worlds.SETTINGS,
            formats=("posetrack18", "csv", "mot", "parquet"),
            video=True,
            if_exists="continue",
            **options,  # type: ignore[arg-type]
        )


@pytest.fixture(scope="module")
def drawn_undisturbed(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("drawn")
    drawn(clips / "clip 0", output)
    assert len(pictures(output / "clip" / "video.mp4")) == 22
    return output


@pytest.mark.parametrize("frames", [1, 2, 11, 21, 22])
def test_an_interrupted_drawing_is_completed_with_the_same_frames(
    clips: Path, drawn_undisturbed: Path, tmp_path: Path, frames: int
) -> None:
    with pytest.raises(PowerCut):
        drawn(clips / "clip 0", tmp_path, on_drawn=power_cut_after(frames))
    assert not (tmp_path / "clip" / "video.mp4").exists()
    seen: list[int] = []
    assert VIDEO in drawn(clips / "clip 0", tmp_path, on_frame=seen.append).files
    assert seen == []  # drawing alone was left
    assert same_but_for_the_encoding(tmp_path, drawn_undisturbed)


def test_a_killed_drawing_is_completed_with_the_same_frames(
    clips: Path, drawn_undisturbed: Path, tmp_path: Path
) -> None:
    program = """
        import os, sys
        from pathlib import Path
        from tests.tracker.cli.test_batch import drawn

        for frames in (1, 12, 22):
            new = []
            def kill(people):
                new.append(people)
                if len(new) == frames:
                    os.kill(os.getpid(), 9)
            if os.fork() == 0:
                drawn(Path(sys.argv[1]), Path(sys.argv[2]) / f"killed at {frames}", on_drawn=kill)
            assert os.waitstatus_to_exitcode(os.wait()[1]) == -9
    """
    command = [sys.executable, "-c", textwrap.dedent(program), str(clips / "clip 0"), str(tmp_path)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.iterdir())) == 3
    assert (tmp_path / "killed at 22" / "clip" / ".video.mp4.part").exists()
    for folder in tmp_path.iterdir():
        assert not (folder / "clip" / "video.mp4").exists()
        drawn(clips / "clip 0", folder)
        assert same_but_for_the_encoding(folder, drawn_undisturbed)


def test_a_second_batch_in_the_same_folder_is_refused_in_one_line(
    clips: Path, undisturbed: dict[str, bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with started("slow_truth", "fork", clips, "-o", tmp_path, "--progress", "json") as first:
        assert first.stderr is not None
        assert "frames" in first.stderr.readline()  # it is at work
        first.send_signal(signal.SIGSTOP)
        line = fails(capsys, "batch", clips, "-o", tmp_path)
        first.send_signal(signal.SIGCONT)
        table, stderr = first.communicate(timeout=60)
    assert line.startswith("posetrail: ")
    assert "another posetrail is at work here" in line
    assert first.returncode == 0, stderr
    assert "3 clips: 3 complete" in table
    assert data_files(tmp_path) == undisturbed


def test_two_parallel_shards_write_the_same_files_as_one_batch(
    clips: Path, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    with started("slow_truth", "fork", clips, "-o", tmp_path, "--shard", "1/2", "--progress", "json") as first:
        assert first.stderr is not None
        assert "frames" in first.stderr.readline()  # it is at work
        batch(clips, tmp_path, shard="2/2")
        _, stderr = first.communicate(timeout=60)
    assert first.returncode == 0, stderr
    tables = [tmp_path / f"batch.{part}of2.csv" for part in (1, 2)]
    assert [[row.clip for row in read_table(table)] for table in tables] == [["clip 0", "clip 2"], ["clip 1"]]
    for table in tables:
        table.unlink()
    assert data_files(tmp_path) == undisturbed
