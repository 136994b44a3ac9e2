"""A folder of clips in one command, whatever is in it and whatever happens to it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import pytest

from posetrail.errors import InputError
from tests.batch_worlds import SETTINGS, WORLD, batch, data_files, in_this_process, slow_truth, task, truth, write_clips
from tests.command_line import exit_code
from tests.conftest import REPOSITORY
from tests.media import write_video
from tests.worlds import write_images
from tracker.batch.clip_list import ListedClip, find_clips, select_shard
from tracker.batch.table import Row, read_table, summary
from tracker.batch.workers import track_in_processes
from tracker.runs.locks import batch_lock
from tracker.settings import AssociationSettings, NetworkSettings

CLIPS = 3
here = partial(track_in_processes, open_networks=truth)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clips(tmp_path_factory.mktemp("batch") / "recordings", CLIPS)


@pytest.fixture(scope="module")
def undisturbed(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    output = tmp_path_factory.mktemp("undisturbed")
    assert summary(batch(clips, output)) == "3 clips: 3 complete"
    return data_files(output)


def test_every_clip_gets_a_folder_and_a_row_whoever_does_it(
    clips: Path, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    table = batch(clips, tmp_path / "out", run_clips=here, jobs=2)
    rows = read_table(tmp_path / "out" / "batch.csv")
    assert [(row.clip, row.status, row.frames, row.people) for row in rows] == [
        ("clip 0", "complete", 22, 2),
        ("clip 1", "complete", 23, 2),
        ("clip 2", "complete", 24, 2),
    ]
    assert [row.clip for row in rows] == sorted(table.rows)
    assert rows[1].input == str(clips / "clip 1")
    assert (tmp_path / "out" / "clip 2" / "tracks.mot.txt").is_file()
    assert data_files(tmp_path / "out") == undisturbed


@pytest.mark.skipif(os.name != "posix", reason="kills a process group")
def test_killed_at_twenty_moments_it_writes_what_it_writes_undisturbed(
    clips: Path, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "tests.batch_kills", str(clips), str(tmp_path / "out"), "1", "20"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) >= 5  # the first ones at least met it at work
    assert data_files(tmp_path / "out") == undisturbed


def test_what_is_no_good_clip_ends_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "mixed"
    write_images(WORLD, folder / "a folder of images")
    (folder / "nobody").mkdir()
    for index in range(100, 104):  # when both have left
        cv2.imwrite(str(folder / "nobody" / f"{index}.png"), WORLD.frame(index).image[:, :, ::-1])
    whole = write_video(folder / "good.mp4", 6).read_bytes()
    (folder / "cut.mp4").write_bytes(whole[: len(whole) * 3 // 4])
    (folder / "no bytes.mp4").write_bytes(b"")
    (folder / "text.mp4").write_text("this is not a video\n" * 100)
    (folder / "notes.md").write_text("not taken for a clip")
    (folder / "torn").mkdir()
    (folder / "torn" / "1.png").write_bytes(b"torn")
    (folder / "unreadable.mkv").symlink_to("nowhere")
    (folder / "missing.txt").write_text("# a list\n\ngone.mp4\n")
    table = batch([folder, folder / "missing.txt"], tmp_path / "out")
    assert {clip: row.status for clip, row in table.rows.items()} == {
        "a folder of images": "complete",
        "nobody": "complete",
        "good": "complete",
        "cut": "failed",  # this one's index stands at its end
        "no bytes": "failed",
        "text": "failed",
        "torn": "failed",
        "unreadable": "failed",
        "gone": "failed",
    }
    assert table.rows["nobody"].people == 0
    assert "empty" in table.rows["no bytes"].warnings
    assert "no such file" in table.rows["gone"].warnings
    assert not (tmp_path / "out" / "text").exists()


def test_damaged_frames_are_left_out_and_reported(tmp_path: Path) -> None:
    images = write_images(WORLD, tmp_path / "in" / "clip")
    (images / "000007.png").write_bytes(b"torn")
    row = batch(tmp_path / "in", tmp_path / "out").rows["clip"]
    assert (row.status, row.frames) == ("damaged", 21)
    assert "000007.png" in row.warnings
    again = batch(tmp_path / "in", tmp_path / "out").rows["clip"]
    assert (again.status, again.frames, again.warnings) == (row.status, row.frames, row.warnings)


def test_only_what_failed_is_tried_again(clips: Path, tmp_path: Path) -> None:
    bad = tmp_path / "in" / "later.mp4"
    bad.parent.mkdir()
    bad.write_bytes(b"")
    tried: list[str] = []

    def follow(listed: list[ListedClip], *rest: object, **__: object) -> Iterator[Row]:
        tried.extend(clip.name for clip in listed)
        return in_this_process(listed, rest[0])  # type: ignore[arg-type]

    with pytest.raises(InputError, match="leave out --retry-failed"):
        batch([clips, bad.parent], tmp_path / "out", retry_failed=True)
    batch([clips, bad.parent], tmp_path / "out", run_clips=follow)
    assert len(tried) == 4
    write_video(bad, 6)
    table = batch([clips, bad.parent], tmp_path / "out", run_clips=follow, retry_failed=True)
    assert tried[4:] == ["later"]
    assert summary(table) == "4 clips: 4 complete"


def test_a_second_batch_in_the_same_folder_is_refused(clips: Path, tmp_path: Path) -> None:
    with batch_lock(tmp_path, "batch"), pytest.raises(InputError, match="another posetrail is at work here"):
        batch(clips, tmp_path)
    assert summary(batch(clips, tmp_path)) == "3 clips: 3 complete"


def test_the_lock_of_a_process_that_died_is_free(tmp_path: Path) -> None:
    program = "import os, sys; from pathlib import Path; from tracker.runs.locks import batch_lock\n"
    program += "with batch_lock(Path(sys.argv[1]), 'batch'): os.kill(os.getpid(), 9)"
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False)
    assert done.returncode == -9
    with batch_lock(tmp_path, "batch"):
        pass


def test_a_dead_worker_fails_one_clip_only(clips: Path, tmp_path: Path) -> None:
    table = batch(clips, tmp_path, run_clips=partial(track_in_processes, open_networks=dies_at_23_frames), jobs=1)
    assert [row.status for _, row in sorted(table.rows.items())] == ["complete", "failed", "failed"]
    assert "its worker died (SIGKILL" in table.rows["clip 1"].warnings
    assert summary(batch(clips, tmp_path)) == "3 clips: 3 complete"


def dies_at_23_frames(settings):  # type: ignore[no-untyped-def]
    from contextlib import contextmanager

    from tests.worlds import TruthDetector

    class Deadly(TruthDetector):
        def _detect(self, index):  # type: ignore[no-untyped-def]
            if index == 22:
                os.kill(os.getpid(), 9)
            return super()._detect(index)

    @contextmanager
    def opened():  # type: ignore[no-untyped-def]
        with truth(settings) as networks:
            yield replace(networks, detector=Deadly(WORLD))

    return opened()


def test_a_stopped_batch_is_continued_later(clips: Path, undisturbed: dict[str, bytes], tmp_path: Path) -> None:
    advanced = False

    class Watch:
        opened = finished = staticmethod(lambda *_: None)

        def advanced(self, *_: object) -> None:
            nonlocal advanced
            advanced = True

    def follow(listed, todo, jobs, _watch, *, stopped):  # type: ignore[no-untyped-def]
        return track_in_processes(listed, todo, jobs, Watch(), stopped=stopped, open_networks=slow_truth)

    table = batch(clips, tmp_path, run_clips=follow, stopped=lambda: advanced)
    assert [row.status for row in table.rows.values()] == ["interrupted", "pending", "pending"]
    batch(clips, tmp_path)
    assert data_files(tmp_path) == undisturbed


def test_shards_share_the_clips(clips: Path, undisturbed: dict[str, bytes], tmp_path: Path) -> None:
    for shard in ("1/2", "2/2"):
        batch(clips, tmp_path, shard=shard)
    assert [len(read_table(tmp_path / f"batch.{part}.csv")) for part in ("1of2", "2of2")] == [2, 1]
    files = {name: data for name, data in data_files(tmp_path).items() if not name.startswith("batch.")}
    assert files == undisturbed
    listed = find_clips([clips], tmp_path)
    for wrong in ("0/2", "3/2", "2", "a/b", "1/0"):
        with pytest.raises(InputError, match="expected i/n"):
            select_shard(listed, wrong)


def test_other_settings_for_the_whole_batch_are_a_slip_and_nothing_is_begun(
    clips: Path, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    output = tmp_path / "out"
    batch(clips, output)
    table = (output / "batch.csv").read_bytes()
    new = write_images(WORLD, tmp_path / "new clip")  # would be unlike the others
    forgetful = replace(SETTINGS, association=AssociationSettings(track_buffer_s=1.0))
    for other, said in (
        (replace(task(output), stride=2), "stride was 1, now 2"),
        (replace(task(output), settings=forgetful), r"track_buffer_s was 2\.0, now 1\.0"),
    ):
        with pytest.raises(
            InputError, match=rf"all 3 clips begun here were made with other settings \({said}\).*--redo"
        ):
            batch([clips, new], output, task=other)
    assert data_files(output) == undisturbed
    assert (output / "batch.csv").read_bytes() == table
    threads = replace(SETTINGS, networks=NetworkSettings(threads=1, device="cpu"))  # change nothing
    assert summary(batch(clips, output, task=replace(task(output), settings=threads))) == "3 clips: 3 complete"
    assert summary(batch(clips, output, task=replace(other, if_exists="adapt"))) == "3 clips: 3 complete"


def test_one_clip_of_other_settings_fails_alone_and_is_not_touched(
    clips: Path, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    forgetful = replace(SETTINGS, association=AssociationSettings(track_buffer_s=1.0))
    batch(clips / "clip 1", tmp_path, task=replace(task(tmp_path), settings=forgetful))
    by_hand = data_files(tmp_path)
    (tmp_path / "clip 0").mkdir()
    batch(clips / "clip 0", tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "clip 0").rename(tmp_path / "clip 0")
    table = batch(clips, tmp_path)
    assert [row.status for _, row in sorted(table.rows.items())] == ["complete", "failed", "complete"]
    assert "track_buffer_s was 1.0, now 2.0" in table.rows["clip 1"].warnings
    assert data_files(tmp_path) == undisturbed | by_hand


def test_a_full_disk_fails_the_clip_and_the_next_batch_continues_it(
    clips: Path, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    program = "import resource, signal, sys; from pathlib import Path\n"
    program += "from tests.batch_worlds import batch; from tracker.batch.table import summary\n"
    program += "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    program += "resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))\n"
    program += "print(summary(batch(Path(sys.argv[1]), Path(sys.argv[2]))))"
    command = [sys.executable, "-c", program, str(clips), str(tmp_path)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.stdout == "3 clips: 3 failed\n", done.stderr
    assert "File too large" in (tmp_path / "batch.csv").read_text()
    batch(clips, tmp_path)
    assert data_files(tmp_path) == undisturbed


def test_the_command_prints_a_table_and_returns_a_code(
    capsys: pytest.CaptureFixture[str], example_clip: Path, tmp_path: Path
) -> None:
    def code(*arguments: object) -> int:
        return exit_code("batch", *arguments, "-o", tmp_path / "out", "--end", 0.06, "--progress", "json")

    (tmp_path / "bad.mp4").write_bytes(b"")
    assert code(example_clip, tmp_path / "bad.mp4") == 3
    output = capsys.readouterr()
    assert "2 clips: " in output.out
    assert {json.loads(line)["clip"] for line in output.err.splitlines()} == {"bad", "pose2sim_cam01"}
    assert code() == 2
    assert code(example_clip, "--jobs", 0) == 2
    assert code(example_clip, "--estimator", "no_network") == 2
    assert "estimator was movenet_thunder, now no_network" in capsys.readouterr().err
    shutil.rmtree(tmp_path / "out")
    assert code(example_clip, "--estimator", "no_network") == 2
    assert "unknown estimator" in capsys.readouterr().err


def test_boxes_of_one_clip_are_refused_for_several(clips: Path, tmp_path: Path) -> None:
    settings = replace(SETTINGS, networks=NetworkSettings(detector="boxes:det.txt"))
    with pytest.raises(InputError, match=r"detector: boxes:det.txt has the boxes of one clip, got 3 clips"):
        batch(clips, tmp_path / "out", task=replace(task(tmp_path / "out"), settings=settings))
