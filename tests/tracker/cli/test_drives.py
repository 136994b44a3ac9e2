"""Paths as Windows writes them: a drive is no scheme of an address and no user with a password."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path, PureWindowsPath
from types import SimpleNamespace

import pytest

from posetrail import options
from tracker.batch.clip_list import folder_name, folder_names
from tracker.cli import start
from tracker.cli.arguments import clip_path
from tracker.io import live_address as addresses

PATHS = (
    "C:\\clips\\walk.mp4",
    "C:/clips/walk.mp4",
    "c:\\walk@home.mp4",
    "C://walk.mp4",
    "C:walk.mp4",
    "\\\\host\\share\\walk.mp4",
)


@pytest.mark.parametrize("text", PATHS)
def test_a_path_with_a_drive_is_a_clip(text: str) -> None:
    assert clip_path(text) == Path(text)


@pytest.mark.parametrize("text", PATHS)
def test_a_path_with_a_drive_is_a_pipe_or_file_of_a_live_source(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "_is_readable", lambda path: True)
    assert addresses.live_address(text).kind == "pipe"


def test_a_path_with_a_drive_is_shown_whole_and_passwords_are_not() -> None:
    for text in ("C:\\clips\\walk@home.mp4", "c:/walk@home.mp4"):
        assert addresses.redacted(text) == text
    for text in ("a:secret@host", "admin:secret@host", "C:\\user:secret@host"):
        assert addresses.redacted(text) == "***@host"


@pytest.mark.parametrize("file", ["C:\\models\\net.onnx", "C:/models/net.onnx", "\\\\host\\share\\net.onnx"])
def test_files_in_names_of_networks_may_have_drives(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(options, "Path", PureWindowsPath)
    path = PureWindowsPath(file)
    assert options.file_in_name(f"onnx:{file}") == ("onnx:", path)
    assert options.file_in_name(file) == ("onnx:", path)
    boxes = path.with_suffix(".json")
    assert options.file_in_name(f"boxes:{boxes}") == ("boxes:", boxes)


def test_clips_on_two_drives_have_folders_with_valid_names() -> None:
    paths = [PureWindowsPath(f"{drive}:\\clips\\con.mp4") for drive in "CD"]
    names = folder_names(paths)  # type: ignore[arg-type]
    assert len(set(names)) == 2
    assert names == [folder_name(name) for name in names]
    assert not any(set(name) & set('\\/:*?"<>|') for name in names)


def test_output_in_the_encoding_of_a_locale_keeps_characters_that_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="cp1252"))
    monkeypatch.setattr(sys, "stderr", None)
    monkeypatch.setattr(start, "os", SimpleNamespace(name="nt", devnull=os.devnull))
    start._open_streams()
    sys.stdout.write("日本.mp4")
    sys.stdout.flush()
    assert written.getvalue() == b"\\u65e5\\u672c.mp4"
