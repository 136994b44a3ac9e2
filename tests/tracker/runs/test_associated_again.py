"""Ids assigned again with corrections: they hold, whatever the settings, and come and go with the operations."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from random import Random

import numpy as np
import pyarrow.parquet as pq
import pytest

from posetrail.errors import InputError
from posetrail.poses import TrackedPoses
from tests.corrected_runs import WALKERS, make_run, random_request, write_log
from tests.pose_frames import pose_frames
from tests.worlds import Walker, World, line
from tracker.association.corrections import pose_keys
from tracker.association.statements import statements
from tracker.frames import TrackedFrame
from tracker.io.importers import read_poses
from tracker.runs.corrected import CorrectedRun
from tracker.runs.corrections import corrections_of, keep_named_poses
from tracker.runs.follow import associate_again, follow_poses, follow_run
from tracker.runs.results import writers_of
from tracker.settings import AssociationSettings

SETTINGS = [
    AssociationSettings(),
    AssociationSettings(smooth="none"),
    AssociationSettings(offline=False),
    AssociationSettings(smooth="butterworth", max_interpolation_gap_s=0.5, max_link_gap_s=0.1),
    AssociationSettings(max_interpolation_gap_s=0.0, min_track_evidence=1000),
]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three people."""
    return make_run(tmp_path_factory.mktemp("runs") / "walkers")


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy of the run, to correct."""
    return Path(shutil.copytree(made, tmp_path / "run"))


def check(run: CorrectedRun) -> None:
    """What must hold of every corrected run after association."""
    clip, counting = run.clip, run._corrections.effective
    said = statements(counting, run.header.skeleton)
    keys = pose_keys(clip.frame_of_pose, clip.pose_rows)
    row_of = dict(zip(keys.tolist(), range(len(keys)), strict=True))
    assert not set(said.removed.tolist()) & row_of.keys()
    for key, joints in said.joints.items():
        for joint, xy in joints.items():
            if key in row_of and xy is None:
                assert np.isnan(clip.poses.keypoints[row_of[key], joint]).all()
            elif key in row_of:
                assert clip.poses.keypoints[row_of[key], joint].tolist() == list(xy or ())
    for key in said.pinned.tolist():
        assert key in row_of or key not in said.added
    for key, (name, _) in said.names.items():
        assert key not in row_of or clip.names[int(clip.track_ids[row_of[key]])] == name
    pairs = np.stack([clip.positions, clip.track_ids])
    assert len(np.unique(pairs, axis=1).T) == len(clip.poses)


@pytest.mark.parametrize("seed", range(6))
def test_corrections_hold_after_association_with_any_settings(folder: Path, seed: int) -> None:
    random = Random(seed)
    with CorrectedRun(folder) as run:
        for _ in range(40):
            try:
                run.apply(random_request(random, run.clip, run.revision))
            except InputError:
                continue
        check(run)
        for settings in (SETTINGS[seed % len(SETTINGS)], random.choice(SETTINGS)):
            associate_again(run, settings)
            assert not run.is_stale
            check(run)
            with (folder / "tracks.csv").open() as file:
                ids = {(int(row["frame"]), int(row["track_id"])) for row in csv.DictReader(file)}
            jointless = ~np.isfinite(run.clip.poses.keypoints).any(axis=(1, 2))
            own = zip(run.clip.frame_of_pose[~jointless].tolist(), run.clip.track_ids[~jointless].tolist(), strict=True)
            assert ids == set(own)
            for _ in range(10):
                try:
                    run.apply(random_request(random, run.clip, run.revision))
                except InputError:
                    continue
            check(run)


@pytest.mark.parametrize("seed", range(2))
def test_all_corrections_undone_give_the_first_files_byte_for_byte(folder: Path, seed: int) -> None:
    random = Random(seed)
    first = {name: (folder / name).read_bytes() for name in ("tracks.json", "tracks.csv")}
    numbers: list[int] = []
    with CorrectedRun(folder) as run:
        while len(numbers) < 50:
            request = random_request(random, run.clip, run.revision)
            try:
                if request["op"] != "undo":
                    run.apply(request)
                    numbers.append(run.revision)
            except InputError:
                continue
        associate_again(run)
        for number in numbers[25:][::-1]:
            run.apply({"op": "undo", "of": number})
    with CorrectedRun(folder) as run:
        for number in numbers[:25][::-1]:
            run.apply({"op": "undo", "of": number})
        assert run.is_stale == ((folder / "tracks.json").read_bytes() != first["tracks.json"])
        associate_again(run)
    assert {name: (folder / name).read_bytes() for name in first} == first


def test_one_swap_repairs_the_files_of_two_people_who_were_exchanged(tmp_path: Path) -> None:
    """Two people exchange places between two frames, so every tracker exchanges their ids; row k is walker k."""
    settings = AssociationSettings(smooth="none", max_interpolation_gap_s=0.0)
    places = [line((20, 60), (90, 0)), line((500, 75), (-90, 0))]
    paths = [lambda time_s, k=k: places[k if time_s < 1 else 1 - k](time_s) for k in range(2)]
    frames = pose_frames(World(tuple(map(Walker, paths)), num_frames=60))
    folder = make_run(tmp_path / "run", frames, settings)
    with CorrectedRun(folder) as run:
        assert run.clip.people(30).track_ids.tolist() == [2, 1]
        effect = run.apply({"op": "swap", "a": [30, 0], "b": [30, 1]})
        assert effect.text == "ids 2 and 1 exchange from frame 30 to the end: 2 x 30 poses"
        associate_again(run)
        header = run.header
    perfect = tmp_path / "perfect"
    perfect.mkdir()
    for name, writer in writers_of(perfect, header, ("posetrack18", "csv")).items():
        with writer as file:
            for frame in frames:
                people = TrackedPoses(frame.poses, np.arange(1, 3))
                file.add(TrackedFrame(frame.index, frame.time_s, frame.name, people))
        assert (folder / name).read_bytes() == (perfect / name).read_bytes()


def test_corrections_can_be_left_out_and_stay(folder: Path) -> None:
    first = (folder / "tracks.csv").read_bytes()
    with CorrectedRun(folder) as run:
        run.apply({"op": "remove", "pose": [30, 0], "scope": "track"})
    follow_run(folder, AssociationSettings())
    assert (folder / "tracks.csv").read_bytes() != first
    follow_run(folder, AssociationSettings(), corrections=False)
    assert (folder / "tracks.csv").read_bytes() == first
    with CorrectedRun(folder) as run:
        assert run.is_stale
        assert run.revision == 1


def test_corrections_come_along_to_another_folder(folder: Path, tmp_path: Path) -> None:
    with CorrectedRun(folder) as run:
        run.apply({"op": "name", "pose": [30, 0], "name": "Ada"})
    follow_run(folder, AssociationSettings(offline=False), output=tmp_path / "online")
    with CorrectedRun(tmp_path / "online") as run:
        assert list(run.clip.names.values()) == ["Ada"]
        assert not run.is_stale


def test_names_are_in_the_tables_and_in_coco(folder: Path) -> None:
    with CorrectedRun(folder) as run:
        run.apply({"op": "name", "pose": [30, 0], "name": 'Ada, "the first"'})
    follow_run(folder, AssociationSettings(), more_formats=("coco", "parquet"))
    with CorrectedRun(folder) as run:
        (named,) = run.clip.names
    with (folder / "tracks.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["name"] for row in rows if int(row["track_id"]) == named} == {'Ada, "the first"'}
    assert {row["name"] for row in rows if int(row["track_id"]) != named} == {""}
    table = pq.read_table(folder / "tracks.parquet").to_pylist()
    assert [row["name"] for row in table] == [row["name"] for row in rows]
    annotations = json.loads((folder / "tracks.coco.json").read_text())["annotations"]
    assert {"name" in each for each in annotations if each["track_id"] == named} == {True}
    assert {"name" in each for each in annotations if each["track_id"] != named} == {False}
    assert len(read_poses(folder / "tracks.csv").header.skeleton) == 17


def test_corrections_are_transferred_over_to_other_poses(folder: Path, made: Path, tmp_path: Path) -> None:
    with CorrectedRun(folder) as run:
        for position, track_id, name in ((30, 1, "Ada"), (55, 2, "Ben")):
            row = run.clip.people(position).track_ids.tolist().index(track_id)
            run.apply({"op": "name", "pose": [position, row], "name": name})
        place = [12.5, 34.0]
        row = run.clip.people(12).track_ids.tolist().index(3)
        run.apply({"op": "move", "pose": [12, row], "joint": "nose", "xy": place})
    keep_named_poses(folder)
    frames = [frame for frame in pose_frames(WALKERS, shuffle=8) if frame.index != 55]
    shutil.copyfile(write_log(tmp_path / "again", frames) / "poses.arrow", folder / "poses.arrow")
    (folder / "run.json").unlink()
    with pytest.raises(InputError, match="carry-corrections"):
        corrections_of(folder)
    outcome = follow_poses(folder, AssociationSettings())
    assert any("names poses of another pose log" in warning for warning in outcome.warnings)
    outcome = follow_run(folder, AssociationSettings(), carry=True)
    assert any("correction 2 was not transferred: id 2 is named 'Ben'" in warning for warning in outcome.warnings)
    with CorrectedRun(folder) as run:
        check(run)
        assert list(run.clip.names.values()) == ["Ada"]
        assert (run.clip.people(12).poses.keypoints[:, 0] == place).all(axis=1).any()
        assert run.revision == 3
