"""One process at a time in a run's folder, and one line when the folder is taken away."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from posetrail import file_locks
from posetrail.errors import InputError
from tests import batch_worlds
from tests.batch_worlds import WORLD, batch, write_clips
from tests.command_line import fails
from tests.conftest import REPOSITORY
from tests.worlds import write_images
from tracker.batch import clip as batch_clip
from tracker.batch.clip import Task
from tracker.io.pose_log import PoseLogWriter
from tracker.io.video import open_source
from tracker.runs import draw_tracks, results
from tracker.runs import folder as folder_module
from tracker.runs import networks as networks_module
from tracker.runs.folder import run_clip
from tracker.runs.follow import follow_run
from tracker.runs.locks import Locked, file_lock, read_lock, write_lock
from tracker.settings import AssociationSettings


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_images(WORLD, tmp_path_factory.mktemp("clips") / "clip")


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs a command, with ground-truth networks, that fails with one line on stderr; returns that line."""
    monkeypatch.setattr(networks_module, "open_networks", batch_worlds.truth)

    def error_line(*arguments: object) -> str:
        return fails(capsys, *arguments, *(["--progress", "none"] if arguments[0] != "follow" else []))

    return error_line


def tracked(clip: Path, output: Path) -> Path:
    with batch_worlds.truth(batch_worlds.SETTINGS) as looking:
        run_clip(open_source(clip), output / "clip", looking, batch_worlds.SETTINGS)
    return output / "clip"


# Locks ----------------------------------------------------------------------------------------------------------------


def test_writers_exclude_all_others_and_readers_exclude_writers(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with write_lock(folder):
        for other in (write_lock(folder), read_lock(folder)):
            with pytest.raises(Locked, match="another posetrail is at work here"), other:
                pass
    assert list(folder.iterdir()) == []
    with read_lock(folder), read_lock(folder):
        with pytest.raises(Locked), write_lock(folder):
            pass
        with read_lock(folder):
            pass
        with pytest.raises(Locked), write_lock(folder):
            pass
    assert list(folder.iterdir()) == []
    with write_lock(folder):
        pass


def test_every_path_to_a_folder_leads_to_one_lock(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "run")
    with write_lock(tmp_path / "run"), pytest.raises(Locked), write_lock(tmp_path / "link"):
        pass


def test_a_lock_is_waited_for(tmp_path: Path) -> None:
    entered, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with write_lock(tmp_path):
            entered.set()
            leave.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    entered.wait(10)
    threading.Timer(0.05, leave.set).start()
    with write_lock(tmp_path, wait_s=10):
        assert leave.is_set()
    holder.join()


def test_the_lock_of_a_killed_process_is_free_and_goes(tmp_path: Path) -> None:
    program = "import os, sys; from pathlib import Path; from tracker.runs.locks import write_lock\n"
    program += "with write_lock(Path(sys.argv[1])): os.kill(os.getpid(), 9)"
    assert subprocess.run([sys.executable, "-c", program, tmp_path], cwd=REPOSITORY, check=False).returncode == -9
    assert len(list(tmp_path.iterdir())) == 1
    with write_lock(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_an_error_leaves_no_folder_that_was_not_there(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), write_lock(tmp_path / "out" / "run"):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_a_run_on_a_read_only_place_is_read_without_a_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open

    def read_only(path: str, flags: int, *mode: int) -> int:
        if flags & os.O_CREAT:
            raise OSError(30, "Read-only file system", str(path))
        return real(path, flags, *mode)

    monkeypatch.setattr("tracker.runs.locks.os.open", read_only)
    with read_lock(tmp_path):
        pass
    with pytest.raises(InputError, match="cannot be written to \\(Read-only file system\\)"), write_lock(tmp_path):
        pass


def test_a_file_system_without_locks_is_no_obstacle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(file_locks.fcntl, "flock", no_locks)
    with write_lock(tmp_path) as lock, read_lock(tmp_path):
        lock.check()


# Commands -------------------------------------------------------------------------------------------------------------


def test_every_command_leaves_a_folder_alone_in_which_another_is_at_work(
    clip: Path, tmp_path: Path, command: Callable[..., str]
) -> None:
    folder = tracked(clip, tmp_path)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with write_lock(folder):
        for arguments in (
            ("track", clip, "-o", tmp_path),
            ("track", clip, "-o", tmp_path, "--redo"),
            ("follow", folder),
            ("follow", folder, "-o", tmp_path / "other"),
            ("follow", folder / "poses.arrow", "-o", tmp_path / "other"),
            ("draw", folder),
            ("draw", folder, "-o", tmp_path / "drawn.mp4"),
        ):
            assert "another posetrail is at work here" in command(*arguments)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    with file_lock(tmp_path / "drawn.mp4"):
        assert "at work here" in command("draw", folder, "-o", tmp_path / "drawn.mp4")
    with write_lock(tmp_path / "other"):
        assert "at work here" in command("follow", folder, "-o", tmp_path / "other")
    shutil.rmtree(tmp_path / "other")
    assert [path.name for path in tmp_path.iterdir()] == ["clip"]


def test_a_log_without_run_json_is_not_followed_while_it_is_written(
    clip: Path, tmp_path: Path, command: Callable[..., str]
) -> None:
    folder = tracked(clip, tmp_path)
    (folder / "run.json").unlink()
    with write_lock(folder):
        assert "at work here" in command("follow", folder)


def test_the_lock_covers_inference_association_and_drawing(clip: Path, tmp_path: Path) -> None:
    refused: list[str] = []

    def look(stage: str) -> None:
        if stage not in refused:
            with pytest.raises(Locked), write_lock(tmp_path / "clip"):
                pass
            refused.append(stage)

    with batch_worlds.truth(batch_worlds.SETTINGS) as looking:
        run_clip(
            open_source(clip),
            tmp_path / "clip",
            looking,
            batch_worlds.SETTINGS,
            video=True,
            on_frame=lambda _: look("inference"),
            on_drawn=lambda _: look("drawing"),
        )
    assert refused == ["inference", "drawing"]


def test_a_batch_waits_for_a_lock_for_a_limited_time(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_clip, "_CLIP_LOCK_S", 0.0)
    with write_lock(tmp_path / "clip"):
        row = batch(clip, tmp_path).rows["clip"]
    assert (row.status, "another posetrail is at work here" in row.warnings) == ("failed", True)


# Taken away -----------------------------------------------------------------------------------------------------------


def removed(output: Path) -> None:
    shutil.rmtree(output)


def replaced_by_a_file(output: Path) -> None:
    shutil.rmtree(output)
    output.write_text("mine")


def moved(output: Path) -> None:
    output.rename(output.with_name("moved"))


def made_anew(output: Path) -> None:
    shutil.rmtree(output)
    (output / "clip").mkdir(parents=True)


LOST = [removed, replaced_by_a_file, moved, made_anew]


@pytest.mark.parametrize("stage", ["inference", "association", "drawing"])
@pytest.mark.parametrize("lose", LOST, ids=lambda lose: lose.__name__)
def test_a_folder_that_is_taken_away_ends_the_run_with_one_line(
    clip: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: Callable[..., str],
    stage: str,
    lose: Callable[[Path], None],
) -> None:
    output = tmp_path / "out"
    left: list[bool] = []

    def first_lose(real: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **options: object) -> object:
            if not left:
                lose(output)
                left.append(output.exists())
            return real(*arguments, **options)

        return call

    if stage == "inference":
        monkeypatch.setattr(PoseLogWriter, "append", first_lose(PoseLogWriter.append))
    elif stage == "association":
        real = results.associate_clip
        monkeypatch.setattr(results, "associate_clip", lambda *a, **o: first_lose(real(*a, **o)))
    else:
        monkeypatch.setattr(draw_tracks, "draw_people", first_lose(draw_tracks.draw_people))
    line = command("track", clip, "-o", output, "--video")
    assert "was removed, moved or replaced while posetrail was at work in it" in line
    assert left[0] or not output.exists()  # nothing was made anew
    assert [path for path in output.rglob("*") if path.is_file()] == []


def test_follow_and_draw_end_with_one_line_as_well(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Callable[..., str]
) -> None:
    folder = tracked(clip, tmp_path / "out")
    associate_clip, draw_people = results.associate_clip, draw_tracks.draw_people

    def remove_and(real: Callable[..., object], gone: Path) -> Callable[..., object]:
        def call(*arguments: object, **options: object) -> object:
            shutil.rmtree(gone, ignore_errors=True)
            return real(*arguments, **options)

        return call

    monkeypatch.setattr(results, "associate_clip", remove_and(associate_clip, tmp_path / "new"))
    assert "was removed" in command("follow", folder, "-o", tmp_path / "new")
    monkeypatch.setattr(results, "associate_clip", associate_clip)
    (tmp_path / "videos").mkdir()
    monkeypatch.setattr(draw_tracks, "draw_people", remove_and(draw_people, tmp_path / "videos"))
    assert "was removed" in command("draw", folder, "-o", tmp_path / "videos" / "v.mp4")
    assert "expected an existing folder" in command("draw", folder, "-o", tmp_path / "videos" / "v.mp4")
    monkeypatch.setattr(draw_tracks, "draw_people", remove_and(draw_people, tmp_path / "out"))
    assert "was removed" in command("draw", folder)
    assert list(tmp_path.iterdir()) == []


def test_in_a_batch_the_clip_fails_and_without_the_output_folder_the_batch_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips, output = write_clips(tmp_path / "in", 2), tmp_path / "out"
    real, gone = folder_module.infer_to_log, [output / "clip 0"]

    def taken_away(source: object, folder: Path, *arguments: object, **options: object) -> object:
        for path in gone:
            shutil.rmtree(path)
        gone.clear()
        return real(source, folder, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(folder_module, "infer_to_log", taken_away)
    rows = batch(clips, output).rows
    assert [row.status for _, row in sorted(rows.items())] == ["failed", "complete"]
    assert "was removed, moved or replaced" in rows["clip 0"].warnings
    gone.append(output)
    with pytest.raises(InputError, match="was removed, moved or replaced") as ended:
        batch(clips, output)
    assert "\n" not in str(ended.value)
    assert not output.exists()


def test_a_worker_does_not_make_the_output_folder_again(clip: Path, tmp_path: Path) -> None:
    from tracker.batch.clip_list import find_clips

    (listed,) = find_clips([clip], tmp_path / "out")
    task: Task = batch_worlds.task(tmp_path / "out")
    with batch_worlds.truth(task.settings) as looking:
        row = batch_clip.track_listed_clip(listed, looking, task)
    assert (row.status, "was removed while the batch was at work" in row.warnings) == ("failed", True)
    assert not (tmp_path / "out").exists()


def test_following_again_in_place_is_not_two_locks(clip: Path, tmp_path: Path) -> None:
    folder = tracked(clip, tmp_path)
    (tmp_path / "link").symlink_to(folder)
    assert follow_run(folder, AssociationSettings(), output=tmp_path / "link").people == 2
