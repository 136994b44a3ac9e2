"""Names that nobody should trust: nothing is written outside the output folder, nothing read outside the roots."""

from __future__ import annotations

import json
import ntpath
import os
import posixpath
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eval_posetrack.formats.files import write_clip
from eval_posetrack.readers import convert
from posetrail.errors import InputError
from posetrail.paths import below, distinct_names, folded, is_safe_name, safe_name
from tests.batch_worlds import in_this_process, task
from tests.command_line import exit_code
from tests.media import write_video
from tests.poses import POSE, clip_of
from tests.worlds import TruthDetector, TruthEstimator, Walker, World, line, write_images
from tracker.batch.batch import run_batch
from tracker.batch.clip_list import find_clips
from tracker.batch.posetrack_set import listed_sequences, sequences, write_submissions
from tracker.batch.table import Row, Table, printable
from tracker.inference.propagation import create_flow
from tracker.runs.follow import follow_poses
from tracker.runs.record import RUN
from tracker.settings import AssociationSettings

PARTS = (
    "..",
    ".",
    "...",
    "",
    " ",
    ".. ",
    "a",
    "evil",
    "CON",
    "nul.txt",
    "C:",
    "c:x",
    "a:b",
    "é",
    "x" * 300,
    "\0",
    "\n",
)
HOSTILE = (
    "..",
    "...",
    "../evil",
    "../../evil",
    "/evil",
    "a/../../evil",
    "..\\evil",
    "C:\\evil",
    "C:evil",
    "\\\\host\\evil",
    ".. /evil",
    "a/.. ./../evil",
    "evil\0.jpg",
    "",
    " ",
    ".",
)
texts = st.one_of(
    st.sampled_from(HOSTILE),
    st.lists(st.sampled_from(PARTS), max_size=5).flatmap(
        lambda parts: st.sampled_from("/\\").map(lambda by: by.join(parts))
    ),
    st.text(max_size=20),
)
few = settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


# --- The two functions that decide ------------------------------------------------------------------------------------


@given(texts)
def test_any_text_becomes_one_name_that_every_system_takes(text: str) -> None:
    name = safe_name(text)
    assert name == safe_name(name)
    assert is_safe_name(name)
    assert 0 < len(name.encode()) <= 120
    assert name.isprintable()
    assert not set(name) & set('/\\:*?"<>|')
    assert name == name.strip(" .")
    assert posixpath.basename(name) == ntpath.basename(name) == name


@pytest.mark.parametrize("name", ["CON", "con.json", "nul .txt", "Com1", "lpt9.tar.gz", "AUX.", "com²", "CONIN$"])
def test_no_name_is_a_device_of_windows(name: str) -> None:
    assert safe_name(name) == f"_{name.strip(' .')}"


def test_ordinary_names_stay_as_they_are() -> None:
    for name in ("Ångström 走る", "two  spaces", "-dash", "[red]", "a.b", "console", "com10", "000342_mpii_test"):
        assert safe_name(name) == name


@given(st.lists(texts, max_size=8))
def test_names_beside_each_other_are_never_the_same(many: list[str]) -> None:
    names = distinct_names(many)
    assert len(set(map(folded, names))) == len(many)
    assert all(map(is_safe_name, names))


def test_names_that_are_equal_are_numbered() -> None:
    assert distinct_names(["..", "clip", "CLIP"] * 3)[:4] == ["clip", "clip_2", "CLIP_3", "clip_4"]
    assert len(set(distinct_names(["a"] * 20_000))) == 20_000


@given(texts)
def test_a_name_in_a_file_stays_below_its_root_or_is_refused(text: str) -> None:
    try:
        path = below(Path("/data/root"), text, "a.json")
    except InputError as error:
        refusal = str(error)
    else:
        refusal = ""
    if refusal:
        assert refusal.startswith("a.json: expected a file name")
        assert len(refusal.splitlines()) == 1
        return
    assert os.path.normpath(path).startswith("/data/root/")
    assert ntpath.normpath(ntpath.join("D:\\root", text)).startswith("D:\\root\\")
    assert not any(part.rstrip(" .") == "" and ".." in part for part in text.replace("\\", "/").split("/"))


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_refused_where_a_file_is_to_be_opened(name: str) -> None:
    with pytest.raises(InputError, match="expected a file name relative to"):
        below(Path("root"), name, "a.json")


# --- Every entry point ------------------------------------------------------------------------------------------------

TINY = World((Walker(line((10, 5), (30, 0))),), num_frames=2, size=(64, 48))
_opened: list[str] | None = None


def _note_what_is_opened(event: str, arguments: tuple[Any, ...]) -> None:
    if _opened is not None and event == "open" and isinstance(arguments[0], str | bytes | os.PathLike):
        _opened.append(os.fsdecode(arguments[0]))


sys.addaudithook(_note_what_is_opened)  # a hook cannot be taken away; it is idle outside of the block below


def listing(folder: Path, but: Path) -> dict[str, tuple[int, bytes]]:
    """Every file and folder, and what is in it, but those of one folder."""
    return {
        str(path): (path.lstat().st_mode, path.read_bytes() if path.is_file() else b"")
        for path in sorted(folder.rglob("*"))
        if path != but and but not in path.parents
    }


@contextmanager
def only_within(world: Path) -> Iterator[Path]:
    """The output, emptied; outside of it nothing may change, and no canary may be read."""
    global _opened
    out = world / "results" / "out"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    before, _opened = listing(world, out), []
    try:
        yield out
        opened = [path for path in _opened if "canary" in path]
    finally:
        _opened = None
    assert listing(world, out) == before
    assert not opened


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with canaries at each place to which a name could climb from the output or from a data set."""
    write_images(TINY, tmp_path / "canary")
    for folder in (tmp_path, tmp_path / "results"):
        folder.mkdir(exist_ok=True)
        for name in ("poses.arrow", "tracks.json", "run.json", "batch.csv"):
            (folder / name).write_text("{}")
        (folder / "canary.jpg").write_bytes((tmp_path / "canary" / "000000.png").read_bytes())

    @contextmanager
    def networks(_: object) -> Iterator[Any]:
        from tracker.runs.networks import Networks

        yield Networks(TruthDetector(TINY), TruthEstimator(TINY), create_flow("lk"), (), "cpu")

    monkeypatch.setattr("tracker.runs.networks.open_networks", networks)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def named(make: Callable[[Path], object], folder: Path, text: str) -> Path | None:
    """A file or folder of this name, made if this system can have it."""
    path = folder / text.replace("/", "_").replace("\0", "_")
    if path.name in ("", "."):
        return None
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        make(path)
    except (OSError, UnicodeError):
        return None
    return path


def clip(name: str = "clip", frames: int = 2, **fields: Any) -> Any:
    people = clip_of([POSE + 200] * frames, frames=list(range(frames)), ids=[0] * frames, **fields)
    return replace(people, name=name)


def is_one_folder_deep(out: Path) -> bool:
    """Each run stands in a folder of its own, and none in the output itself."""
    return not (out / RUN).exists() and all(is_safe_name(path.name) for path in out.iterdir())


@few
@given(texts)
def test_track_and_batch_write_below_the_output_whatever_a_clip_is_called(world: Path, text: str) -> None:
    images = named(lambda path: write_images(TINY, path), world / "in", text)
    if images is None or images.name == "..":
        return
    with only_within(world) as out:
        assert exit_code("track", images, "-o", out, "--progress", "none") == 0
        [folder] = out.iterdir()
        assert (folder / RUN).is_file()
        assert is_one_folder_deep(out)
    with only_within(world) as out:
        table = run_batch(find_clips([images], out), task(out), progress="none", run_clips=in_this_process)
        assert [row.status for row in table.rows.values()] == ["complete"]
        assert (out / next(iter(table.rows)) / RUN).is_file()


@pytest.mark.parametrize("name", ["...mp4", "..mp4", "....mp4", "con.mp4", " .mp4"])
def test_a_video_of_dots_has_a_folder_of_its_own(world: Path, name: str) -> None:
    write_video(world / "in.mp4", 2)
    (world / "in.mp4").rename(world / name)
    with only_within(world) as out:
        assert exit_code("track", f"./{name}", "-o", out, "--progress", "none") == 0
        [folder] = out.iterdir()
        assert (folder / RUN).is_file()


@few
@given(texts)
def test_follow_and_convert_write_below_the_output_whatever_a_file_is_called(world: Path, text: str) -> None:
    poses = named(lambda path: write_clip(clip(), path.with_name(f"{path.name}.json")), world / "poses", text)
    if poses is None:
        return
    write_clip(clip(), world / "poses" / "clip.json")
    with only_within(world) as out:
        assert exit_code("follow", world / "poses", "-o", out, "--fps", 30) == 0
        assert len(list(out.glob(f"*/{RUN}"))) == len(list((world / "poses").iterdir()))
        assert is_one_folder_deep(out)
    with only_within(world) as out:
        exit_code("follow", world / "poses" / f"{poses.name}.json", "-o", out / "one", "--fps", 30)
        assert not {path.name for path in out.iterdir()} - {"one"}


@few
@given(texts, texts)
def test_converters_write_below_the_output_whatever_a_file_calls_its_clips(world: Path, one: str, two: str) -> None:
    names = [one, two]
    people = {"keypoints": [100.0 + k for k in range(51)], "category_id": 1, "score": 1.0}
    content = {
        "images": [{"id": i, "file_name": f"{name}/{i}.jpg", "video_id": i} for i, name in enumerate(names)],
        "annotations": [{"id": i, "image_id": i, **people} for i in range(2)],
        "categories": [],
        "videos": [{"id": i, "name": name} for i, name in enumerate(names)],
    }
    for videos in (True, False):
        if not videos:
            content.pop("videos")
            content["images"] = [{"id": i, "file_name": f"{name}/{i}.jpg"} for i, name in enumerate(names)]
        (world / "coco.json").write_text(json.dumps(content))
        with only_within(world) as out:
            written = convert(world / "coco.json", out, "coco")
            assert all(path.parent == out for path in written)
            assert set(out.iterdir()) == set(written)


def test_a_table_names_no_folder_outside_the_output(world: Path) -> None:
    images = write_images(TINY, world / "in" / "a")
    for name in (*HOSTILE, ".posetrail", "x" * 200):
        with only_within(world) as out:
            table = Table(out / "batch.csv")
            table.add(Row(clip=name, status="complete", input=printable(str(images))))
            [found] = find_clips([images], out)
            assert found.name == "a"
            with pytest.raises(InputError, match=r"batch.csv: expected") as refused:
                run_batch([found], task(out), progress="none", run_clips=in_this_process)
            assert len(str(refused.value).splitlines()) == 1


def test_two_clips_that_a_table_puts_in_one_folder_are_told_apart(world: Path) -> None:
    images = [write_images(TINY, world / "in" / name) for name in "ab"]
    out = world / "results" / "out"
    out.mkdir(parents=True)
    for number, path in enumerate(images, 1):
        table = Table(out / f"batch.{number}of2.csv")
        table.add(Row(clip="same", status="complete", input=printable(str(path))))
    assert [each.name for each in find_clips(images, out)] == ["a", "b"]


@pytest.mark.parametrize("image", [*HOSTILE, "../canary.jpg", "/etc/hostname", "images/../../canary/000000.png"])
def test_an_annotation_names_no_image_outside_the_data_set(world: Path, image: str) -> None:
    root = world / "set"
    (root / "annotations" / "val").mkdir(parents=True)
    write_clip(clip(image_names=(image, "images/1.jpg")), root / "annotations" / "val" / "seq.json")
    with only_within(world), pytest.raises(InputError, match=r"seq.json: expected a file name") as refused:
        listed_sequences(root, sequences(root, "val"))
    assert len(str(refused.value).splitlines()) == 1
    with only_within(world) as out:
        assert exit_code("batch", "--posetrack", root, "-o", out) == 2
        assert not list(out.iterdir())


def test_a_link_that_the_user_made_is_followed(world: Path) -> None:
    root = world / "set"
    (root / "annotations" / "val").mkdir(parents=True)
    write_images(TINY, world / "disc")
    (root / "images").symlink_to(world / "disc")
    names = ("images/000000.png", "images/000001.png")
    write_clip(clip(image_names=names), root / "annotations" / "val" / "seq.json")
    with only_within(world) as out:
        truth = sequences(root, "val")
        table = run_batch(listed_sequences(root, truth), task(out), progress="none", run_clips=in_this_process)
        assert table.rows["seq"].status == "complete"


@pytest.mark.parametrize("name", ["..", "a:b", "..\\evil", "con", " "])
def test_a_sequence_has_a_name_that_a_submission_can_have(world: Path, name: str) -> None:
    folder = world / "set" / "annotations" / "val"
    folder.mkdir(parents=True)
    write_clip(clip(image_names=("a.jpg", "b.jpg")), folder / f"{name}.json")
    with only_within(world) as out:
        assert exit_code("batch", "--posetrack", world / "set", "-o", out) == 2
        assert not list(out.iterdir())


def test_a_sequence_called_like_the_batchs_own_files_stands_beside_them(world: Path) -> None:
    root = world / "set"
    (root / "annotations" / "val").mkdir(parents=True)
    write_images(TINY, root / "images")
    names = ("images/000000.png", "images/000001.png")
    for name in ("submission", "submission_", "Submission_MOTA", "batch", "Batch.csv"):
        write_clip(clip(image_names=names), root / "annotations" / "val" / f"{name}.json")
    with only_within(world) as out:
        truth = sequences(root, "val")
        table = run_batch(listed_sequences(root, truth), task(out), progress="none", run_clips=in_this_process)
        assert {row.status for row in table.rows.values()} == {"complete"}
        write_submissions(out, truth)
        for folder in ("submission", "submission_mota"):
            assert {path.stem for path in (out / folder).iterdir()} == set(truth)
        assert (out / "batch.csv").is_file()


@pytest.mark.parametrize("name", [*HOSTILE, "../../canary.jpg", ["tracks.csv"], 7, None])
def test_a_run_names_no_file_outside_its_folder(world: Path, name: object) -> None:
    write_clip(clip(), world / "poses.json")
    follow_poses(world / "poses.json", AssociationSettings(), output=world / "finished", fps=30)
    told = json.loads((world / "finished" / "run.json").read_text())
    (world / "finished" / "run.json").write_text(json.dumps({**told, "files": [*told["files"], name]}))
    with only_within(world) as out:
        assert exit_code("follow", world / "finished", "-o", out / "again") == 2
        assert exit_code("draw", world / "finished", "-o", out / "drawn.mp4", "--progress", "none") == 2
        assert not list(out.iterdir())
