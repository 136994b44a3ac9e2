"""A finished run whose log or run.json is damaged: inferred again from the damage on, or refused; never shortened."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posetrail.errors import InputError
from posetrail.poses import Poses
from posetrail.skeletons import Skeleton
from tests.batch_worlds import SETTINGS, WORLD, batch, data_files, task, truth, write_clips
from tests.worlds import TruthDetector, TruthEstimator, write_images
from tracker.io.pose_log import places, read_pose_log
from tracker.io.video import Source, open_source
from tracker.io.writers import WRITERS
from tracker.runs.draw import draw_run
from tracker.runs.folder import run_clip
from tracker.runs.follow import follow_poses, follow_run
from tracker.runs.images import open_input
from tracker.runs.networks import Networks
from tracker.runs.record import OtherSchema, Outcome, read_record, write_record
from tracker.runs.segments import cut, infer_segment
from tracker.settings import AssociationSettings

END_MARK = b"\xff\xff\xff\xff\0\0\0\0"


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_images(WORLD, tmp_path_factory.mktemp("worlds") / "two walkers")


def run(source: Source, folder: Path, networks: Networks | None = None, **options: Any) -> Outcome:
    with truth(SETTINGS) as ours:
        options = {"if_exists": "continue", **options}
        return run_clip(source, folder, networks or ours, SETTINGS, **options)


@pytest.fixture(scope="module")
def undisturbed(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed") / "clip"
    run(open_source(images), folder)
    return folder


@pytest.fixture
def finished(undisturbed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(undisturbed, tmp_path / "out" / "clip"))


def half(log: Path) -> bytes:
    """A whole log of fewer frames, as a writer without run.json in mind would end it."""
    frames = list(places(log))
    return log.read_bytes()[: frames[len(frames) // 2].end] + END_MARK


def zeroed(log: Path) -> bytes:
    content = log.read_bytes()
    return content[: len(content) // 2] + bytes(64) + content[len(content) // 2 + 64 :]


DAMAGES: dict[str, Callable[[Path], bytes]] = {
    "cut off": lambda log: log.read_bytes()[: log.stat().st_size // 2],
    "shortened": half,
    "zeroed": zeroed,
    "without its end mark": lambda log: log.read_bytes()[:-8],
    "cut off in its header": lambda log: log.read_bytes()[:300],
    "empty": lambda log: b"",
}
EVERY_DAMAGE = pytest.mark.parametrize("damage", DAMAGES.values(), ids=list(DAMAGES))


@EVERY_DAMAGE
def test_a_damaged_log_is_inferred_again_from_the_damage_on(
    images: Path, undisturbed: Path, finished: Path, damage: Callable[[Path], bytes]
) -> None:
    (finished / "poses.arrow").write_bytes(damage(finished / "poses.arrow"))
    outcome = run(open_source(images), finished)
    assert (outcome.status, outcome.frames) == ("complete", 22)
    assert "poses.arrow" in outcome.warnings[0]
    assert data_files(finished) == data_files(undisturbed)


def test_frames_before_the_damage_are_not_inferred_again(images: Path, finished: Path) -> None:
    (finished / "poses.arrow").write_bytes(half(finished / "poses.arrow"))
    with truth(SETTINGS) as networks:
        detector = TruthDetector(WORLD)
        run(open_source(images), finished, replace(networks, detector=detector))
    assert detector.images_seen == 5  # every second of the frames from 12 to 21


@EVERY_DAMAGE
def test_a_damaged_log_is_not_followed_saved_or_drawn(
    images: Path, finished: Path, damage: Callable[[Path], bytes]
) -> None:
    (finished / "poses.arrow").write_bytes(damage(finished / "poses.arrow"))
    before = {path.name: path.read_bytes() for path in finished.iterdir()}
    new = finished.parent / "new"
    for attempt in (
        lambda: follow_run(finished, AssociationSettings(offline=False)),
        lambda: follow_run(finished, AssociationSettings(), more_formats=("mot",)),
        lambda: follow_poses(finished, AssociationSettings(), output=new),
        lambda: draw_run(finished),
    ):
        with pytest.raises(InputError, match=r"poses\.arrow") as caught:
            attempt()
        assert "\n" not in str(caught.value)
    assert {path.name: path.read_bytes() for path in finished.iterdir()} == before
    assert not new.exists()


def test_a_damaged_log_names_the_command_that_infers_the_rest(images: Path, finished: Path) -> None:
    log = finished / "poses.arrow"
    whole = log.read_bytes()
    log.write_bytes(half(log))
    with pytest.raises(InputError, match=f"only the first 12 of its 22 frames.*track '{images}' -o {finished.parent}"):
        follow_run(finished, AssociationSettings())
    told = json.loads((finished / "run.json").read_text())
    told["input"]["path"] = "/nowhere/clip.mp4"
    (finished / "run.json").write_text(json.dumps(told))
    with pytest.raises(InputError, match=r"its input /nowhere/clip.mp4 is gone"):
        follow_run(finished, AssociationSettings())
    log.write_bytes(whole)
    follow_run(finished, AssociationSettings())
    of_poses = follow_poses(finished / "tracks.json", AssociationSettings(), output=finished.parent / "poses").folder
    (of_poses / "poses.arrow").write_bytes(half(of_poses / "poses.arrow"))
    with pytest.raises(InputError, match=f"posetrail follow {finished / 'tracks.json'} -o {of_poses}"):
        follow_run(of_poses, AssociationSettings())


def test_a_finished_run_of_an_older_format_asks_for_redo(images: Path, undisturbed: Path, finished: Path) -> None:
    log = finished / "poses.arrow"
    log.write_bytes(log.read_bytes().replace(b'"format_version": 4', b'"format_version": 2'))
    before = (finished / "tracks.json").read_bytes()
    with pytest.raises(InputError, match=r"expected format 4, got format 2.*--redo"):
        run(open_source(images), finished)
    assert (finished / "tracks.json").read_bytes() == before
    (finished / "run.json").rename(finished / "kept.json")
    run(open_source(images), finished)  # of a run that did not finish nothing is lost
    (finished / "kept.json").unlink()
    assert data_files(finished) == data_files(undisturbed)


def test_segments_are_joined_only_if_they_are_whole(images: Path, tmp_path: Path) -> None:
    source = open_source(images, fps=4.0)
    segments = cut(source, SETTINGS.inference, 2.0)
    run(source, tmp_path / "undisturbed", segments=segments)
    folder = tmp_path / "clip"
    with truth(SETTINGS) as networks:
        infer_segment(segments[0], source, folder, networks, SETTINGS)
    log = folder / "segments" / segments[0].name / "poses.arrow"
    log.write_bytes(half(log))
    run(source, folder, segments=segments)
    assert data_files(folder) == data_files(tmp_path / "undisturbed")
    (folder / "poses.arrow").write_bytes(half(folder / "poses.arrow"))
    run(source, folder, segments=segments)
    assert data_files(folder) == data_files(tmp_path / "undisturbed")


def test_a_skeleton_of_ones_own_is_tracked_followed_and_drawn(images: Path, tmp_path: Path) -> None:
    own = Skeleton(
        name="stick",
        joints=("top", "l_arm", "r_arm", "l_leg", "r_leg"),
        limbs=(("top", "l_arm"), ("top", "r_arm"), ("top", "l_leg"), ("top", "r_leg")),
        oks_sigmas=(0.05, 0.07, 0.07, 0.08, 0.08),
        mirror_pairs=(("l_arm", "r_arm"), ("l_leg", "r_leg")),
    )

    class OwnEstimator(TruthEstimator):
        skeleton = own  # type: ignore[assignment]

        def _place(self, index: int, boxes: np.ndarray) -> Poses:
            poses, joints = super()._place(index, boxes), [0, 9, 10, 15, 16]
            return replace(
                poses, keypoints=poses.keypoints[:, joints], keypoint_scores=poses.keypoint_scores[:, joints]
            )

    with truth(SETTINGS) as networks:
        outcome = run(open_source(images), tmp_path / "clip", replace(networks, estimator=OwnEstimator(WORLD)))
    assert outcome.people == 2
    assert read_pose_log(tmp_path / "clip" / "poses.arrow")[0].skeleton == own
    before = data_files(tmp_path / "clip")
    assert follow_run(tmp_path / "clip", AssociationSettings()).people == 2
    assert data_files(tmp_path / "clip") == before
    assert draw_run(tmp_path / "clip").stat().st_size


# run.json -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("redo", [False, True])
def test_a_broken_run_json_never_ends_a_batch(tmp_path: Path, redo: bool) -> None:
    clips, output = write_clips(tmp_path / "in", 1), tmp_path / "out"
    for name in ("clip 1", "clip 2"):
        shutil.copytree(clips / "clip 0", clips / name)
    batch(clips, output)
    files = data_files(output)
    content = json.loads((output / "clip 1" / "run.json").read_text())
    texts = ['{"a":' * 5000] if redo else ["", json.dumps({**content, "settings": None})]
    again = replace(task(output), if_exists="adapt" if redo else "continue")
    for text in texts:
        (output / "clip 1" / "run.json").write_text(text)
        table = batch(clips, output, task=again)
        assert [row.status for row in table.rows.values()] == ["complete"] * 3
        assert "run.json" in table.rows["clip 1"].warnings
        assert data_files(output) == files
        assert read_record(output / "clip 1").status == "complete"


@pytest.mark.parametrize(("version", "got"), [(2, "2"), (0, "0"), (None, "none"), ("1", "none"), (1e99, "none")])
def test_a_run_json_of_another_schema_version_is_refused(
    images: Path, finished: Path, version: object, got: str
) -> None:
    content = json.loads((finished / "run.json").read_text())
    (finished / "run.json").write_text(json.dumps({**content, "schema_version": version}))
    before = {path.name: path.read_bytes() for path in finished.iterdir()}
    expected = f"expected schema_version 1, got {got}; another posetrail wrote it; track again with --redo"
    for attempt in (
        lambda: read_record(finished),
        lambda: run(open_source(images), finished),
        lambda: follow_run(finished, AssociationSettings()),
        lambda: draw_run(finished),
    ):
        with pytest.raises(OtherSchema, match=expected):
            attempt()
    assert {path.name: path.read_bytes() for path in finished.iterdir()} == before
    run(open_source(images), finished, if_exists="replace")
    assert read_record(finished).schema_version == 1


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("status", None, "'status' cannot be 'None'"),
        ("finished", 1, "'finished' cannot be '1'"),
        ("files", ["../x"], "'files' cannot be '../x'"),
        ("warnings", ["video.mp4: text"], "'warnings' cannot be 'video.mp4: text'"),
        ("warnings", [{"file": "video.mp4"}], "has no 'text'"),
        ("figures", {"frames": 1}, "has no 'people'"),
        ("input", {"path": "x"}, "has no 'kind'"),
        ("input", {"kind": "clip", "path": "x"}, "has no 'fingerprint'"),
        ("pose_log", {"frames": 1}, "has no 'checksum'"),
    ],
)
def test_a_wrong_value_in_run_json_is_named(finished: Path, key: str, value: object, expected: str) -> None:
    content = json.loads((finished / "run.json").read_text())
    (finished / "run.json").write_text(json.dumps({**content, key: value}))
    with pytest.raises(InputError, match=r"run\.json: ") as refused:
        read_record(finished)
    assert expected in str(refused.value)
    (finished / "run.json").write_text(json.dumps({name: each for name, each in content.items() if name != key}))
    with pytest.raises(InputError, match=f"has no {key!r}"):
        read_record(finished)


def test_a_record_is_read_as_it_was_written(finished: Path) -> None:
    record = read_record(finished)
    assert (record.finished, record.status, record.figures.people) == (True, "complete", 2)
    before = (finished / "run.json").read_bytes()
    write_record(finished, record)
    assert (finished / "run.json").read_bytes() == before


def mutations(value: Any) -> st.SearchStrategy[Any]:
    """The same JSON with one value, somewhere, replaced or left out."""
    anything = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("\ud800"),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
        max_leaves=3,
    )
    if isinstance(value, dict) and value:
        keys = st.sampled_from(sorted(value))
        changed = keys.flatmap(lambda key: mutations(value[key]).map(lambda new: {**value, key: new}))
        left_out = keys.map(lambda key: {name: each for name, each in value.items() if name != key})
        return anything | changed | changed | left_out
    return anything


def test_whatever_run_json_says_is_read_or_refused_in_one_line(undisturbed: Path, tmp_path: Path) -> None:
    content = json.loads((undisturbed / "run.json").read_text())

    @settings(max_examples=60, deadline=None)
    @given(mutations(content))
    def check(mutated: Any) -> None:
        (tmp_path / "run.json").write_text(json.dumps(mutated))
        try:
            record = read_record(tmp_path)
            assert Outcome.of(tmp_path, record).status == record.status
            assert set(record.formats) <= set(WRITERS)
            assert record.association_settings
            open_input(record, None)
        except InputError as error:
            assert "\n" not in str(error)  # noqa: PT017 most mutations are refused, not all

    check()


# Power cuts -----------------------------------------------------------------------------------------------------------


def test_the_log_is_on_the_disk_before_run_json_appears(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[tuple[str, str | int]] = []
    fsync, rename = os.fsync, os.replace

    def synced(file: int) -> None:
        fsync(file)
        events.append(("sync", os.fstat(file).st_ino))

    def replaced(source: Any, target: Any, **options: Any) -> None:
        rename(source, target, **options)
        events.append(("name", Path(target).name))

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", replaced)
    folder = tmp_path / "clip"
    run(open_source(images), folder)
    log, entry = (("sync", path.stat().st_ino) for path in (folder / "poses.arrow", folder))
    run_json = events.index(("name", "run.json"))
    assert events.index(log) < events.index(entry, events.index(log)) < run_json
    for name in ("tracks.json", "tracks.csv"):
        assert events.index(("sync", (folder / name).stat().st_ino)) < events.index(("name", name)) < run_json
    assert events[-1] == entry  # the name of run.json itself
