"""Locks where there is no fcntl, and where an open file cannot be removed."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from tests import windows
from tracker.runs.locks import Locked, batch_lock, read_lock, write_lock

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="looks up open files in /proc")


@pytest.fixture(autouse=True)
def other_system(monkeypatch: pytest.MonkeyPatch) -> None:
    windows.locks_without_fcntl(monkeypatch)
    windows.keep_open_files(monkeypatch)


def test_writers_exclude_all_others_and_readers_exclude_writers(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with write_lock(folder):
        for other in (write_lock(folder), read_lock(folder)):
            with pytest.raises(Locked, match="another posetrail is at work here"), other:
                pass
    assert list(folder.iterdir()) == []
    with read_lock(folder):
        with read_lock(folder), pytest.raises(Locked), write_lock(folder):
            pass
        with pytest.raises(Locked), write_lock(folder):
            pass
    assert list(folder.iterdir()) == []


def test_as_many_readers_as_there_are_bytes(tmp_path: Path) -> None:
    with ExitStack() as readers:
        for _ in range(64):
            readers.enter_context(read_lock(tmp_path))
        with pytest.raises(Locked):
            readers.enter_context(read_lock(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_batch_is_locked_and_its_empty_folder_removed_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="half way"), batch_lock(tmp_path / "out", "batch"):
        with pytest.raises(Locked), batch_lock(tmp_path / "out", "batch"):
            pass
        raise ValueError("half way")
    assert list(tmp_path.iterdir()) == []
