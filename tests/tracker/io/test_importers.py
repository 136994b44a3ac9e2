"""Poses and boxes of other programs: what they become in a pose log, that they can be followed and scored, refusals."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval_posetrack.evaluation import evaluate
from eval_posetrack.formats.files import Clip, find_files, read_clip, write_clip
from posetrail.errors import InputError
from posetrail.poses import Poses
from posetrail.skeletons import COCO_17
from tests.poses import POSE, clip_of
from tests.worlds import Walker, World, line, write_images
from tracker.association.follow import follow
from tracker.frames import PoseFrame, PropagatedPoses
from tracker.io.importers import read_poses
from tracker.io.importers.imported import unit_scores
from tracker.io.pose_log import PoseLogHeader, PoseLogWriter, read_pose_log
from tracker.io.video import open_source
from tracker.runs.draw import draw_run
from tracker.runs.follow import follow_poses, follow_run
from tracker.settings import AssociationSettings

SETTINGS = AssociationSettings()


def walk(frames: int = 40, **fields: Any) -> Clip:
    """Three people side by side, each walking right at a speed of their own; nobody has a score or a body box."""
    poses, of, ids = [], [], []
    for t in range(frames):
        for person in range(3):
            poses.append(POSE + np.array([200 + (2 + person) * t, 250 + 400 * person]))
            of.append(t)
            ids.append(person)
    none = np.full(len(poses), np.nan)
    defaults: dict[str, Any] = {"scores": none, "keypoint_scores": np.tile(none[:, None], 15)}
    defaults["boxes"] = np.tile(none[:, None], 4)
    return clip_of(poses, frames=of, ids=ids, **defaults | fields)


def without_ids(clip: Clip) -> Clip:
    return replace(clip, track_ids=np.full(len(clip), -1))


def saved(clip: Clip, path: Path, version: int = 2018) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_clip(clip, path, version=version)
    return path


def text(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path


def refusal_of(path: Path, log: Path) -> str:
    """The message with which a file is refused; empty if it is read and its pose log written."""
    try:
        read_poses(path).write_log(log)
    except InputError as error:
        return str(error)
    return ""


def seen(path: Path, tmp_path: Path, fps: float | None = None) -> list[PoseFrame]:
    """The frames of the pose log that a file becomes."""
    read_poses(path, fps=fps).write_log(tmp_path / "log.arrow")
    return list(read_pose_log(tmp_path / "log.arrow")[1])


# --- PoseTrack files --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [2017, 2018, 2021])
def test_the_truth_without_its_ids_is_followed_and_scored(tmp_path: Path, version: int) -> None:
    truth = saved(walk(), tmp_path / "truth" / "walk.json", version)
    poses = saved(without_ids(walk()), tmp_path / "poses.json", version)
    outcome = follow_poses(poses, SETTINGS, output=tmp_path / "out")
    assert (outcome.status, outcome.frames, outcome.people) == ("complete", 40, 3)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "poses.arrow",
        "tracks.json",
        "tracks.csv",
        "run.json",
    }
    report = evaluate(truth, tmp_path / "out").total
    assert report["MOTA"].total > 99
    assert report["IDF1"].total > 99
    assert report["AP"].total > 99


def test_the_run_that_comes_out_is_followed_again_like_any_other(tmp_path: Path) -> None:
    poses = saved(walk(), tmp_path / "poses.json")
    follow_poses(poses, SETTINGS, output=tmp_path / "out")
    tracks = (tmp_path / "out" / "tracks.csv").read_bytes()
    assert follow_run(tmp_path / "out", AssociationSettings(new_track_score=1.0, track_buffer_s=0.0)).frames == 40
    follow_poses(tmp_path / "out", SETTINGS, output=tmp_path / "again", more_formats=["mot"])
    assert (tmp_path / "again" / "tracks.csv").read_bytes() == tracks
    assert (tmp_path / "again" / "tracks.mot.txt").exists()
    told = json.loads((tmp_path / "again" / "run.json").read_text())
    assert told["input"]["kind"] == "poses"
    assert told["input"]["path"] == str(poses.resolve())


def test_scores_that_are_missing_or_equal_are_one(tmp_path: Path) -> None:
    for path in (
        saved(walk(), tmp_path / "none.json"),
        saved(walk(scores=np.full(120, 0.3), keypoint_scores=np.full((120, 15), 0.2)), tmp_path / "equal.json"),
    ):
        for frame in seen(path, tmp_path):
            assert (frame.poses.scores == 1).all()
            assert (frame.poses.keypoint_scores == 1).all()


def test_missing_joints_stay_missing_and_a_box_is_made_around_the_others(tmp_path: Path) -> None:
    clip = walk(1)
    clip.keypoints[0, :13] = np.nan
    clip.keypoints[1] = np.nan
    first, third = seen(saved(clip, tmp_path / "poses.json"), tmp_path)[0].poses[:].keypoints
    assert np.isnan(first[:13]).all()
    assert np.isfinite(first[13:]).all()
    assert np.isfinite(third).all()
    boxes = seen(tmp_path / "poses.json", tmp_path)[0].poses.boxes
    assert (boxes[:, :2] < np.nanmin([first, third], axis=1)).all()
    assert (boxes[:, 2:] > np.nanmax([first, third], axis=1)).all()
    assert any("1 people with neither joints nor a box" in note for note in read_poses(tmp_path / "poses.json").notes)


def test_boxes_that_do_not_hold_their_joints_are_dummies(tmp_path: Path) -> None:
    boxes = np.tile([0.0, 0, 30, 30], (3, 1))
    boxes[2] = 100, 800, 300, 1400
    poses = seen(saved(walk(1, boxes=boxes), tmp_path / "poses.json"), tmp_path)[0].poses
    assert (poses.boxes[0, 2:] > 200).all()
    assert poses.boxes[2].tolist() == [100, 800, 300, 1400]


def test_the_files_own_times_count_unless_a_rate_is_given(tmp_path: Path) -> None:
    times = np.array([10.0, 10.1, 10.5])
    path = saved(walk(3, times=times), tmp_path / "poses.json")
    assert [frame.time_s for frame in seen(path, tmp_path)] == times.tolist()
    assert [frame.time_s for frame in seen(path, tmp_path, fps=10)] == pytest.approx([0, 0.1, 0.2])
    saved(walk(3), path)
    assert [frame.time_s for frame in seen(path, tmp_path)] == pytest.approx([0, 1 / 30, 2 / 30])
    assert "30 frames per second are assumed" in read_poses(path).notes[0]
    assert read_poses(path, fps=25).notes == ()


@pytest.mark.parametrize(
    ("names", "indices"),
    [
        (["a/000004.jpg", "a/000008.jpg", "a/000009.jpg"], [4, 8, 9]),
        (["clip_1/7.png", "clip_1/8.png", "clip_1/12.png"], [7, 8, 12]),
        (["b\\3.jpg", "b\\5.jpg", "b\\6.jpg"], [3, 5, 6]),
        (["9.jpg", "10.jpg", "2.jpg"], [0, 1, 2]),
        (["x.jpg", "y.jpg", "z.jpg"], [0, 1, 2]),
        (["20240101120000.jpg", "20240101120001.jpg", "20240101120002.jpg"], [0, 1, 2]),
    ],
)
def test_frames_left_out_of_a_file_are_gaps_in_time(tmp_path: Path, names: list[str], indices: list[int]) -> None:
    frames = seen(saved(walk(3, image_names=tuple(names)), tmp_path / "poses.json"), tmp_path, fps=10)
    assert [frame.index for frame in frames] == indices
    assert [frame.time_s for frame in frames] == pytest.approx([index / 10 for index in indices])
    assert [frame.name for frame in frames] == names


def test_interpolated_poses_of_a_file_are_left_out(tmp_path: Path) -> None:
    interpolated = np.arange(120) % 3 == 1
    path = saved(walk(interpolated=interpolated), tmp_path / "poses.json")
    assert {len(frame.poses) for frame in seen(path, tmp_path)} == {2}
    assert read_poses(path).notes[0].endswith("40 interpolated poses are left out")


def test_a_clip_without_people_becomes_a_run(tmp_path: Path) -> None:
    path = saved(clip_of([], num_frames=5), tmp_path / "empty.json")
    outcome = follow_poses(path, SETTINGS, output=tmp_path / "out")
    assert (outcome.frames, outcome.people) == (5, 0)
    assert read_clip(tmp_path / "out" / "tracks.json").num_frames == 5


def test_times_that_run_backwards_are_refused(tmp_path: Path) -> None:
    path = saved(walk(3, times=np.array([0.0, 2, 1])), tmp_path / "poses.json")
    with pytest.raises(InputError, match="frame 2 at 1 s comes after 2 s"):
        read_poses(path)


# --- Scores -----------------------------------------------------------------------------------------------------------


def test_scores_beyond_one_become_their_ranks() -> None:
    assert unit_scores(np.array([-3.0, 400, 2, 2, -1])).tolist() == [0.2, 1, 0.8, 0.8, 0.4]
    assert unit_scores(np.array([0.2, -1, np.nan, 0.7, -9999])).tolist() == [0.2, 1, 1, 0.7, 1]
    assert unit_scores(np.array([7.0, 7])).tolist() == [1, 1]
    assert unit_scores(np.zeros(0)).tolist() == []


@given(st.lists(st.floats(-1e9, 1e9).filter(lambda score: score not in (-1, -9999)), max_size=30))
def test_scores_keep_their_order(scores: list[float]) -> None:
    mapped = unit_scores(np.array(scores))
    assert ((mapped >= 0) & (mapped <= 1)).all()
    for i, score in enumerate(scores):
        for j, other in enumerate(scores):
            assert mapped[i] <= mapped[j] if score <= other else mapped[i] > mapped[j]


# --- MOTChallenge -----------------------------------------------------------------------------------------------------


def test_boxes_alone_are_followed_and_come_out_as_mot(tmp_path: Path) -> None:
    lines = [
        f"{t},-1,{20 + 3 * t + 300 * person},{40 + 5 * person},50,120,{0.9 - person / 10},-1,-1,-1"
        for t in range(1, 31)
        for person in (1, 0)
        if t % 10 or person
    ]
    det = text(tmp_path / "det.txt", *lines)
    outcome = follow_poses(det, SETTINGS, output=tmp_path / "out", fps=25)
    assert (outcome.frames, outcome.people) == (30, 2)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"poses.arrow", "tracks.mot.txt", "run.json"}
    rows = np.loadtxt(tmp_path / "out" / "tracks.mot.txt", delimiter=",")
    for track_id in (1, 2):
        mine = rows[rows[:, 1] == track_id]
        person = int(mine[0, 2] > 200)
        assert len(mine) >= 27
        assert mine[:, 2] == pytest.approx(20 + 3 * mine[:, 0] + 300 * person, abs=1)
        assert mine[:, 5] == pytest.approx(120, abs=1)
    assert outcome.interpolated > 0
    assert follow_poses(det, AssociationSettings(offline=False), output=tmp_path / "online", fps=25).interpolated == 0
    follow_run(tmp_path / "out", SETTINGS)
    assert np.array_equal(np.loadtxt(tmp_path / "out" / "tracks.mot.txt", delimiter=","), rows)


def test_mot_frames_and_pixels_count_from_one_and_empty_frames_are_there(tmp_path: Path) -> None:
    det = text(tmp_path / "det.txt", "3,-1,11,21,30,40,0.5", "", "1,7,1,1,5,6,.25,", "\t3,-1, 2,2,5,6,0.75,-1,-1,-1")
    frames = seen(det, tmp_path, fps=10)
    assert [frame.index for frame in frames] == [0, 1, 2]
    assert [len(frame.poses) for frame in frames] == [1, 0, 2]
    assert frames[0].poses.boxes.tolist() == [[0, 0, 5, 6]]
    assert frames[2].poses.boxes.tolist() == [[10, 20, 40, 60], [1, 1, 6, 7]]
    assert frames[2].poses.scores.tolist() == [0.5, 0.75]
    assert np.isnan(frames[2].poses.keypoints).all()
    assert frames[2].name == "000003.jpg"


def test_of_a_ground_truth_what_counts_is_read(tmp_path: Path) -> None:
    truth = text(tmp_path / "gt.txt", "1,1,1,1,5,6,1,1,1", "1,2,9,9,5,6,0,3,0.4", "2,1,1,1,5,6,1,1,0.2")
    frames = seen(truth, tmp_path)
    assert [len(frame.poses) for frame in frames] == [1, 1]
    assert frames[0].poses.scores.tolist() == [1]


def test_rate_and_length_are_read_from_seqinfo(tmp_path: Path) -> None:
    det = text(tmp_path / "MOT-01" / "det" / "det.txt", "1,-1,1,1,5,6,.5")
    text(tmp_path / "MOT-01" / "seqinfo.ini", "[Sequence]", "name=MOT-01", "frameRate=14", "seqLength=3")
    assert [frame.time_s for frame in seen(det, tmp_path)] == pytest.approx([0, 1 / 14, 2 / 14])
    assert read_poses(det, fps=7).header.fps == 7
    for bad in ("[Sequence]\nframeRate=fast", "frameRate=14", "[Sequence]\nframeRate=0\nseqLength=3"):
        text(tmp_path / "MOT-01" / "seqinfo.ini", bad)
        with pytest.raises(InputError, match=r"expected frameRate (> 0 )?and seqLength"):
            read_poses(det)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "got none"),
        ("1,-1,1,1,0,6,.5\n", "got none"),
        ("frame,id,x,y,w,h\n", "line 1: expected frame, id, left"),
        ("1,-1,1,1,5,6,.5\n2,-1,1,1,5\n", r"line 2: .*got '2,-1,1,1,5'"),
        ("1,-1,1,1,5,6,.5\n\n0,-1,1,1,5,6,.5\n", "line 3: expected a frame from 1"),
        ("1.5,-1,1,1,5,6,.5\n", "expected a frame"),
        ("1,-1,nan,1,5,6,.5\n", "expected a box within"),
        ("1,-1,1,1,5,6,inf\n", "expected a score within"),
        (b"\xff\xfe\x00", "expected text"),
    ],
)
def test_a_bad_line_is_refused_by_number(tmp_path: Path, content: str | bytes, words: str) -> None:
    path = tmp_path / "det.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=words) as refused:
        read_poses(path)
    assert "\n" not in str(refused.value)


_CELLS = st.one_of(st.integers(-2, 40).map(str), st.floats().map(str), st.text(max_size=4))


@settings(max_examples=150, deadline=None)
@given(lines=st.lists(st.lists(_CELLS, max_size=11).map(",".join), max_size=6), rest=st.binary(max_size=12))
def test_whatever_a_file_holds_it_is_read_or_refused_in_a_line(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], rest: bytes
) -> None:
    folder = tmp_path_factory.getbasetemp()
    path = folder / "fuzzed.txt"
    path.write_bytes("\n".join(lines).encode(errors="replace") + rest)
    refusal = refusal_of(path, folder / "fuzzed.arrow")
    assert len(refusal.splitlines()) <= 1
    if not refusal:
        _, frames = read_pose_log(folder / "fuzzed.arrow")
        assert all(((frame.poses.scores >= 0) & (frame.poses.scores <= 1)).all() for frame in frames)


# --- Pose logs --------------------------------------------------------------------------------------------------------


def test_the_log_of_a_killed_run_is_followed(tmp_path: Path) -> None:
    follow_poses(saved(walk(), tmp_path / "poses.json"), SETTINGS, output=tmp_path / "whole")
    killed = tmp_path / "killed"
    killed.mkdir()
    log = (tmp_path / "whole" / "poses.arrow").read_bytes()
    (killed / "poses.arrow").write_bytes(log[: len(log) // 2])
    outcome = follow_poses(killed, SETTINGS)
    assert outcome.status == "interrupted"
    assert 15 < outcome.frames < 25
    assert (killed / "tracks.json").exists()
    assert (killed / "poses.arrow").read_bytes() == log[: len(log) // 2]
    whole = follow_poses(tmp_path / "whole" / "poses.arrow", SETTINGS, output=tmp_path / "other")
    assert (whole.status, whole.frames) == ("complete", 40)
    for name in ("poses.arrow", "tracks.json", "tracks.csv"):
        assert (tmp_path / "other" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_log_without_a_whole_frame_is_refused(tmp_path: Path) -> None:
    header = PoseLogHeader(
        skeleton=COCO_17,
        fps=30,
        width=9,
        height=9,
        source="",
        source_fingerprint="",
        inference_settings={},
        models=[],
        posetrail_version="",
    )
    with PoseLogWriter(tmp_path / "poses.arrow", header):
        pass
    with pytest.raises(InputError, match="expected a whole frame"):
        follow_poses(tmp_path, SETTINGS)


# --- Folders ----------------------------------------------------------------------------------------------------------


def test_what_cannot_be_imported_is_refused(tmp_path: Path) -> None:
    for name in ("nothing", "other.xml", "folder"):
        if name == "other.xml":
            (tmp_path / name).write_text("<x/>")
        if name == "folder":
            (tmp_path / name).mkdir()
        with pytest.raises(InputError, match="folder of a finished run"):
            follow_poses(tmp_path / name, SETTINGS, output=tmp_path / "out")
    with pytest.raises(InputError, match="expected JSON"):
        follow_poses(text(tmp_path / "torn.json", "{"), SETTINGS, output=tmp_path / "out")
    poses = saved(walk(2), tmp_path / "tracks.json")
    with pytest.raises(InputError, match="give one with -o"):
        follow_poses(poses, SETTINGS)
    with pytest.raises(InputError, match="would be overwritten"):
        follow_poses(poses, SETTINGS, output=tmp_path)
    with pytest.raises(InputError, match="fps: expected"):
        follow_poses(poses, SETTINGS, output=tmp_path / "out", fps=0)
    assert not (tmp_path / "out").exists()


def test_runs_are_found_where_predictions_are_wanted(tmp_path: Path) -> None:
    for name in ("one", "two"):
        saved(walk(), tmp_path / "truth" / f"{name}.json")
        follow_poses(tmp_path / "truth" / f"{name}.json", SETTINGS, output=tmp_path / "out" / name)
    assert list(find_files(tmp_path / "out")) == ["one", "two"]
    assert evaluate(tmp_path / "truth", tmp_path / "out").total["MOTA"].total > 99


def test_poses_of_others_are_drawn_on_the_clip_that_is_given(tmp_path: Path) -> None:
    world = World((Walker(line((20, 60), (120, 0))), Walker(line((500, 75), (-120, 0)))), num_frames=6)
    images = write_images(world, tmp_path / "images")
    wide = walk(3, image_names=("images/000001.png", "images/000003.png", "images/000004.png"))
    follow_poses(saved(wide, tmp_path / "poses.json"), SETTINGS, output=tmp_path / "out")
    with pytest.raises(InputError, match="give their clip with --input"):
        draw_run(tmp_path / "out")
    drawn = list(open_source(draw_run(tmp_path / "out", input=images)).frames())
    assert len(drawn) == 3
    assert drawn[0].image.shape == (360, 640, 3)
    (images / "000004.png").unlink()
    with pytest.raises(InputError, match="has no frame 4"):
        draw_run(tmp_path / "out", input=images)


# --- In memory --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("joints", [15, 17, 4])
def test_poses_at_hand_are_followed_without_a_file(joints: int) -> None:
    def standing(x: float) -> np.ndarray:
        return np.array([(x + k % 5 * 8, 100 + 10 * k) for k in range(joints)])

    frames = []
    for t in range(20):
        keypoints = np.array([standing(100 + 2 * t), standing(500 - 2 * t)])[:: 1 if t % 2 else -1]
        boxes = np.concatenate([keypoints.min(axis=1) - 5, keypoints.max(axis=1) + 5], axis=1)
        frames.append((Poses(keypoints, np.full((2, joints), 0.9), boxes, [0.9, 0.9], [False, False]), t / 25))
    people = follow(frames)
    assert len(people) == 20
    for frame in people[3:]:
        left_to_right = np.argsort(frame.poses.boxes[:, 0])
        assert (
            frame.track_ids[left_to_right].tolist()
            == people[3].track_ids[np.argsort(people[3].poses.boxes[:, 0])].tolist()
        )
    as_seen = [PoseFrame(t, time, "", poses, PropagatedPoses.empty(joints)) for t, (poses, time) in enumerate(frames)]
    assert [p.track_ids.tolist() for p in follow(as_seen)] == [p.track_ids.tolist() for p in people]
    assert follow([]) == []
