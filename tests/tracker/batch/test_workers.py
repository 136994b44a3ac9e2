"""Workers that die or fail before they can begin: the others go on, and the cause is shown in one line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from posetrail.errors import InputError
from tests.batch_worlds import WORLD, task, truth, write_clips
from tests.conftest import REPOSITORY
from tests.worlds import TruthDetector
from tracker.batch.clip import track_listed_clip
from tracker.batch.clip_list import ListedClip, find_clips
from tracker.batch.progress import Silent
from tracker.batch.workers import track_in_processes
from tracker.runs.networks import Networks
from tracker.settings import Settings

posix = pytest.mark.skipif(os.name != "posix", reason="kills and forks")
CUDA = "libcudart.so.12: cannot open shared object file: No such file or directory"


@contextmanager
def bad_first(marks: Path, count: int, how: str, settings: Settings) -> Iterator[Networks]:
    """Networks of which the first `count` workers cannot load theirs."""
    for number in range(count):
        try:
            (marks / str(number)).touch(exist_ok=False)
        except FileExistsError:
            continue
        if how == "killed":
            os.write(2, b"out of everything\n")
            os.kill(os.getpid(), 9)
        errors: dict[str, BaseException] = {
            "missing": OSError(CUDA),
            "input": InputError("unknown estimator 'x'"),
            "exit": SystemExit(0),
            "bug": TypeError("a bug"),
        }
        raise errors[how]
    with truth(settings) as networks:
        yield networks


class Warned(Silent):
    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        self.warnings.append(text)


def outcome(folder: Path, clips: list[ListedClip], how: str, count: int, jobs: int) -> dict[str, Any]:
    """How a batch ends: the statuses of its rows, the warnings, and the error."""
    marks = folder / f"{how} {count} {jobs}"
    marks.mkdir()
    watch, error = Warned(), ""
    rows: list[str] = []
    opened = partial(bad_first, marks, count, how)
    try:
        followed = track_in_processes(
            clips, task(marks / "out"), jobs, watch, open_networks=opened, start_method="fork"
        )
        rows.extend(row.status for row in followed)
    except InputError as refused:
        error = str(refused)
    logs = sorted(path.suffix for path in (marks / "out" / ".posetrail").glob("worker-*"))
    return {"rows": rows, "warnings": watch.warnings, "error": error, "logs": logs}


@pytest.fixture(scope="module")
def ends(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """All of them from one process without threads, which forks in a tenth of the time that spawning takes."""
    program = """
        import json, sys
        from pathlib import Path
        from tests.tracker.batch.test_workers import outcome
        from tracker.batch.clip_list import find_clips
        folder = Path(sys.argv[1])
        clips = find_clips([folder / "clips"], folder)
        cases = [(how, 9) for how in ("killed", "missing", "input", "exit", "bug")] + [("killed", 1), ("missing", 1)]
        print(json.dumps({f"{how} {count}": outcome(folder, clips, how, count, 2) for how, count in cases}))
    """
    folder = tmp_path_factory.mktemp("workers")
    write_clips(folder / "clips", 2)  # here, as OpenCV starts threads then, which do not survive a fork
    command = [sys.executable, "-c", textwrap.dedent(program), str(folder)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return json.loads(done.stdout)  # type: ignore[no-any-return]


@posix
@pytest.mark.parametrize("how", ["killed", "missing"])
def test_one_worker_that_cannot_begin_is_a_warning(ends: dict[str, dict[str, Any]], how: str) -> None:
    end = ends[f"{how} 1"]
    assert (end["rows"], end["error"]) == (["complete"] * 2, "")
    if how != "killed":  # there another one took its place, in whatever order they came
        (warning,) = end["warnings"]
        assert warning.endswith("the batch continues with the workers it has")


@posix
@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("killed", "died (SIGKILL, as when memory runs out: out of everything; its whole output is in "),
        ("missing", f"a worker could not load the networks: OSError: {CUDA}"),
        ("input", "unknown estimator 'x'"),
        ("exit", "SystemExit"),
        ("bug", "a worker could not load the networks: TypeError: a bug; its traceback is in "),
    ],
)
def test_where_no_worker_can_begin_the_error_names_the_cause(
    ends: dict[str, dict[str, Any]], how: str, words: str
) -> None:
    end = ends[f"{how} 9"]
    assert words in end["error"]
    assert (end["rows"], end["warnings"]) == ([], [])
    assert len(end["logs"]) == {"killed": 4, "bug": 2}.get(how, 0)  # killed: two workers, two replacements


@posix
def test_the_log_of_a_worker_with_an_internal_error_holds_the_traceback(ends: dict[str, dict[str, Any]]) -> None:
    log = Path(ends["bug 9"]["error"].rpartition("its traceback is in ")[2])
    assert "Traceback (most recent call last)" in log.read_text()
    assert log.read_text().rstrip().endswith("TypeError: a bug")


def test_an_internal_error_keeps_its_traceback(tmp_path: Path) -> None:
    class Faulty(TruthDetector):
        def _detect(self, index: int) -> Any:
            raise ZeroDivisionError("a fault of ours")

    (clip,) = find_clips([write_clips(tmp_path / "clips", 1)], tmp_path)
    (tmp_path / "out").mkdir()
    with truth(Settings()) as networks:
        row = track_listed_clip(
            clip, Networks(Faulty(WORLD), networks.estimator, None, (), "cpu"), task(tmp_path / "out")
        )
    log = tmp_path / "out" / ".posetrail" / "clip 0.log"
    assert row.status == "failed"
    assert row.warnings == f"internal error: ZeroDivisionError: a fault of ours; its traceback is in {log}"
    assert row.log == str(log)
    assert "Traceback" in log.read_text()


def test_workers_end_if_a_later_one_cannot_be_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = []

    class OnlyOneStarts:
        started = 0

        def __init__(self, *_: object) -> None:
            type(self).started += 1
            if self.started > 1:
                raise InputError("no room for another log file")

        def end(self) -> None:
            ended.append(self)

    monkeypatch.setattr("tracker.batch.workers._Worker", OnlyOneStarts)
    clips = find_clips([write_clips(tmp_path / "clips", 2)], tmp_path / "out")
    with pytest.raises(InputError, match="no room"):
        list(track_in_processes(clips, task(tmp_path / "out"), 2, Silent()))
    assert len(ended) == 1
