"""Output for programs: JSON lines only, and pipes whose reader closes them."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.command_line import fails
from tests.conftest import REPOSITORY
from tracker.cli.printing import wants_json

PROGRAM = [sys.executable, "-c", "from tracker.cli.start import main; main()"]
posix = pytest.mark.skipif(os.name != "posix", reason="pipes of a shell")


def in_one_file(cwd: Path, *arguments: object) -> tuple[int, list[dict[str, Any]]]:
    """The exit code, and every line of stdout and stderr together."""
    log = cwd / "all.log"
    with log.open("w") as file:
        command = [*PROGRAM, *map(str, arguments), "--progress", "json"]
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
        done = subprocess.run(command, cwd=cwd, env=environment, stdout=file, stderr=file, check=False)
    events = [json.loads(line) for line in log.read_text().splitlines()]
    for event in events:
        assert datetime.fromisoformat(event["time"]).tzinfo is not None
        assert event["event"]
    return done.returncode, events


def kinds(events: list[dict[str, Any]]) -> list[str]:
    """Of the events, each once, in their order: how often progress is reported depends on the machine's speed."""
    return list(dict.fromkeys(event["event"] for event in events))


def test_track_follow_and_draw_print_only_json_lines(example_clip: Path, tmp_path: Path) -> None:
    code, events = in_one_file(tmp_path, "track", example_clip, "--end", 0.05)
    assert code == 0
    assert kinds(events) == ["progress", "result"]
    assert (events[-1]["status"], events[-1]["frames"]) == ("complete", 3)
    run = tmp_path / "posetrail_out" / "pose2sim_cam01"
    code, events = in_one_file(tmp_path, "follow", run, "--both", "-o", "both")
    assert code == 0
    assert kinds(events) == ["result", "comparison"]
    code, events = in_one_file(tmp_path, "draw", run)
    assert code == 0
    assert kinds(events) == ["progress", "result"]
    assert Path(events[-1]["file"]).name == "video.mp4"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["track", "gone.mp4"], "no such file"),
        (["track", "a.mp4", "b.mp4"], "posetrail batch"),
        (["draw", "gone"], "run.json"),
        (["batch", "gone", "--job", "2"], "--jobs"),
    ],
)
def test_an_error_is_one_json_line(tmp_path: Path, arguments: list[str], words: str) -> None:
    code, (event,) = in_one_file(tmp_path, *arguments)
    assert (code, event["event"], event["exit_code"]) == (2, "error", 2)
    assert words in event["text"]


def test_a_batch_of_two_workers_prints_only_json_lines(example_clip: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "empty.mp4").touch()
    (tmp_path / "in" / "clip.mp4").symlink_to(example_clip)
    code, events = in_one_file(tmp_path, "batch", "in", "-j", 2, "--end", 0.05)
    assert code == 3
    clips = {event["clip"]: event["status"] for event in events if event["event"] == "clip"}
    assert clips == {"clip": "complete", "empty": "failed"}
    assert events[-1]["event"] == "result"
    assert events[-1]["counts"] == {"complete": 1, "failed": 1}


def test_progress_json_is_recognised_in_the_arguments() -> None:
    assert wants_json(["track", "x", "--progress", "json"])
    assert wants_json(["track", "--progress=json", "x"])
    assert not wants_json(["track", "json", "--progress", "lines"])


@posix
@pytest.mark.parametrize("arguments", [["models", "list", "--all"], ["doctor"], ["track", "--help"]])
def test_a_closed_pipe_is_no_error(tmp_path: Path, arguments: list[str]) -> None:
    assert after_the_reader_left(tmp_path, *arguments) == (0, "")


@posix
def test_track_completes_after_its_output_pipe_was_closed(example_clip: Path, tmp_path: Path) -> None:
    arguments = ["track", example_clip, "--end", 0.05, "--progress", "lines"]
    assert after_the_reader_left(tmp_path, *arguments, both=True) == (0, "")
    run = json.loads((tmp_path / "posetrail_out" / "pose2sim_cam01" / "run.json").read_text())
    assert run["status"] == "complete"


def after_the_reader_left(cwd: Path, *arguments: object, both: bool = False) -> tuple[int, str]:
    """Exit code and stderr of a program whose stdout, or both streams, are closed by their reader."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [*PROGRAM, *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    stderr = writer if both else subprocess.PIPE
    done = subprocess.run(command, cwd=cwd, env=environment, stdout=writer, stderr=stderr, text=True, check=False)
    os.close(writer)
    return done.returncode, done.stderr or ""


@posix
def test_closed_standard_streams_are_no_error(example_clip: Path, tmp_path: Path) -> None:
    program = "from tracker.cli.start import main; main()"
    command = f"'{sys.executable}' -c '{program}' track '{example_clip}' --end 0.02 <&- >&- 2>&-"
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    assert subprocess.run(command, shell=True, cwd=tmp_path, env=environment, check=False).returncode == 0


@pytest.mark.parametrize("code", [errno.EFBIG, errno.EIO, errno.ESTALE, errno.EXDEV, errno.ENOENT])
def test_an_error_of_the_operating_system_is_reported_in_one_line(
    code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code), "out/tracks.csv")

    monkeypatch.setattr("tracker.cli.app.app", refuse)
    line = fails(capsys)
    assert line.startswith(f"posetrail: out/tracks.csv: {os.strerror(code)}; ")
