"""Tables of joints, ours and anybody's: what they become in a pose log, that they are followed, and refusals."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posetrail.errors import InputError
from posetrail.poses import Poses, TrackedPoses
from posetrail.skeletons import COCO_17, POSETRACK_15, SKELETONS, Skeleton, skeleton_with
from tests.tracker.io.test_importers import SETTINGS, refusal_of, saved, seen, walk
from tracker.frames import TrackedFrame
from tracker.io.importers import read_poses
from tracker.io.writers import ClipInfo, open_writer
from tracker.runs.follow import follow_poses

HEADER = "frame,time_s,track_id,joint,x,y,score,interpolated"


def table(folder: Path, *lines: str, header: str = HEADER) -> Path:
    path = folder / "poses.csv"
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def written(folder: Path, kind: str, frames: Iterable[TrackedFrame], skeleton: Skeleton = COCO_17) -> Path:
    """The table that the writer of a run makes of tracked frames."""
    folder.mkdir(exist_ok=True)
    with open_writer(kind, folder, ClipInfo(name="clip", skeleton=skeleton, fps=25, width=640, height=480)) as writer:
        for frame in frames:
            writer.add(frame)
    return folder / f"tracks.{kind}"


def people(index: int, ids: list[int], skeleton: Skeleton = COCO_17, **fields: Any) -> TrackedFrame:
    N, K = len(ids), len(skeleton)
    keypoints = np.arange(2.0 * K).reshape(1, K, 2) + 100 * np.array(ids).reshape(N, 1, 1) + index
    scores = np.full((N, K), 0.5) + np.arange(K) / 400
    poses = Poses(keypoints, scores, np.zeros((N, 4)), np.full(N, 0.7), np.zeros(N))
    return TrackedFrame(index, index / 25, "", TrackedPoses(poses, np.array(ids, int), **fields))


# --- Tables of a run --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_run_is_followed_again_from_its_table(tmp_path: Path, kind: str) -> None:
    follow_poses(saved(walk(), tmp_path / "p.json"), SETTINGS, output=tmp_path / "run", more_formats=["parquet"])
    path = tmp_path / "run" / f"tracks.{kind}"
    outcome = follow_poses(path, SETTINGS, output=tmp_path / "again")
    assert (outcome.status, outcome.frames, outcome.people) == ("complete", 40, 3)
    assert (tmp_path / "again" / "tracks.csv").read_bytes() == (tmp_path / "run" / "tracks.csv").read_bytes()
    (hint,) = outcome.warnings
    assert hint == f"{path}: its folder has a pose log, which holds more; follow the folder instead"
    with pytest.raises(InputError, match="would be overwritten by its own tracks"):
        follow_poses(path, SETTINGS, output=tmp_path / "run")


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=SKELETONS)
def test_the_columns_carry_every_skeleton(tmp_path: Path, kind: str, skeleton: Skeleton) -> None:
    path = written(tmp_path, kind, [people(0, [1, 2], skeleton), people(1, [2], skeleton)], skeleton)
    assert read_poses(path).header.skeleton == skeleton
    first, second = seen(path, tmp_path)
    assert (len(first.poses), len(second.poses)) == (2, 1)
    expected = people(0, [1, 2], skeleton).people.poses
    assert first.poses.keypoints == pytest.approx(expected.keypoints, abs=1e-3)
    assert first.poses.keypoint_scores == pytest.approx(expected.keypoint_scores, abs=1e-4)
    assert (first.poses.scores == 1).all()


def test_joints_of_no_known_skeleton_keep_their_names(tmp_path: Path) -> None:
    skeleton = replace(COCO_17, name="own", joints=("tail", *COCO_17.joints[1:]), limbs=(), mirror_pairs=())
    path = written(tmp_path, "csv", [people(0, [1], skeleton), people(1, [1], skeleton)], skeleton)
    imported = read_poses(path)
    assert imported.header.skeleton.joints == skeleton.joints
    assert imported.formats == ("posetrack18", "csv")
    assert "no known skeleton has all of its 17 joints ('tail, left_eye," in imported.notes[0]
    assert follow_poses(path, SETTINGS, output=tmp_path / "out").frames == 2


def test_a_skeleton_is_recognised_by_the_joints_that_were_seen() -> None:
    assert skeleton_with(POSETRACK_15.joints[::-1]) is POSETRACK_15
    assert skeleton_with(("left_knee", "nose")) is COCO_17
    assert skeleton_with(("head_top", "nose")) is POSETRACK_15
    assert skeleton_with(("left_big_toe", "nose")).name == "body_25"
    assert skeleton_with(("left_knee", "tail")).joints == ("left_knee", "tail")


def test_interpolated_poses_are_left_out_and_their_frames_stay(tmp_path: Path) -> None:
    frames = [people(0, [1, 2]), people(1, [1, 2], interpolated=[False, True]), people(2, [2], interpolated=[True])]
    for kind in ("csv", "parquet"):
        path = written(tmp_path, kind, [*frames, people(3, [1, 2])])
        assert [len(frame.poses) for frame in seen(path, tmp_path)] == [2, 1, 0, 2]
        assert read_poses(path).notes == (f"{path}: 2 interpolated poses are left out",)


# --- Frames and times -------------------------------------------------------------------------------------------------


def test_frames_without_rows_have_no_people(tmp_path: Path) -> None:
    path = written(tmp_path, "csv", [people(3, [1]), people(5, [1]), people(6, [1])])
    frames = seen(path, tmp_path)
    assert [(frame.index, len(frame.poses), frame.name) for frame in frames] == [
        (3, 1, "000003.jpg"),
        (4, 0, "000004.jpg"),
        (5, 1, "000005.jpg"),
        (6, 1, "000006.jpg"),
    ]
    assert [frame.time_s for frame in frames] == pytest.approx([3 / 25, 4 / 25, 5 / 25, 6 / 25])
    assert read_poses(path).header.fps == pytest.approx(25)
    assert read_poses(path).notes == ()
    assert [frame.time_s for frame in seen(path, tmp_path, fps=10)] == pytest.approx([0.3, 0.4, 0.5, 0.6])


def test_a_row_without_a_joint_shows_a_frame_without_people(tmp_path: Path) -> None:
    path = table(tmp_path, "2,0.5,,,,,,", "3,0.75,1,nose,5,6,.5,0", "3,.75,1,left_knee,,,0,0", "7,1.75,,,,,,0")
    frames = seen(path, tmp_path)
    assert [(frame.index, len(frame.poses)) for frame in frames] == [(2, 0), (3, 1), (4, 0), (5, 0), (6, 0), (7, 0)]
    assert np.isfinite(frames[1].poses.keypoints).all(axis=2).sum() == 1


def test_frames_between_the_steps_of_a_stride_were_not_processed(tmp_path: Path) -> None:
    numbers = [10, 15, 20, 30, 35]
    frames = seen(written(tmp_path, "csv", [people(index, [1]) for index in numbers]), tmp_path)
    assert [frame.index for frame in frames] == [10, 15, 20, 25, 30, 35]
    rare = [100 * i for i in range(10)]  # every four seconds
    frames = seen(written(tmp_path, "csv", [people(index, [1]) for index in rare]), tmp_path)
    assert [frame.index for frame in frames] == rare
    frames = seen(written(tmp_path, "csv", [people(index, [1]) for index in rare[:3]]), tmp_path)
    assert [frame.index for frame in frames] == list(range(201))  # two gaps are no proof of a stride of four seconds


def test_without_times_a_rate_is_assumed(tmp_path: Path) -> None:
    path = table(tmp_path, "0,1,nose,5,6", "2,1,nose,5,6", "3,1,nose,5,6", header="frame,track_id,joint,x,y")
    assert [frame.time_s for frame in seen(path, tmp_path)] == pytest.approx([0, 1 / 30, 2 / 30, 3 / 30])
    assert any("has no times; 30 frames per second are assumed" in note for note in read_poses(path).notes)
    assert read_poses(path, fps=25).notes == ()


# --- Tables of others -------------------------------------------------------------------------------------------------


def test_columns_and_rows_may_have_any_order_and_kind(tmp_path: Path) -> None:
    """As pandas saves them: an index column, truth values, numbers as floats; scores of any range."""
    path = written(tmp_path, "parquet", [people(0, [1, 2]), people(1, [2], interpolated=[True]), people(2, [1, 2])])
    rows = pd.read_parquet(path).sample(frac=1, random_state=0)
    rows["score"] *= 100
    rows["more"] = "x"
    rows = rows.astype({"frame": float, "track_id": float, "joint": str})[rows.columns[::-1]]
    rows.to_csv(tmp_path / "mixed.csv")
    rows.to_parquet(tmp_path / "mixed.parquet")
    for name in ("mixed.csv", "mixed.parquet"):
        frames = seen(tmp_path / name, tmp_path)
        assert [len(frame.poses) for frame in frames] == [2, 0, 2]
        assert frames[0].poses.keypoints == pytest.approx(people(0, [1, 2]).people.poses.keypoints)
        scores = frames[0].poses.keypoint_scores
        assert ((scores > 0) & (scores <= 1)).all()
        assert (np.diff(scores) > 0).all()  # their order is kept
        assert (
            "scores of joints range from 50 to 54; they are replaced by their ranks"
            in read_poses(tmp_path / name).notes[1]
        )


def test_a_csv_of_boxes_is_still_read_as_mot(tmp_path: Path) -> None:
    path = tmp_path / "det.csv"
    path.write_text("1,-1,11,21,30,40,0.5\n")
    assert read_poses(path).formats == ("mot",)


NOSE = "0,0,1,nose,5,6,.5,0"


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], "expected a row for each joint, got none"),
        (["0,0,1,nose,five,6,.5,0"], "row 1: x: expected a number of pixels within 1e[+]06, got 'five'"),
        ([NOSE, "0,0,1,left_eye,5,1e7,.5,0"], "row 2: y: expected a number of pixels within 1e[+]06, got '1e7'"),
        ([NOSE, "0,0,1,left_eye,5,-inf,.5,0"], "row 2: y: expected a number of pixels"),
        (["-1,0,1,nose,5,6,.5,0"], "row 1: frame: expected a whole number from 0 to 1000000000, got '-1'"),
        (["0.5,0,1,nose,5,6,.5,0"], "row 1: frame: expected a whole number"),
        ([",0,1,nose,5,6,.5,0"], "row 1: frame: expected a whole number from 0 to 1000000000, got None"),
        (["1000000001,0,1,nose,5,6,.5,0"], "row 1: frame: expected"),
        (
            ["0,0,,nose,5,6,.5,0"],
            "row 1: track_id: expected a whole number that tells people of a frame apart, got None",
        ),
        (["0,0,a,nose,5,6,.5,0"], "row 1: track_id: expected a whole number .* got 'a'"),
        ([NOSE, "0,0,1,,5,6,.5,0"], "row 2: joint: expected the name of a joint, got None"),
        (["0,0,,,,,,"], "joint: expected 1 to 1000 different names, got 0"),
        (["0,0,1,nose,5,6,inf,0"], "row 1: score: expected a score within 1e[+]09, got 'inf'"),
        (["0,0,1,nose,5,6,.5,2"], "row 1: interpolated: expected 0 or 1, got '2'"),
        (["0,0,1,nose,5,6,.5,maybe"], "row 1: interpolated: expected 0 or 1, got 'maybe'"),
        ([NOSE, "1,,1,nose,5,6,.5,0"], "row 2: time_s: expected seconds within 1e[+]09, got None"),
        ([NOSE, "0,1,2,nose,5,6,.5,0"], "row 2: time_s: expected 0 as in the first row of frame 0, got 1"),
        ([NOSE, "1,-1,1,nose,5,6,.5,0"], "time_s: expected times that do not decrease, got -1 s in frame 1 after 0 s"),
        ([NOSE, NOSE], "row 2: expected each joint of a person once in a frame, got a second nose of track_id 1 in"),
        (["0,0,1,nose"], "expected a CSV table with columns frame, track_id, joint, x, y, got another file"),
        ([f"0,0,1,joint {i},5,6,1,0" for i in range(1001)], "joint: expected 1 to 1000 different names, got 1001"),
    ],
)
def test_a_bad_row_is_refused_by_number(tmp_path: Path, lines: list[str], words: str) -> None:
    path = table(tmp_path, *lines)
    with pytest.raises(InputError, match=words) as refused:
        read_poses(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("frame,time_s,id,joint,x,y", "got 'frame, time_s, id, joint, x, y', without track_id; rename columns"),
        ("frame,track_id,joint,x,y,x", "with x more than once"),
    ],
)
def test_missing_and_repeated_columns_are_named(tmp_path: Path, header: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_poses(table(tmp_path, "0,1,1,nose,5,6", header=header))


def test_other_files_are_refused_in_a_line(tmp_path: Path) -> None:
    for name, content in (
        ("a.parquet", b"PAR1 torn"),
        ("b.csv", b"frame,\xff\xfe\x00\n1"),
        ("c.csv", b"frame\n" + b"1" * 10**7),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError) as refused:
            read_poses(tmp_path / name)
        assert len(str(refused.value)) < 500
        assert "\n" not in str(refused.value)
    pd.DataFrame({"frame": [[1]], "track_id": [1], "joint": ["nose"], "x": [1.0], "y": [2.0]}).to_parquet(
        tmp_path / "d.parquet"
    )
    with pytest.raises(InputError, match=r"frame: expected numbers, got list"):
        read_poses(tmp_path / "d.parquet")
    pd.DataFrame({"frame": [1], "track_id": [1], "joint": [5], "x": [1.0], "y": [2.0]}).to_parquet(
        tmp_path / "e.parquet"
    )
    with pytest.raises(InputError, match=r"joint: expected names, got int64"):
        read_poses(tmp_path / "e.parquet")


def test_a_damaged_parquet_file_is_read_or_refused_in_a_line(tmp_path: Path) -> None:
    data = written(tmp_path, "parquet", [people(0, [1, 2]), people(1, [2])]).read_bytes()
    path, rng, refusals = tmp_path / "damaged.parquet", np.random.default_rng(0), []
    for _ in range(200):
        damaged = np.frombuffer(data, np.uint8).copy()
        damaged[rng.integers(0, len(damaged), 3)] = rng.integers(0, 256, 3)
        path.write_bytes(damaged.tobytes()[: rng.choice([len(damaged), len(damaged) // 2])])
        try:
            read_poses(path)
        except InputError as error:
            refusals.append(str(error))
    assert len(refusals) > 100
    assert all(len(each.splitlines()) == 1 for each in refusals)


_CELL = st.one_of(
    st.integers(-1, 3).map(str),
    st.sampled_from(["", "nose", "left_knee", "nan", "1e999", "true", '"', "0.5"]),
    st.floats().map(str),
    st.text(max_size=3),
)


@settings(max_examples=150, deadline=None)
@given(rows=st.lists(st.lists(_CELL, min_size=7, max_size=9).map(",".join), max_size=5), rest=st.binary(max_size=9))
def test_whatever_a_table_holds_it_is_read_or_refused_in_a_line(
    tmp_path_factory: pytest.TempPathFactory, rows: list[str], rest: bytes
) -> None:
    folder = tmp_path_factory.getbasetemp()
    path = folder / "fuzzed.csv"
    path.write_bytes("\n".join([HEADER, *rows]).encode(errors="replace") + rest)
    refusal = refusal_of(path, folder / "fuzzed.arrow")
    assert len(refusal.splitlines()) <= 1


_PEOPLE = st.lists(
    st.tuples(
        st.integers(0, 30),  # frame
        st.integers(1, 4),  # id
        st.lists(st.integers(0, 16), min_size=1, max_size=17, unique=True),  # joints that are there
        st.integers(-500, 5000),  # x
        st.integers(1, 10_000),  # score
    ),
    unique_by=lambda person: person[:2],
    min_size=1,
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(_PEOPLE, st.sampled_from(["csv", "parquet"]))
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[tuple[int, int, list[int], int, int]], kind: str
) -> None:
    folder = tmp_path_factory.mktemp("table")
    frames = []
    for index in range(31):
        here = sorted((person for person in drawn if person[0] == index), key=lambda person: person[1])
        keypoints, scores = np.full((len(here), 17, 2), np.nan), np.zeros((len(here), 17))
        for row, (_, _, joints, x, score) in enumerate(here):
            keypoints[row, joints] = np.column_stack([np.arange(len(joints)) + x, np.full(len(joints), index)])
            scores[row, joints] = score / 10_000
        poses = Poses(keypoints, scores, np.zeros((len(here), 4)), np.ones(len(here)), np.zeros(len(here)))
        frames.append(TrackedFrame(index, index / 25, "", TrackedPoses(poses, [person[1] for person in here])))
    found = {frame.index: frame for frame in seen(written(folder, kind, frames), folder)}
    equal = len({score for *_, score in drawn}) == 1  # then they become 1
    for frame in frames:
        expected = frame.people.poses
        if not len(expected):
            assert frame.index not in found or len(found[frame.index].poses) == 0
            continue
        poses = found[frame.index].poses
        assert poses.keypoints == pytest.approx(expected.keypoints, abs=1e-3, nan_ok=True)
        scores = np.where(expected.keypoint_scores > 0, 1, 0) if equal else expected.keypoint_scores
        assert poses.keypoint_scores == pytest.approx(scores, abs=1e-4)
