"""A folder of everything that people's folders hold: the right row for each, and nothing in the way of the others."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import socket
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import av
import cv2
import pyarrow.parquet
import pytest

from eval_posetrack.formats.files import read_clip
from tests.batch_worlds import WORLD, batch, data_files, in_this_process, task
from tests.conftest import REPOSITORY
from tests.media import add_silence, write_video
from tests.odd_names import write_odd_names
from tests.worlds import write_images
from tracker.batch.clip_list import ListedClip
from tracker.batch.table import Row, printable, read_table
from tracker.cli.batch import show
from tracker.cli.printing import Printer

FAILED = "failed"
LOSSLESS = {"codec": "libx264rgb", "pix_fmt": "rgb24", "options": {"qp": "0", "g": "4"}}  # the frame number survives


def film(path: Path, **container_options: str) -> Path:
    """The first frames of the world as a video, whose networks find the people in it."""
    path.parent.mkdir(exist_ok=True)
    frames = [frame.image for frame in WORLD.frames()[:16]]
    return write_video(path, frames, container_options=container_options, **LOSSLESS)  # type: ignore[arg-type]


def cut(path: Path, share: float) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], dict[str, str]]:
    """What the batch is given, and how each clip should end."""
    folder = tmp_path_factory.mktemp("odd") / "recordings"
    write_images(WORLD, folder / "good images")
    film(folder / "good video.mp4")
    ends = {"good images": "complete", "good video": "complete"}

    nobody = folder / "nobody"
    nobody.mkdir()
    for index in range(100, 104):  # when both have left
        cv2.imwrite(str(nobody / f"{index}.png"), WORLD.frame(index).image[:, :, ::-1])
    ends["nobody"] = "complete"

    cut(film(folder / "index first.mp4", movflags="+faststart"), 0.7)
    cut(film(folder / "in fragments.mp4", movflags="frag_keyframe+empty_moov"), 0.7)
    write_images(WORLD, folder / "one torn image")
    (folder / "one torn image" / "000003.png").write_bytes(b"torn")
    ends |= dict.fromkeys(("index first", "in fragments", "one torn image"), "damaged")

    cut(film(folder / "index last.mp4"), 0.7)
    (folder / "empty.mp4").touch()
    (folder / "text.mp4").write_text("this is not a video\n" * 100)
    whole = film(folder / "no frames.mp4", movflags="frag_keyframe+empty_moov").read_bytes()
    (folder / "no frames.mp4").write_bytes(whole[: whole.index(b"moof") - 4])
    with av.open(folder / "sound.mp4", "w") as sound:
        add_silence(sound, 0.5)
    (folder / "torn images").mkdir()
    for name in ("1.png", "2.png"):
        (folder / "torn images" / name).write_bytes(b"torn")
    (folder / "folder.mp4").mkdir()
    (folder / "folder.mp4" / "1.png").touch()
    ends |= dict.fromkeys(("index last", "empty", "text", "no frames", "sound", "torn images", "folder"), FAILED)

    (folder / "dangling.mkv").symlink_to("nowhere.mkv")
    (folder / "loop.mp4").symlink_to("loop.mp4")
    (folder / "device.mp4").symlink_to("/dev/zero")
    os.mkfifo(folder / "pipe.mp4")
    with contextlib.chdir(folder), socket.socket(socket.AF_UNIX) as bound:  # paths of sockets are short
        bound.bind("socket.mp4")
    (folder / "notes.md").write_text("not taken for a clip")
    (folder / "missing.txt").write_text("# a list\n\ngone.mp4\nnotes.md/below a file.mp4\n")
    ends |= dict.fromkeys(("dangling", "loop", "device", "pipe", "socket", "gone", "below a file"), FAILED)
    if os.geteuid():  # root reads everything
        film(folder / "forbidden.mp4").chmod(0)
        ends["forbidden"] = FAILED
    return [folder, folder / "missing.txt"], ends


@pytest.fixture(scope="module")
def followed(
    odd: tuple[list[Path], dict[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Row]]:
    output = tmp_path_factory.mktemp("followed") / "out"
    return output, batch(odd[0], output).rows


def test_every_clip_has_the_row_it_should_have(
    odd: tuple[list[Path], dict[str, str]], followed: tuple[Path, dict[str, Row]]
) -> None:
    output, rows = followed
    assert {clip: row.status for clip, row in rows.items()} == odd[1]
    assert {clip for clip, end in odd[1].items() if end != FAILED} == {
        path.name for path in output.iterdir() if path.is_dir() and path.name != ".posetrail"
    }
    for clip in ("good images", "good video", "one torn image"):
        assert rows[clip].people == 2
    assert 4 <= rows["index first"].frames < 16
    assert 4 <= rows["in fragments"].frames < 16
    assert rows["one torn image"].frames == WORLD.num_frames - 1


def test_every_warning_is_one_line_with_the_clip_and_the_remedy(
    followed: tuple[Path, dict[str, Row]],
) -> None:
    for row in followed[1].values():
        if row.status == "complete":
            assert row.warnings == ""
            continue
        assert row.warnings.startswith(row.input)
        assert row.warnings.isprintable()
        assert "posetrail:" not in row.warnings
        if row.status == FAILED:
            what, _, to_do = row.warnings.partition("; ")
            assert len(what) > len(row.input) + 10
            assert to_do, row
    words = {
        "empty": "empty",
        "gone": "no such file",
        "dangling": "a link to ",
        "pipe": "neither a file nor a folder",
        "device": "neither a file nor a folder",
        "text": "no video",
        "sound": "no video in this file (it holds audio)",
        "torn images": "none of its 2 images",
        "one torn image": "000003.png cannot be read",
        "index first": "cut off after",
        "in fragments": "cut off after",
    }
    for clip, said in words.items():
        assert said in followed[1][clip].warnings


def test_a_clip_without_people_has_empty_files(followed: tuple[Path, dict[str, Row]]) -> None:
    output, rows = followed
    assert (rows["nobody"].frames, rows["nobody"].people) == (4, 0)
    folder = output / "nobody"
    assert len((folder / "tracks.csv").read_text().splitlines()) == 1  # the header
    assert (folder / "tracks.mot.txt").read_bytes() == b""
    assert pyarrow.parquet.read_table(folder / "tracks.parquet").num_rows == 0
    clip = read_clip(folder / "tracks.json")
    assert len(clip.image_names) == 4
    assert len(clip.track_ids) == 0


def test_the_command_prints_the_rows_it_writes_and_exits_with_3(
    odd: tuple[list[Path], dict[str, str]], followed: tuple[Path, dict[str, Row]], tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "tests.batch_command", "truth", "fork", *map(str, odd[0]), "-o", str(tmp_path)]
    command += ["--queue-frames", "2", "--detect-every", "2", "--save", "mot,parquet", "--jobs", "2"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 3, done.stderr
    assert len(done.stderr.splitlines()) == len(odd[1])  # one line each
    shown = {
        cells[1].strip(): cells[2].strip() for line in done.stdout.splitlines() if len(cells := line.split("│")) > 3
    }
    shown.pop("")  # where a warning goes on
    assert shown == odd[1]
    assert f"{len(odd[1])} clips: " in done.stdout
    output, rows = followed
    assert {row.clip: replace(row, seconds=0) for row in read_table(tmp_path / "batch.csv")} == {
        clip: replace(row, seconds=0) for clip, row in rows.items()
    }
    assert data_files(tmp_path) == data_files(output)


def test_what_was_mended_is_tried_again_with_all_that_failed_and_nothing_else(
    odd: tuple[list[Path], dict[str, str]], followed: tuple[Path, dict[str, Row]]
) -> None:
    output, rows = followed
    folder = odd[0][0]
    film(folder / "nowhere.mkv")
    (folder / "nowhere.mkv").rename(folder / ".nowhere.mkv")
    (folder / "dangling.mkv").unlink()
    (folder / "dangling.mkv").symlink_to(".nowhere.mkv")
    film(folder / "empty.mp4")
    before = data_files(output)
    tried: list[str] = []

    def follow(listed: list[ListedClip], *rest: object, **__: object):  # type: ignore[no-untyped-def]
        tried.extend(clip.name for clip in listed)
        return in_this_process(listed, rest[0])  # type: ignore[arg-type]

    again = batch(odd[0], output, run_clips=follow, retry_failed=True).rows
    assert sorted(tried) == sorted(clip for clip, end in odd[1].items() if end == FAILED)
    assert {clip for clip in rows if again[clip].status != rows[clip].status} == {"dangling", "empty"}
    assert again["empty"].people == 2
    assert {name: data for name, data in data_files(output).items() if name in before} == before
    with (output / "batch.csv").open(encoding="utf-8", newline="") as file:
        assert [row["clip"] for row in csv.DictReader(file)] == sorted(odd[1])


# Names ----------------------------------------------------------------------------------------------------------------


def test_clips_of_any_name_are_tracked_and_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    video = write_video(tmp_path / "clip.mp4", 3)
    written = write_odd_names(tmp_path / "in")
    for day in ("monday", "tuesday"):
        (tmp_path / "in" / day).mkdir()
        written.append(tmp_path / "in" / day / "one name.mp4")
    for path in written:
        path.write_bytes(video.read_bytes())
    table = batch(tmp_path / "in", tmp_path / "out")
    show(table, Printer())
    shown = capsys.readouterr().out
    with (tmp_path / "out" / "batch.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(written)
    assert {"monday__one name.mp4", "tuesday__one name.mp4"} < {row["clip"] for row in rows}
    assert "\x1b" not in shown
    assert {row.input for row in read_table(tmp_path / "out" / "batch.csv")} == {
        printable(str(path)) for path in written
    }
    for row in rows:
        assert row["input"].isprintable() or "\N{ZERO WIDTH JOINER}" in row["input"]
        assert (row["status"], row["frames"]) == ("complete", "3"), row
        told = json.loads((tmp_path / "out" / row["clip"] / "run.json").read_text(encoding="utf-8"))
        assert printable(told["input"]["path"]) == row["input"]


def test_a_path_as_long_as_systems_take_is_followed(tmp_path: Path) -> None:
    deep = tmp_path / "in"
    while len(os.fsencode(deep)) < 3680:  # with the name, under 4096
        deep /= "d" * 200
    deep.mkdir(parents=True)
    write_video(tmp_path / "clip.mp4", 3).rename(deep / f"{'n' * 200}.mp4")
    (row,) = batch(tmp_path / "in", tmp_path / "out").rows.values()
    assert (row.status, row.frames) == ("complete", 3)
    assert row.input == str(deep / f"{'n' * 200}.mp4")


def test_a_table_can_be_shown_where_little_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "Å 走る.mp4").touch()
    shown = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(shown, encoding="latin-1"))
    show(batch(tmp_path, tmp_path / "out"), Printer())
    sys.stdout.flush()
    assert "Å \\u8d70\\u308b" in shown.getvalue().decode("latin-1")


# Places ---------------------------------------------------------------------------------------------------------------


def file_systems() -> dict[int, Path]:
    """A place to write to on each of this machine's file systems, by their numbers."""
    places = {}
    for place in map(Path, ("/dev/shm", "/run/user/" + str(os.getuid()), "/run", "/var/tmp", "/dev", REPOSITORY)):
        if place.is_dir() and os.access(place, os.W_OK):
            places.setdefault(place.stat().st_dev, place)
    return places


def everything_in(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Size, mode and time of last change of a folder and all in it."""
    paths = [folder, *folder.rglob("*")]
    return {str(path): (path.lstat().st_size, path.lstat().st_mode, path.lstat().st_mtime_ns) for path in paths}


def test_nothing_is_written_to_the_input_nor_needs_to_be(tmp_path: Path) -> None:
    write_images(WORLD, tmp_path / "in" / "images")
    film(tmp_path / "in" / "video.mp4")
    for path in [tmp_path / "in", *(tmp_path / "in").rglob("*")]:
        path.chmod(path.stat().st_mode & ~0o222)
    before = everything_in(tmp_path / "in")
    try:
        table = batch(tmp_path / "in", tmp_path / "out", task=replace(task(tmp_path / "out"), video=True))
        assert {row.status for row in table.rows.values()} == {"complete"}
        assert everything_in(tmp_path / "in") == before
    finally:
        for folder in (tmp_path / "in", tmp_path / "in" / "images"):
            folder.chmod(0o755)  # or it could not be removed


def test_input_output_and_temporary_files_may_lie_on_three_file_systems(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = [place for device, place in file_systems().items() if device != tmp_path.stat().st_dev]
    if len(places) < 2:
        pytest.skip("has no three file systems to write to")
    film(tmp_path / "in" / "video.mp4")
    batch(tmp_path / "in", tmp_path / "out", task=replace(task(tmp_path / "out"), video=True))
    with tempfile.TemporaryDirectory(dir=places[0]) as output, tempfile.TemporaryDirectory(dir=places[1]) as temporary:
        monkeypatch.setenv("TMPDIR", temporary)
        monkeypatch.setattr(tempfile, "tempdir", None)  # asks the environment anew
        batch(tmp_path / "in", Path(output), task=replace(task(Path(output)), video=True))
        assert data_files(Path(output)) == data_files(tmp_path / "out")
        assert list(Path(temporary).iterdir()) == []
