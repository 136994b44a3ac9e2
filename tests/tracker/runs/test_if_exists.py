"""What `track` and `batch` make of an earlier run in the folder: one table for both."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from posetrail.errors import InputError
from posetrail.weights import Weights
from tests import batch_worlds
from tests.batch_worlds import WORLD, batch
from tests.command_line import exit_code
from tests.conftest import REPOSITORY
from tests.worlds import PowerCut, TruthDetector, World, power_cut_after, write_images
from tracker.io.pose_log import PoseLogHeader, places
from tracker.io.video import Source, open_source
from tracker.runs import networks as networks_module
from tracker.runs.draw import draw_run
from tracker.runs.folder import run_clip
from tracker.runs.follow import follow_run
from tracker.runs.networks import Networks
from tracker.runs.record import Outcome
from tracker.runs.resume import IfExists, find_reusable
from tracker.settings import AssociationSettings, InferenceSettings, NetworkSettings, Settings

SETTINGS = replace(batch_worlds.SETTINGS, networks=NetworkSettings(estimator="onnx:a/pose.onnx"))
FORGETFUL = replace(SETTINGS, association=AssociationSettings(track_buffer_s=1.0))
RENAMED = replace(
    SETTINGS,
    networks=NetworkSettings(
        estimator="onnx:b.onnx",
        estimator_weights=Path("pose.pth"),
        detector_weights=Path("boxes.pth"),
        appearance_weights=Path("osnet.pth"),
    ),
    inference=replace(SETTINGS.inference, flow_weights=Path("raft.pth")),
)
SHORT = World(WORLD.walkers, 18, size=WORLD.size)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two recordings of one name, and a copy of the first."""
    folder = tmp_path_factory.mktemp("clips")
    write_images(SHORT, folder / "mon" / "cam1")
    write_images(replace(SHORT, num_frames=17, textures=[]), folder / "tue" / "cam1")
    write_images(SHORT, folder / "copy" / "cam1")
    return folder


def networks(settings: Settings = SETTINGS, content: str = "1") -> Networks:
    with batch_worlds.truth(settings) as truth:
        name = Path(settings.networks.estimator).name
        weights = Weights(name=name, path=Path(name), sha256=content * 64, licence="", source="", about="")
        return replace(truth, weights=(weights,))


def run(clip: Path, output: Path, settings: Settings = SETTINGS, **options: object) -> Outcome:
    part = {name: options.pop(name) for name in ("stride", "start_s", "fps") if name in options}
    source = open_source(clip, **part)  # type: ignore[arg-type]
    looking = options.pop("networks", None) or networks(settings)
    return run_clip(source, output / source.name, looking, settings, **options)  # type: ignore[arg-type]


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def images_seen(clip: Path, output: Path, settings: Settings = SETTINGS, **options: object) -> tuple[Outcome, int]:
    """How a run ended, and in how many images its detector looked."""
    looking = networks(settings)
    outcome = run(clip, output, settings, networks=looking, **options)
    assert isinstance(looking.detector, TruthDetector)
    return outcome, looking.detector.images_seen


# The table ------------------------------------------------------------------------------------------------------------

NOTHING, UNFINISHED, STOPPED, FINISHED = "nothing", "killed", "stopped by hand", "finished"
RUN, CONTINUE, LEAVE, ASSOCIATE, REFUSE = "run", "continue", "leave", "associate", "refuse"


@dataclass(frozen=True)
class Now:
    """What is asked for, beside the run that is there."""

    clip: str = "mon"
    settings: Settings = SETTINGS
    content: str = "1"  # of the weights
    version: str = ""
    formats: tuple[str, ...] = ("posetrack18", "csv")
    stride: int = 1


OTHER_QUEUE = Now(settings=replace(SETTINGS, inference=InferenceSettings(queue_frames=2)))

TABLE: list[tuple[str, Now, dict[IfExists, str]]] = [
    (NOTHING, Now(), {"associate": RUN, "continue": RUN, "adapt": RUN, "replace": RUN}),
    (UNFINISHED, Now(), {"associate": CONTINUE, "continue": CONTINUE, "adapt": CONTINUE, "replace": RUN}),
    (STOPPED, Now(), {"associate": CONTINUE, "continue": CONTINUE, "adapt": CONTINUE, "replace": RUN}),
    (FINISHED, Now(), {"associate": LEAVE, "continue": LEAVE, "adapt": LEAVE, "replace": RUN}),
    # Another version of posetrail.
    (UNFINISHED, Now(version="9.9"), {"associate": RUN, "continue": RUN, "adapt": RUN, "replace": RUN}),
    (STOPPED, Now(version="9.9"), {"associate": RUN, "continue": RUN, "adapt": RUN, "replace": RUN}),
    (FINISHED, Now(version="9.9"), {"associate": LEAVE, "continue": LEAVE, "adapt": LEAVE, "replace": RUN}),
    # Another clip, and a copy of the same one.
    (UNFINISHED, Now("tue"), {"associate": REFUSE, "continue": REFUSE, "adapt": RUN, "replace": RUN}),
    (STOPPED, Now("tue"), {"associate": REFUSE, "continue": REFUSE, "adapt": RUN, "replace": RUN}),
    (FINISHED, Now("tue"), {"associate": REFUSE, "continue": REFUSE, "adapt": RUN, "replace": RUN}),
    (UNFINISHED, Now("copy"), {"associate": CONTINUE, "continue": CONTINUE, "adapt": CONTINUE, "replace": RUN}),
    (FINISHED, Now("copy"), {"associate": LEAVE, "continue": LEAVE, "adapt": LEAVE, "replace": RUN}),
    # Other settings of inference and of association; another part of the clip.
    *(
        (there, now, {"associate": REFUSE, "continue": REFUSE, "adapt": RUN, "replace": RUN})
        for there in (UNFINISHED, STOPPED, FINISHED)
        for now in (OTHER_QUEUE, Now(stride=2), Now(content="2"))
    ),
    (FINISHED, Now(settings=FORGETFUL), {"associate": ASSOCIATE, "continue": REFUSE, "adapt": ASSOCIATE}),
    (STOPPED, Now(settings=FORGETFUL), {"associate": CONTINUE, "continue": REFUSE, "adapt": CONTINUE}),
    (FINISHED, Now(formats=("csv", "mot")), {"associate": ASSOCIATE, "continue": ASSOCIATE, "adapt": ASSOCIATE}),
    # The same weights under another path.
    (FINISHED, Now(settings=RENAMED), {"associate": LEAVE, "continue": LEAVE}),
    (FINISHED, Now(settings=RENAMED, content="2"), {"associate": REFUSE, "continue": REFUSE}),
]  # fmt: skip


@pytest.fixture(scope="module")
def there(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder with each kind of earlier run in it; no row of the table changes anything there."""
    outputs = {kind: tmp_path_factory.mktemp("there") for kind in (NOTHING, UNFINISHED, STOPPED, FINISHED)}
    power_cut, seen = power_cut_after(17), list[int]()
    with pytest.raises(PowerCut):
        run(clips / "mon" / "cam1", outputs[UNFINISHED], on_frame=power_cut)
    run(clips / "mon" / "cam1", outputs[STOPPED], on_frame=seen.append, stopped=lambda: len(seen) == 17)
    run(clips / "mon" / "cam1", outputs[FINISHED])
    return {kind: output / "cam1" for kind, output in outputs.items()}


def header(source: Source, now: Now) -> PoseLogHeader:
    from tracker.runs.infer import header_of

    made = header_of(source, networks(now.settings, now.content), now.settings)
    return replace(made, posetrail_version=now.version or made.posetrail_version)


@pytest.mark.parametrize("row", range(len(TABLE)))
def test_if_exists_decides_about_an_earlier_run(there: dict[str, Path], clips: Path, row: int) -> None:
    kind, now, expected = TABLE[row]
    folder, source = there[kind], open_source(clips / now.clip / "cam1", stride=now.stride)
    before = files(folder) if folder.is_dir() else {}
    made: dict[IfExists, str] = {}
    for if_exists in expected:
        try:
            reuse = find_reusable(
                folder, source, header(source, now), now.settings.association,
                formats=now.formats, video=False, if_exists=if_exists,
            )  # fmt: skip
        except InputError as error:
            made[if_exists] = REFUSE if "--redo" in str(error) and "\n" not in str(error) else str(error)
        else:
            made[if_exists] = (
                LEAVE if reuse.is_up_to_date else ASSOCIATE if reuse.record else CONTINUE if reuse.after else RUN
            )
    assert made == expected
    assert (files(folder) if folder.is_dir() else {}) == before


# What is done then ----------------------------------------------------------------------------------------------------


def test_a_finished_run_is_left_as_it_is_to_the_byte(clips: Path, tmp_path: Path) -> None:
    run(clips / "mon" / "cam1", tmp_path, video=True)
    before = files(tmp_path / "cam1")
    outcome, seen = images_seen(clips / "mon" / "cam1", tmp_path)  # without the video
    assert (outcome.reused, seen) == ("nothing to do; --redo starts again", 0)
    assert "video.mp4" in outcome.files
    assert files(tmp_path / "cam1") == before


def test_other_association_settings_need_no_inference_and_no_stale_video_stays(clips: Path, tmp_path: Path) -> None:
    run(clips / "mon" / "cam1", tmp_path, video=True, formats=("csv", "mot"))
    outcome, seen = images_seen(clips / "mon" / "cam1", tmp_path, FORGETFUL, formats=("csv",))
    assert seen == 0
    assert outcome.reused == "associated again from the pose log (track_buffer_s was 2.0, now 1.0)"
    assert outcome.files == ("poses.arrow", "tracks.csv", "tracks.mot.txt", "run.json")
    (warning,) = outcome.warnings
    assert warning.startswith("video.mp4: removed, because it showed other tracks; `posetrail draw ")
    assert not (tmp_path / "cam1" / "video.mp4").exists()
    run(clips / "mon" / "cam1", tmp_path / "directly", FORGETFUL, formats=("csv", "mot"))
    for name in ("poses.arrow", "tracks.csv", "tracks.mot.txt"):
        assert files(tmp_path / "cam1")[name] == files(tmp_path / "directly" / "cam1")[name]
    draw_run(tmp_path / "cam1")
    told = json.loads((tmp_path / "cam1" / "run.json").read_text())
    assert "video.mp4" in told["files"]
    assert told["warnings"] == []


def test_only_what_is_missing_is_made(clips: Path, tmp_path: Path) -> None:
    clip, folder = clips / "mon" / "cam1", tmp_path / "cam1"
    run(clip, tmp_path, formats=("csv",))
    before = (folder / "tracks.csv").stat()
    outcome, seen = images_seen(clip, tmp_path, formats=("csv", "mot"))
    assert (outcome.files, seen) == (("poses.arrow", "tracks.csv", "tracks.mot.txt", "run.json"), 0)
    outcome, seen = images_seen(clip, tmp_path, formats=("csv",), video=True)  # draws only
    assert (outcome.files[-1], outcome.people, seen) == ("video.mp4", 2, 0)
    drawn = (folder / "video.mp4").stat()
    outcome, seen = images_seen(clip, tmp_path, formats=("csv", "coco"))
    assert (outcome.files[-1], outcome.warnings, seen) == ("video.mp4", (), 0)
    assert (folder / "tracks.csv").stat() == before
    assert (folder / "video.mp4").stat() == drawn
    follow_run(folder, SETTINGS.association)  # the same ids
    assert (folder / "video.mp4").stat() == drawn
    assert "removed" in follow_run(folder, FORGETFUL.association).warnings[0]


def test_files_of_another_version_are_not_mixed_with_new_ones(clips: Path, tmp_path: Path) -> None:
    clip, folder = clips / "mon" / "cam1", tmp_path / "cam1"
    run(clip, tmp_path, formats=("csv",), video=True)
    told = json.loads((folder / "run.json").read_text())
    told["versions"]["posetrail"] = "0.0.1"
    (folder / "run.json").write_text(json.dumps(told))
    (folder / "tracks.csv").write_text("of the other version")
    assert images_seen(clip, tmp_path, formats=("csv",))[0].reused.startswith("nothing to do")
    outcome, seen = images_seen(clip, tmp_path, formats=("csv", "mot"))
    assert seen == 0
    assert (folder / "tracks.csv").read_text() != "of the other version"
    assert "video.mp4: removed" in outcome.warnings[0]


def test_a_log_that_cannot_be_read_is_inferred_again(clips: Path, tmp_path: Path) -> None:
    run(clips / "mon" / "cam1", tmp_path)
    whole = files(tmp_path / "cam1")
    for if_exists in ("associate", "continue", "adapt", "replace"):
        (tmp_path / "cam1" / "poses.arrow").write_bytes(b"no Arrow")
        assert run(clips / "mon" / "cam1", tmp_path, if_exists=if_exists).status == "complete"
        assert {**files(tmp_path / "cam1"), "run.json": b""} == {**whole, "run.json": b""}


def test_a_log_that_cannot_be_read_does_not_let_another_clip_in(clips: Path, tmp_path: Path) -> None:
    run(clips / "mon" / "cam1", tmp_path)
    (tmp_path / "cam1" / "poses.arrow").write_bytes(b"no Arrow")
    before = files(tmp_path / "cam1")
    with pytest.raises(InputError, match="--redo"):
        run(clips / "tue" / "cam1", tmp_path)
    assert files(tmp_path / "cam1") == before


@pytest.mark.parametrize("content", [b"{", b""])
def test_a_run_json_that_cannot_be_read_is_made_again(clips: Path, tmp_path: Path, content: bytes) -> None:
    run(clips / "mon" / "cam1", tmp_path)
    whole = files(tmp_path / "cam1")
    for if_exists in ("associate", "continue", "adapt", "replace"):
        (tmp_path / "cam1" / "run.json").write_bytes(content)
        assert run(clips / "mon" / "cam1", tmp_path, if_exists=if_exists).status == "complete"
        assert {**files(tmp_path / "cam1"), "run.json": b""} == {**whole, "run.json": b""}


@pytest.mark.parametrize("prefix", ["onnx:", ""])
def test_a_batch_knows_weights_by_their_content(clips: Path, tmp_path: Path, prefix: str) -> None:
    first, copy, other = (tmp_path / name for name in ("a.onnx", "b.onnx", "c.onnx"))
    first.write_bytes(b"weights")
    copy.write_bytes(b"weights")
    other.write_bytes(b"others")
    from posetrail.files import digest
    from tracker.batch.batch import refuse_other_settings
    from tracker.batch.clip_list import find_clips

    def task(path: Path):  # type: ignore[no-untyped-def]
        settings = replace(SETTINGS, networks=NetworkSettings(estimator=f"{prefix}{path}"))
        return replace(batch_worlds.task(tmp_path / "out"), settings=settings)

    settings = task(first).settings
    looking = networks(settings)
    looking = replace(looking, weights=(replace(looking.weights[0], sha256=digest(first)),))
    run(clips / "mon" / "cam1", tmp_path / "out", settings, networks=looking)
    listed = find_clips([clips / "mon" / "cam1"], tmp_path / "out")
    refuse_other_settings(listed, task(first))
    refuse_other_settings(listed, task(copy))
    with pytest.raises(InputError, match="weights of estimator were others than"):
        refuse_other_settings(listed, task(other))
    first.write_bytes(b"others")
    with pytest.raises(InputError, match="weights of estimator were others than"):
        refuse_other_settings(listed, task(first))


# The command ----------------------------------------------------------------------------------------------------------


def posetrail(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """The command with networks that read the truth."""
    monkeypatch.setattr(networks_module, "open_networks", batch_worlds.truth)
    return exit_code(*arguments)


def test_two_recordings_of_one_name_do_not_replace_one_another(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def track(*arguments: object) -> tuple[int, str, list[str]]:
        code = posetrail(monkeypatch, "track", *arguments, "-o", tmp_path, "--progress", "none")
        told = capsys.readouterr()
        return code, told.out, told.err.splitlines()

    mon, tue, folder = clips / "mon" / "cam1", clips / "tue" / "cam1", tmp_path / "cam1"
    assert track(mon)[0] == 0
    before = files(folder)
    code, _, (line,) = track(tue)
    assert code == 2
    assert str(mon) in line
    assert str(tue) in line
    code, _, (line,) = track(mon, "--end", 0.3)
    assert (code, "end_s was None, now 0.3" in line) == (2, True)
    code, _, (line,) = track(mon, "--detect-every", 3)
    assert (code, "detect_every was None, now 3" in line) == (2, True)
    code, out, err = track(mon)
    assert (code, err) == (0, [])
    assert out.splitlines()[0] == f"{folder}: 18 frames, 2 people; nothing to do; --redo starts again"
    assert files(folder) == before
    code, out, err = track(mon, "--track-buffer-s", 1)
    assert (code, err) == (0, [])
    assert "associated again from the pose log (track_buffer_s was 2.0, now 1.0)" in out
    assert track(tue, "--redo")[0] == 0
    assert json.loads((folder / "run.json").read_text())["input"]["path"] == str(tue)


@pytest.mark.skipif(os.name != "posix", reason="kills a process")
def test_a_killed_track_continues_with_the_same_bytes(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = write_images(WORLD, tmp_path / "clip")
    command = [sys.executable, "-m", "tests.track_command", "20", "track", clip, "-o", tmp_path / "out"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, check=False)
    assert done.returncode == -9, done.stderr
    assert len(list(places(tmp_path / "out" / "clip" / "poses.arrow"))) == 20
    assert posetrail(monkeypatch, "track", clip, "-o", tmp_path / "out") == 0
    assert "continued after the first 20 frames of an earlier run" in capsys.readouterr().out
    assert posetrail(monkeypatch, "track", clip, "-o", tmp_path / "undisturbed") == 0
    undisturbed = files(tmp_path / "undisturbed" / "clip")
    assert files(tmp_path / "out" / "clip").keys() == undisturbed.keys()
    for name in ("poses.arrow", "tracks.json", "tracks.csv"):
        assert (tmp_path / "out" / "clip" / name).read_bytes() == undisturbed[name]


def test_a_batch_finds_what_track_has_done_and_track_what_a_batch_has(clips: Path, tmp_path: Path) -> None:
    clip = clips / "mon" / "cam1"
    task = replace(batch_worlds.task(tmp_path), more_formats=())
    table = batch(clip, tmp_path, task=task)
    assert table.rows["cam1"].status == "complete"
    with batch_worlds.truth(batch_worlds.SETTINGS) as looking:
        outcome = run_clip(open_source(clip), tmp_path / "cam1", looking, batch_worlds.SETTINGS)
    assert outcome.reused.startswith("nothing to do")
    before = files(tmp_path / "cam1")
    assert batch(clip, tmp_path, task=task).rows["cam1"].status == "complete"
    assert files(tmp_path / "cam1") == before
