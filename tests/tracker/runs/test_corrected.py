"""Corrections of a run: what each operation does, undo, two writers, and what survives."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from posetrail.errors import InputError
from tests.corrected_runs import make_run, random_request
from tracker.association.corrections import from_json, to_json
from tracker.association.overlay import corrected
from tracker.io.corrections_log import CorrectionsHeader
from tracker.runs.corrected import CorrectedRun, OutOfDate
from tracker.tracked_clip import TrackedClip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three people."""
    return make_run(tmp_path_factory.mktemp("runs") / "walkers")


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy of the run, to correct."""
    return Path(shutil.copytree(made, tmp_path / "run"))


def pose(clip: TrackedClip, position: int, track_id: int) -> list[int]:
    """The pose of a person as a request names it."""
    return [position, clip.people(position).track_ids.tolist().index(track_id)]


def frames_of(clip: TrackedClip, track_id: int) -> set[int]:
    """The numbers of the frames with a person."""
    return set(clip.frame_of_pose[clip.track_ids == track_id].tolist())


def state(clip: TrackedClip) -> list[Any]:
    """All that can differ between two clips."""
    poses = clip.poses
    arrays = (clip.begins, clip.track_ids, clip.interpolated, clip.pose_rows, poses.keypoints, poses.keypoint_scores)
    return [*(each.tobytes() for each in arrays), dict(clip.names)]


def test_a_swap_exchanges_two_ids_from_a_frame_on(folder: Path) -> None:
    with CorrectedRun(folder, by="me") as run:
        before = run.clip
        effect = run.apply({"op": "swap", "a": pose(before, 30, 1), "b": pose(before, 30, 2)}, 0)
        assert effect.text == "ids 1 and 2 exchange from frame 30 to the end: 2 x 30 poses"
        assert (effect.poses, effect.first_frame, effect.track_ids) == (60, 30, (1, 2))
        later = before.positions >= 30
        expected = np.where(
            later, np.select([before.track_ids == 1, before.track_ids == 2], [2, 1], 3), before.track_ids
        )
        np.testing.assert_array_equal(run.clip.track_ids, expected)
        assert run.revision == 1
        assert (run.entries[0].text, run.entries[0].by, run.entries[0].undone) == (effect.text, "me", False)


def test_a_swap_in_one_frame_leaves_the_others(folder: Path) -> None:
    with CorrectedRun(folder) as run:
        before = run.clip
        run.apply({"op": "swap", "a": pose(before, 30, 1), "b": pose(before, 30, 2), "only_here": True})
        changed = before.track_ids != run.clip.track_ids
        assert set(before.positions[changed].tolist()) == {30}
        assert changed.sum() == 2


def test_a_swap_where_one_person_begins_gives_it_the_other_id(folder: Path) -> None:
    with CorrectedRun(folder) as run:
        before = run.clip
        run.apply({"op": "swap", "a": pose(before, 10, 3), "b": pose(before, 10, 1)})
        assert frames_of(run.clip, 1) == set(range(50))
        assert frames_of(run.clip, 3) == set(range(10, 60))


def test_a_split_makes_a_new_person_and_a_join_undoes_it(folder: Path) -> None:
    with CorrectedRun(folder) as run:
        before = run.clip
        run.apply({"op": "split", "pose": pose(run.clip, 40, 2)})
        assert frames_of(run.clip, 2) == set(range(40))
        assert frames_of(run.clip, 4) == set(range(40, 60))
        effect = run.apply({"op": "join", "a": pose(run.clip, 40, 4), "b": pose(run.clip, 39, 2)})
        assert effect.text == "id 4 becomes id 2: 20 poses, frames 40 to 59"
        assert state(run.clip) == state(before)


def test_people_who_share_a_frame_cannot_be_joined(folder: Path) -> None:
    with CorrectedRun(folder) as run, pytest.raises(InputError, match="both in 56 frames, the first is 0"):
        run.apply({"op": "join", "a": pose(run.clip, 0, 1), "b": pose(run.clip, 0, 2)})
    assert not (folder / "corrections.jsonl").exists()


def test_parts_with_one_name_are_one_person(folder: Path) -> None:
    with CorrectedRun(folder) as run:
        run.apply({"op": "split", "pose": pose(run.clip, 40, 2)})
        run.apply({"op": "name", "pose": pose(run.clip, 0, 2), "name": "Ada"})
        effect = run.apply({"op": "name", "pose": pose(run.clip, 45, 4), "name": " Ada "})
        assert effect.text.startswith("id 4 becomes 'Ada' (id 2)")
        assert frames_of(run.clip, 2) == set(range(60))
        assert run.clip.names == {2: "Ada"}
        with pytest.raises(InputError, match="both in 56 frames"):
            run.apply({"op": "name", "pose": pose(run.clip, 0, 1), "name": "Ada"})


def test_a_corrected_clip_can_be_sent_to_another_process_with_its_names(folder: Path) -> None:
    with CorrectedRun(folder) as run:
        run.apply({"op": "name", "pose": pose(run.clip, 0, 2), "name": "Ada"})
        assert pickle.loads(pickle.dumps(run.clip)).names == {2: "Ada"}


def test_a_swap_takes_names_along(folder: Path) -> None:
    with CorrectedRun(folder) as run:
        for position in (5, 50):
            run.apply({"op": "name", "pose": pose(run.clip, position, 1), "name": "Ada"})
        run.apply({"op": "name", "pose": pose(run.clip, 5, 2), "name": "Ben"})
        run.apply({"op": "swap", "a": pose(run.clip, 30, 1), "b": pose(run.clip, 30, 2)})
        assert run.clip.names == {1: "Ada", 2: "Ben"}
        assert frames_of(run.clip, 1) == frames_of(run.clip, 2) == set(range(60))


@pytest.mark.parametrize(
    ("scope", "left"), [("here", {*range(30), *range(31, 60)}), ("onwards", {*range(30)}), ("track", set())]
)
def test_removed_poses_are_gone(folder: Path, scope: str, left: set[int]) -> None:
    with CorrectedRun(folder) as run:
        run.apply({"op": "remove", "pose": pose(run.clip, 30, 2), "scope": scope})
        assert frames_of(run.clip, 2) == left
        assert frames_of(run.clip, 1) == set(range(60))


def test_an_interpolated_pose_can_be_removed(folder: Path) -> None:
    with CorrectedRun(folder) as run:
        assert run.clip.people(21).interpolated.any()
        effect = run.apply({"op": "remove", "pose": pose(run.clip, 21, 1)})
        assert effect.poses == 1
        assert frames_of(run.clip, 1) == set(range(60)) - {21}


def test_a_joint_is_moved_and_another_hidden(folder: Path) -> None:
    with CorrectedRun(folder) as run:
        target = pose(run.clip, 30, 2)
        run.apply({"op": "move", "pose": target, "joint": "left_knee", "xy": [123.25, 45.5]})
        run.apply({"op": "hide", "pose": target, "joint": "nose"})
        poses = run.clip.people(30).poses
        assert poses.keypoints[target[1], 13].tolist() == [123.25, 45.5]
        assert np.isnan(poses.keypoints[target[1], 0]).all()
        assert poses.keypoint_scores[target[1], [13, 0]].tolist() == [1, 0]


def test_a_moved_joint_makes_an_interpolated_pose_a_pose_of_its_own(folder: Path) -> None:
    with CorrectedRun(folder) as run:
        run.apply({"op": "move", "pose": pose(run.clip, 21, 1), "joint": "nose", "xy": [7, 8]})
        people = run.clip.people(21)
        row = people.track_ids.tolist().index(1)
        assert not people.interpolated[row]
        assert people.poses.keypoints[row, 0].tolist() == [7, 8]
        assert frames_of(run.clip, 1) == set(range(60))


def test_a_flip_exchanges_left_and_right_and_a_second_one_restores_them(folder: Path) -> None:
    with CorrectedRun(folder) as run:
        before = run.clip
        request = {"op": "flip", "pose": pose(run.clip, 30, 2), "to": 35, "part": "legs"}
        assert run.apply(request).poses == 6
        changed = (before.poses.keypoints != run.clip.poses.keypoints).any(axis=(1, 2))
        assert set(before.positions[changed].tolist()) == set(range(30, 36))
        row = int(before.begins[30]) + pose(before, 30, 2)[1]
        np.testing.assert_array_equal(run.clip.poses.keypoints[row, 13], before.poses.keypoints[row, 14])
        np.testing.assert_array_equal(run.clip.poses.keypoints[row, :11], before.poses.keypoints[row, :11])
        run.apply(request)
        assert state(run.clip) == state(before)


def test_a_pose_is_added_to_a_person_or_as_a_new_one(folder: Path) -> None:
    with CorrectedRun(folder) as run:
        joints = {"nose": [10.5, 20], "left_hip": [12, 60]}
        run.apply({"op": "add", "frame": 55, "joints": joints, "like": pose(run.clip, 20, 3)})
        assert frames_of(run.clip, 3) == {*range(10, 50), 55}
        run.apply({"op": "add", "frame": 2, "joints": joints, "like": None})
        assert frames_of(run.clip, 4) == {2}
        with pytest.raises(InputError, match="has a pose in frame 55 already"):
            run.apply({"op": "add", "frame": 55, "joints": joints, "like": pose(run.clip, 55, 3)})


def test_checked_frames_are_merged(folder: Path) -> None:
    with CorrectedRun(folder) as run:
        for first, last in ((30, 40), (0, 9), (10, 12), (35, 50)):
            run.apply({"op": "checked", "from": first, "to": last})
        assert run.checked == [(0, 12), (30, 50)]
        run.apply({"op": "undo", "of": 4})
        assert run.checked == [(0, 12), (30, 40)]
        assert not run.is_stale


def test_an_undo_can_be_undone(folder: Path) -> None:
    with CorrectedRun(folder) as run:
        first = state(run.clip)
        run.apply({"op": "split", "pose": pose(run.clip, 40, 2)})
        split = state(run.clip)
        run.apply({"op": "undo", "of": 1})
        assert state(run.clip) == first
        assert [entry.undone for entry in run.entries] == [True, False]
        run.apply({"op": "undo", "of": 2})
        assert state(run.clip) == split
        with pytest.raises(InputError, match="correction 2 is undone already"):
            run.apply({"op": "undo", "of": 2})


@pytest.mark.parametrize("seed", range(5))
def test_fifty_random_corrections_and_their_undoing(folder: Path, seed: int) -> None:
    random = Random(seed)
    states = []
    with CorrectedRun(folder) as run:
        first = state(run.clip)
        numbers: list[int] = []
        for _ in range(400):
            request = random_request(random, run.clip, run.revision)
            if request["op"] == "undo" or len(numbers) == 50:
                continue
            try:
                run.apply(request)
            except InputError:
                continue
            numbers.append(run.revision)
            states.append(state(run.clip))
            pairs = np.stack([run.clip.positions, run.clip.track_ids])
            assert len(np.unique(pairs, axis=1).T) == len(run.clip.poses)
        assert len(numbers) == 50
        operations = run._corrections.effective
        assert state(corrected(run.clip, operations, run.header.skeleton)) == states[-1]
        for number in reversed(numbers[25:]):
            run.apply({"op": "undo", "of": number})
            assert state(run.clip) == states[numbers.index(number) - 1]
    with CorrectedRun(folder) as run:
        assert state(run.clip) == states[24]
        for number in random.sample(numbers[:25], 25):
            run.apply({"op": "undo", "of": number})
        assert state(run.clip) == first
        for line in run._corrections.log.lines:
            assert to_json(from_json(to_json(from_json(line)))) == to_json(from_json(line))


def test_the_slower_of_two_writers_is_out_of_date(folder: Path) -> None:
    with CorrectedRun(folder) as first, CorrectedRun(folder) as second:
        first.apply({"op": "split", "pose": pose(first.clip, 40, 2)}, 0)
        with pytest.raises(OutOfDate):
            second.apply({"op": "name", "pose": pose(second.clip, 0, 1), "name": "Ada"}, 0)
        assert state(second.clip) == state(first.clip)
        second.apply({"op": "name", "pose": pose(second.clip, 0, 1), "name": "Ada"}, 1)
        with pytest.raises(OutOfDate):
            first.apply({"op": "name", "pose": pose(first.clip, 0, 1), "name": "Ben"}, 1)


def test_corrections_of_other_poses_are_refused(folder: Path) -> None:
    with CorrectedRun(folder) as run:
        run.apply({"op": "checked", "from": 0, "to": 5})
    path = folder / "corrections.jsonl"
    lines = path.read_text().splitlines()
    lines[0] = json.dumps({**json.loads(lines[0]), "poses_sha256": "00"})
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(InputError, match="names poses of another pose log"), CorrectedRun(folder):
        pass


def test_corrections_hold_when_frames_are_appended_to_the_pose_log(folder: Path) -> None:
    log = folder / "poses.arrow"
    whole = log.read_bytes()
    end_mark = b"\xff\xff\xff\xff\0\0\0\0"
    assert whole.endswith(end_mark)
    short = folder / "short.arrow"
    short.write_bytes(whole[: len(whole) * 2 // 3] + end_mark)
    header = CorrectionsHeader.of(short, "coco_17")
    assert header.names_poses_of(log, "coco_17")
    assert not header.names_poses_of(log, "mpii_16")
    short.write_bytes(whole[: len(whole) // 2])
    assert not header.names_poses_of(short, "coco_17")
