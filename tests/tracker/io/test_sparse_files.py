"""Files whose people are far apart in frame number or time: their cost depends on the people, their tracks do not."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval_posetrack.readers import READERS
from posetrail.errors import InputError
from posetrail.poses import Poses
from posetrail.skeletons import COCO_17
from posetrail.sparse import kept_frames
from tests.tracker.io.test_importers import walk
from tracker.association.follow import associate_clip, follow
from tracker.frames import PoseFrame, PropagatedPoses
from tracker.io.importers import read_poses
from tracker.io.pose_log import read_pose_log
from tracker.runs.follow import follow_poses
from tracker.settings import AssociationSettings

FAR = 10_000_000

# --- Which frames are kept --------------------------------------------------------------------------------------------


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 10**9 - 1), max_size=30), st.integers(0, 10**6), st.sampled_from([1, 10, 100]))
def test_frames_cost_what_a_file_holds(lines: list[int], more: int, ratio: int) -> None:
    lines = [line // 1000 for line in lines[::2]] + lines[1::2]
    count = max([*lines, -1]) + 1 + more
    kept, notes = kept_frames(np.array(lines, int), count, ratio=ratio)
    assert set(lines) <= set(kept.tolist())
    assert (np.diff(kept) > 0).all()
    assert len(kept) <= max(ratio, 31) * len(lines) + 1000
    assert bool(notes) == (len(kept) < count)
    if count <= 1000:
        assert kept.tolist() == list(range(count))
    gaps = np.diff([-1, *kept.tolist(), count]) - 1
    assert not ((gaps > 0) & (gaps <= 20)).any()  # what is left out is the middle of a long gap


def test_the_ends_of_long_gaps_and_all_of_short_ones_stay() -> None:
    kept, _ = kept_frames(np.array([0, 30, 900_000, 900_031, 900_063]), 900_064, ratio=10)
    first, long = [*range(36), *range(899_995, 900_032)], [*range(900_032, 900_037), *range(900_058, 900_064)]
    assert kept.tolist() == first + long


# --- Association ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("offline", [True, False])
@pytest.mark.parametrize("gap", [58, 62, 900])  # tracks are kept for 60 frames
def test_shortened_gaps_give_the_tracks_of_all_frames(gap: int, offline: bool) -> None:
    """Two people are there before and after a gap, one of them at the same place; both may continue or begin anew."""
    held = [*range(1200, 1230), *range(1230 + gap, 1260 + gap)]
    kept, _ = kept_frames(np.array(held), 1300 + gap, ratio=1)
    assert len(kept) < 1300 + gap - 1000

    def frame(t: int) -> PoseFrame:
        x = 2.0 * (t - 1200) if t < 1230 + gap else 2.0 * (t - 1230 - gap) + 60
        corners = np.array([[300, 100, 340, 220], [100 + x, 100, 140 + x, 220]]) if t in held else np.zeros((0, 4))
        keypoints = np.linspace(corners[:, :2], corners[:, 2:], 17, axis=1)
        ones = np.ones(len(corners))
        poses = Poses(keypoints, np.full(keypoints.shape[:2], 0.9), corners, ones, 0 * ones)
        return PoseFrame(t, t / 30, "", poses, PropagatedPoses.empty(17))

    settings = AssociationSettings(offline=offline)
    with_all, with_kept = (
        list(associate_clip(lambda frames=frames: map(frame, frames), settings, COCO_17)())  # type: ignore[misc]
        for frames in (range(1300 + gap), kept.tolist())
    )
    tracked = {pose_frame.index: people for pose_frame, people in with_kept}
    for pose_frame, expected in with_all:
        people = tracked.get(pose_frame.index, expected[:0])
        assert people.track_ids.tolist() == expected.track_ids.tolist()
        assert people.poses.boxes == pytest.approx(expected.poses.boxes, abs=0.01)
    assert max(people.track_ids.max(initial=0) for people in tracked.values()) >= 2


@pytest.mark.parametrize("hours", [3, 30])
def test_time_stamps_hours_apart_cost_no_more_than_others(hours: int) -> None:
    clip = walk(300)
    frames = []
    for t in range(300):
        keypoints = clip.keypoints[clip.frames == t]
        boxes = np.concatenate([keypoints.min(axis=1) - 5, keypoints.max(axis=1) + 5], axis=1)
        poses = Poses(keypoints, np.full(keypoints.shape[:2], 0.9), boxes, np.full(3, 0.9), np.zeros(3))
        frames.append((poses, t / 10 + 3600 * hours * (t >= 250)))
    started = time.process_time()
    follow(frames[:250])
    without_gap_s, started = time.process_time() - started, time.process_time()
    people = follow(frames)
    assert time.process_time() - started < 2 * without_gap_s + 1  # smoothed block by block, it took 20 times as long
    assert len(people) == 300
    assert all(len(frame) == 3 for frame in people)


# --- Files ------------------------------------------------------------------------------------------------------------


def mot_line(frame: int, x: float = 11) -> str:
    return f"{frame},-1,{x},21,50,120,0.9\n"


def csv_lines(frame: int, x: float = 11) -> str:
    return "".join(
        f"{frame},{frame / 25:.6f},1,{joint},{x + 3 * k},{100 + 5 * k},0.9,0\n"
        for k, joint in enumerate(COCO_17.joints)
    )


@pytest.fixture(params=["txt", "csv"])
def far_apart(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """One person in the first and one in the ten millionth frame: boxes of MOTChallenge, or a table of joints."""
    path = tmp_path / f"far.{request.param}"
    header = "frame,time_s,track_id,joint,x,y,score,interpolated\n"
    begin, line = ("", mot_line) if request.param == "txt" else (header, csv_lines)
    path.write_text(begin + line(1) + line(FAR))
    (tmp_path / "seqinfo.ini").write_text(f"[Sequence]\nframeRate=25\nseqLength={FAR}\n")
    return path


def test_people_in_the_first_and_the_ten_millionth_frame_cost_twelve_frames(far_apart: Path, tmp_path: Path) -> None:
    first = 0 if far_apart.suffix == ".txt" else 1  # MOTChallenge counts from 1
    imported = read_poses(far_apart)
    assert f"{FAR - 12} of {FAR} frames are left out" in " ".join(imported.notes)
    imported.write_log(tmp_path / "log.arrow")
    assert (tmp_path / "log.arrow").stat().st_size < 30_000
    _, frames = read_pose_log(tmp_path / "log.arrow")
    indices = [first + index for index in (0, *range(1, 6), *range(FAR - 6, FAR))]
    places = np.array([(frame.index, frame.time_s) for frame in frames])
    assert places[:, 0].tolist() == indices
    assert places[:, 1] == pytest.approx(np.array(indices) / 25)


def test_a_person_who_returns_after_days_is_followed_as_another_one(far_apart: Path, tmp_path: Path) -> None:
    outcome = follow_poses(far_apart, AssociationSettings(min_track_evidence=-100), output=tmp_path / "out")
    assert (outcome.frames, outcome.people) == (12, 2)
    assert sum(file.stat().st_size for file in (tmp_path / "out").iterdir()) < 60_000


def test_a_person_every_hundred_frames_costs_a_tenth_of_the_frames(tmp_path: Path) -> None:
    path = tmp_path / "det.txt"
    path.write_text("".join(mot_line(frame) for frame in range(1, 50_001, 100)))
    read_poses(path).write_log(tmp_path / "log.arrow")
    _, frames = read_pose_log(tmp_path / "log.arrow")
    assert sum(1 for _ in frames) <= 11 * 500


def test_a_length_beyond_all_frames_is_refused(tmp_path: Path) -> None:
    (tmp_path / "det.txt").write_text(mot_line(1))
    (tmp_path / "seqinfo.ini").write_text("[Sequence]\nframeRate=25\nseqLength=100000000000\n")
    with pytest.raises(InputError, match="expected frameRate > 0 and seqLength from 0"):
        read_poses(tmp_path / "det.txt")


# --- Conversion -------------------------------------------------------------------------------------------------------

PERSON = {"keypoints": [100.0 + k for k in range(51)], "score": 1.0, "category_id": 1}
INSTANCE = {"keypoints": [[100.0 + k, 50.0] for k in range(17)], "keypoint_scores": [0.9] * 17}
SLEAP = "track,frame_idx,instance.score,nose.x,nose.y,nose.score"
DLC = "scorer,s,s,s\nbodyparts,nose,nose,nose\ncoords,x,y,likelihood"
FILES = {
    "alphapose": json.dumps([{**PERSON, "image_id": f"{n}.jpg"} for n in (0, FAR)]),
    "mmpose": json.dumps([{"frame_id": n, "instances": [INSTANCE]} for n in (0, FAR)]),
    "sleap": f"{SLEAP}\na,0,1,100,100,1\na,10000000,1,100,100,1\n",
    "deeplabcut": f"{DLC}\n0,100,100,1\n10000000,100,100,1\n",
    "coco": json.dumps([{**PERSON, "image_id": n} for n in (0, FAR)]),
}


@pytest.mark.parametrize("tool", FILES)
def test_converters_keep_the_ends_of_long_gaps_alone(tmp_path: Path, tool: str) -> None:
    path = tmp_path / ("a.csv" if tool in ("sleap", "deeplabcut") else "a.json")
    path.write_text(FILES[tool])
    [clip] = READERS[tool](path, None, None)
    assert clip.num_frames == (2 if tool == "coco" else 12)  # ids of images tell nothing about other images
    assert clip.frames.tolist() == [0, clip.num_frames - 1]
    assert str(FAR) in clip.image_names[-1]
    assert clip.notes


def test_frames_that_a_file_lists_stay_however_few_people_are_in_them(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(
        json.dumps([{"frame_id": n, "instances": [INSTANCE] * (n == 999)} for n in range(1000)])
    )
    [clip] = READERS["mmpose"](tmp_path / "a.json", None, None)
    assert clip.num_frames == 1000
    assert clip.frames.tolist() == [999]
