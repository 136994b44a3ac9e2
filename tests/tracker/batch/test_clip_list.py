"""Which clips a batch finds, and that each has a folder of its own, whatever their names."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from posetrail.errors import InputError
from tests.odd_names import write_odd_names
from tracker.batch.clip_list import find_clips, folder_names
from tracker.batch.table import Row, Table, printable


def test_clips_are_found_in_directories_globs_and_lists(tmp_path: Path) -> None:
    for name in ("b.mp4", "a/2.mkv", "a/deep/frames/1.png", "a/deep/frames/2.png", ".hidden/x.mp4", "a/with/t.jpg"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).touch()
    (tmp_path / "in" / "a" / "with" / "c.MOV").touch()
    (tmp_path / "in" / "done" / "clip").mkdir(parents=True)
    (tmp_path / "in" / "done" / "clip" / "run.json").touch()
    (tmp_path / "in" / "done" / "clip" / "video.mp4").touch()

    def names(*inputs: str) -> list[str]:
        return [clip.name for clip in find_clips([tmp_path / given for given in inputs], tmp_path / "out")]

    assert names("in") == ["b", "2", "frames", "c"]
    assert names("in/*.mp4", "in/**/*.mkv", "in/b.mp4") == ["b", "2"]
    (tmp_path / "list.txt").write_text("in/b.mp4\n# in/none.mp4\n\nin/a/deep/frames\n")
    assert names("list.txt") == ["b", "frames"]
    with pytest.raises(InputError, match="matches nothing"):
        names("in/*.avi")
    with pytest.raises(InputError, match="no video and no folder of images"):
        names("in/done")


def test_no_two_clips_share_a_folder() -> None:
    def names(*paths: str) -> list[str]:
        return folder_names([Path(path) for path in paths])

    assert names("/x/a.mp4", "/x/b.mp4") == ["a", "b"]
    assert names("/x/a.mp4", "/x/a.mkv", "/x/b.mp4") == ["a.mp4", "a.mkv", "b"]
    assert names("/x/mon/a.mp4", "/x/tue/a.mp4", "/x/b.mp4") == ["mon__a.mp4", "tue__a.mp4", "b"]
    assert len({name.casefold() for name in names("/x/A.mp4", "/x/a.mp4", "/x/a.mp4.avi", "/y/a.mp4")}) == 4
    assert names("/x/Ångström 走る.mp4") == ["Ångström 走る"]
    long = names(f"/x/{'走' * 80}1.mp4", f"/x/{'走' * 80}2.mp4")
    assert len(set(long)) == 2
    assert max(len(name.encode()) for name in long) <= 120


def test_a_clip_keeps_the_folder_it_has_when_another_of_its_name_comes(tmp_path: Path) -> None:
    for day in ("mon", "tue"):
        (tmp_path / "in" / day).mkdir(parents=True)
        (tmp_path / "in" / day / "a.mp4").touch()
    monday = tmp_path / "in" / "mon" / "a.mp4"
    (first,) = find_clips([monday], tmp_path / "out")
    table = Table(tmp_path / "out" / "batch.csv")
    table.path.parent.mkdir()
    table.add(Row(clip=first.name, status="complete", input=printable(str(monday))))
    table.write()
    both = find_clips([tmp_path / "in"], tmp_path / "out")
    assert [(clip.path.parent.name, clip.name) for clip in both] == [("mon", "a"), ("tue", "a.mp4")]
    elsewhere = find_clips([tmp_path / "in"], tmp_path / "elsewhere")
    assert [clip.name for clip in elsewhere] == ["mon__a.mp4", "tue__a.mp4"]


def test_every_name_is_found_and_becomes_a_folder_that_any_disk_takes(tmp_path: Path) -> None:
    written = write_odd_names(tmp_path / "in")
    clips = find_clips([tmp_path / "in"], tmp_path / "out")
    assert {clip.path for clip in clips} == set(written)
    names = [clip.name for clip in clips]
    assert len({name.casefold() for name in names}) == len(written)
    for name in names:
        assert name.isprintable()
        assert name.encode()  # UTF-8
        assert len(name.encode()) <= 120
        assert not set(name) & set('/\\:*?"<>|')
        assert name == name.strip(" .")
    assert folder_names(written) == folder_names(written)
    assert {"-dash", "[red]markup[bold]", "semi;colon, comma"} <= set(names)


def test_no_clip_folder_has_the_name_of_a_file_of_the_batch() -> None:
    clips = ("batch", "batch.csv", "BATCH.mp4", "batch.2of8.csv", "batches")
    names = folder_names([Path("/x") / clip for clip in clips])
    taken = {"batch", "batch.csv", "batch.2of8", "batch.2of8.csv"}
    assert len({name.casefold() for name in names} - taken) == 5
    assert names[-1] == "batches"


def test_lists_hold_any_name_but_one_with_a_line_break(tmp_path: Path) -> None:
    written = [path for path in write_odd_names(tmp_path) if "\n" not in path.name and path.name.isascii()]
    separator = tmp_path / "line\N{LINE SEPARATOR}separator.mp4"
    lines = "\r\n".join(path.name for path in [*written, separator])
    (tmp_path / "windows.txt").write_bytes(b"\xef\xbb\xbf" + lines.encode())
    assert [clip.path for clip in find_clips([tmp_path / "windows.txt"], tmp_path / "out")] == [*written, separator]
    (tmp_path / "notepad.txt").write_text(lines, encoding="utf-16")
    with pytest.raises(InputError, match="one path a line, as UTF-8"):
        find_clips([tmp_path / "notepad.txt"], tmp_path / "out")


def test_a_folder_that_is_too_deep_to_read_is_listed(tmp_path: Path) -> None:
    """Its path is longer than systems take; whoever is no root meets the same in folders without permission."""
    (tmp_path / "in" / "shallow.mp4").parent.mkdir()
    (tmp_path / "in" / "shallow.mp4").touch()
    here = os.open(tmp_path / "in", os.O_RDONLY)
    for _ in range(22):
        os.mkdir("d" * 200, dir_fd=here)
        inner = os.open("d" * 200, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)
    clips = find_clips([tmp_path / "in"], tmp_path / "out")
    assert clips[0].name == "shallow"
    assert len(clips) == 2
    assert len(str(clips[1].path)) > 4000
    assert len(clips[1].name.encode()) <= 120


def test_an_impossible_path_fails_in_its_row(tmp_path: Path) -> None:
    for path in (tmp_path / ("n" * 300 + ".mp4"), tmp_path / ("n" * 300 + ".txt"), tmp_path / "file" / "clip.mp4"):
        (clip,) = find_clips([path], tmp_path / "out")
        assert clip.path == path


def test_what_a_terminal_cannot_show_is_escaped() -> None:
    assert printable("Ångström 走る 🚶.mp4") == "Ångström 走る 🚶.mp4"
    assert printable(os.fsdecode(b"clip\xff\n\x1b[31m.mp4")) == r"clip\udcff\n\x1b[31m.mp4"
    assert printable("Å 走.mp4", "latin-1") == r"Å \u8d70.mp4"
