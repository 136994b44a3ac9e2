"""Files appear complete or not at all."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from posetrail import files
from posetrail.files import written_whole
from tests import windows


def test_a_file_appears_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "tracks.json"
    with written_whole(path) as beside:
        beside.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_on_an_error_the_old_file_stays_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "tracks.json"
    path.write_text("old")
    with pytest.raises(ValueError, match="half way"), written_whole(path) as beside:
        beside.write_text("ne")
        raise ValueError("half way")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("code", [errno.ENOENT, errno.ESTALE, errno.EIO])
def test_a_rename_that_succeeded_but_raised_counts_as_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    rename = Path.replace

    def lossy(self: Path, target: Path) -> Path:
        rename(self, target)
        raise OSError(code, os.strerror(code), str(self))

    monkeypatch.setattr(Path, "replace", lossy)
    with written_whole(tmp_path / "a.txt") as beside:
        beside.write_text("new")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "new"


@pytest.mark.parametrize("code", [errno.EXDEV, errno.EBUSY, errno.ESTALE])
def test_a_failed_rename_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def broken(self: Path, target: Path) -> Path:
        raise OSError(code, os.strerror(code), str(self))

    (tmp_path / "a.txt").write_text("old")
    monkeypatch.setattr(Path, "replace", broken)
    with pytest.raises(OSError, match=os.strerror(code)), written_whole(tmp_path / "a.txt") as beside:
        beside.write_text("new")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"


def test_missing_fsync_support_is_ignored_and_disk_errors_are_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(code: int) -> Callable[[int], None]:
        def fsync(descriptor: int) -> None:
            raise OSError(code, os.strerror(code))

        return fsync

    monkeypatch.setattr(os, "fsync", refuse(errno.EINVAL))
    with written_whole(tmp_path / "a.txt") as beside:
        beside.write_text("new")
    assert (tmp_path / "a.txt").read_text() == "new"
    monkeypatch.setattr(os, "fsync", refuse(errno.EIO))
    with pytest.raises(OSError, match="Input/output"), written_whole(tmp_path / "b.txt") as beside:
        beside.write_text("new")
    assert not (tmp_path / "b.txt").exists()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="looks up open files in /proc")
def test_a_file_that_a_reader_has_open_on_windows_is_replaced_when_the_reader_closes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.json"
    path.write_text("old")
    monkeypatch.setattr(files, "_IS_WINDOWS", True)
    windows.keep_open_files(monkeypatch)
    reader = path.open()
    monkeypatch.setattr(files.time, "sleep", lambda _: reader.close())
    with written_whole(path) as beside:
        beside.write_text("new")
    assert path.read_text() == "new"
    monkeypatch.setattr(files, "_OPEN_ELSEWHERE_S", 0.0)
    with path.open(), pytest.raises(PermissionError), written_whole(path) as beside:
        beside.write_text("newer")
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [("run.json", "new")]


def test_windows_syncs_files_that_are_open_for_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fsync(descriptor: int) -> None:
        if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, "Bad file descriptor")

    monkeypatch.setattr(files, "_IS_WINDOWS", True)
    monkeypatch.setattr(files.os, "fsync", fsync)
    with written_whole(tmp_path / "a.txt") as beside:
        beside.write_text("new")
    assert (tmp_path / "a.txt").read_text() == "new"


@pytest.mark.parametrize("is_supported", [True, False])
def test_macos_syncs_the_cache_of_the_drive_where_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_supported: bool
) -> None:
    calls: list[str] = []

    def full(_descriptor: int, command: int) -> None:
        calls.append(f"fcntl {command}")
        if not is_supported:
            raise OSError(errno.ENOTSUP, "Operation not supported")

    monkeypatch.setattr(files, "_FULL_SYNC", 51)
    monkeypatch.setattr(files, "fcntl", SimpleNamespace(fcntl=full))
    monkeypatch.setattr(files.os, "fsync", lambda _: calls.append("fsync"))
    with (tmp_path / "a.txt").open("w") as file:
        files.sync_file(file.fileno())
    assert calls == (["fcntl 51"] if is_supported else ["fcntl 51", "fsync"])
