"""Tracks out: what stands in each file, that it is whole or not there, and that an hour needs no more memory."""

from __future__ import annotations

import csv
import json
import tracemalloc
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from eval_posetrack.formats.files import read_clip
from posetrail.errors import InputError
from posetrail.poses import Poses, TrackedPoses
from posetrail.skeletons import COCO_17, POSETRACK_15, SKELETONS, Skeleton, coco_to_posetrack, mapped
from tracker.frames import TrackedFrame
from tracker.io.writers import WRITERS, ClipInfo, default_formats, open_writer

CLIP = ClipInfo(name="000042_walk", skeleton=COCO_17, fps=25, width=640, height=480)


def tracked(index: int, ids: Iterable[int], skeleton: Skeleton = COCO_17) -> TrackedFrame:
    """People of these ids; person i stands at x = 100 i and has no left wrist."""
    ids = list(ids)
    n, k = len(ids), len(skeleton)
    keypoints = np.zeros((n, k, 2), np.float32)
    keypoints[:, :, 0] = 100 * np.array(ids).reshape(n, 1) + np.arange(k) / 8
    keypoints[:, :, 1] = 50 + index + np.arange(k)
    scores = np.full((n, k), 0.64, np.float32)
    keypoints[:, skeleton.index("left_wrist")] = np.nan
    scores[:, skeleton.index("left_wrist")] = 0
    boxes = np.stack([keypoints[:, 0, 0] - 5, keypoints[:, 0, 1], keypoints[:, 0, 0] + 5, keypoints[:, 0, 1] + 20], 1)
    poses = Poses(keypoints, scores, boxes.reshape(n, 4), np.full(n, 0.5), np.zeros(n))
    return TrackedFrame(index, index / 25, f"{index:06d}.jpg", TrackedPoses(poses, ids))


FRAMES = [tracked(0, [1, 2]), tracked(1, []), tracked(2, [3, 1])]


def save(name: str, folder: Path, frames: Iterable[TrackedFrame] = FRAMES, clip: ClipInfo = CLIP) -> Path:
    with open_writer(name, folder, clip) as writer:
        for frame in frames:
            writer.add(frame)
    (path,) = folder.iterdir()
    assert path.name == WRITERS[name].file_name
    return path


# --- what stands in the files -----------------------------------------------------------------------------------------


def test_csv_has_a_row_for_every_joint_that_is_not_missing(tmp_path: Path) -> None:
    lines = save("csv", tmp_path).read_text().splitlines()
    assert lines[0] == "frame,time_s,track_id,joint,x,y,score,interpolated"
    assert lines[1] == "0,0.000000,1,nose,100.000,50.000,0.6400,0"
    assert lines[2] == "0,0.000000,1,left_eye,100.125,51.000,0.6400,0"
    assert lines[1 + 16] == "0,0.000000,2,nose,200.000,50.000,0.6400,0"
    assert lines[1 + 32] == "2,0.080000,1,nose,100.000,52.000,0.6400,0"  # ids in rising order, no row for frame 1
    assert len(lines) == 1 + 4 * 16
    assert not any("left_wrist" in line for line in lines)


def test_csv_has_no_negative_zero(tmp_path: Path) -> None:
    poses = Poses(np.full((1, 17, 2), -1e-5), np.full((1, 17), 1e-6), np.zeros((1, 4)), [1], [False])
    frame = TrackedFrame(0, -1e-9, "0.jpg", TrackedPoses(poses, [1]))
    assert save("csv", tmp_path, [frame]).read_text().splitlines()[1] == "0,0.000000,1,nose,0.000,0.000,0.0000,0"


def test_parquet_has_the_same_rows_with_every_bit(tmp_path: Path) -> None:
    for folder in ("csv", "parquet"):
        (tmp_path / folder).mkdir()
    with save("csv", tmp_path / "csv").open() as file:
        rows = list(csv.DictReader(file))
    table = pq.read_table(save("parquet", tmp_path / "parquet"))
    assert table.column_names == list(rows[0])
    for name, kind in (("frame", int), ("time_s", float), ("track_id", int), ("joint", str), ("x", float)):
        assert table[name].to_pylist() == [kind(row[name]) for row in rows]
    assert set(table["score"].to_pylist()) == {float(np.float32(0.64))}


def test_coco_has_the_parts_of_whole_bodies_as_the_data_set_has_them(tmp_path: Path) -> None:
    skeleton = SKELETONS["coco_wholebody_133"]
    coco = json.loads(save("coco", tmp_path, [tracked(0, [1], skeleton)], replace(CLIP, skeleton=skeleton)).read_text())
    (person,) = coco["annotations"]
    parts = {"keypoints": 17, "foot_kpts": 6, "face_kpts": 68, "lefthand_kpts": 21, "righthand_kpts": 21}
    assert {part: len(person[part]) for part in parts} == {part: 3 * count for part, count in parts.items()}
    assert all(person[f"{part}_valid"] for part in ("foot", "face", "lefthand", "righthand"))
    assert len(person["keypoint_scores"]) == 133
    assert person["num_keypoints"] == 16  # without the left wrist
    assert coco["categories"][0]["keypoints"] == list(COCO_17.joints)


def test_parquet_has_room_for_more_than_127_joints(tmp_path: Path) -> None:
    skeleton = SKELETONS["coco_wholebody_133"]
    clip = replace(CLIP, skeleton=skeleton)
    table = pq.read_table(save("parquet", tmp_path, [tracked(0, [1], skeleton)], clip))
    assert table["joint"].to_pylist() == [joint for joint in skeleton.joints if joint != "left_wrist"]


def test_parquet_of_many_rows_has_several_row_groups(tmp_path: Path) -> None:
    path = save("parquet", tmp_path, (tracked(i, range(1, 101)) for i in range(130)))
    file = pq.ParquetFile(path)
    assert file.metadata.num_rows == 130 * 100 * 16
    assert file.num_row_groups == 3
    assert file.read()["frame"].to_numpy().tolist() == np.repeat(np.arange(130), 1600).tolist()


def test_mot_counts_frames_and_pixels_from_one(tmp_path: Path) -> None:
    lines = save("mot", tmp_path).read_text().splitlines()
    quality = np.sqrt(0.5 * 0.64 * 16 / 17)
    assert lines[0] == f"1,1,96.000,51.000,10.000,20.000,{quality:.4f},-1,-1,-1"
    assert [line.split(",")[:2] for line in lines] == [["1", "1"], ["1", "2"], ["3", "1"], ["3", "3"]]


def test_coco_has_images_joints_and_ids(tmp_path: Path) -> None:
    coco = json.loads(save("coco", tmp_path).read_text())
    (category,) = coco["categories"]
    assert category["keypoints"] == list(COCO_17.joints)
    assert [category["keypoints"][k - 1] for k in category["skeleton"][0]] == ["nose", "left_eye"]
    assert [image["id"] for image in coco["images"]] == [0, 1, 2]
    assert coco["images"][2]["file_name"] == "000002.jpg"
    assert coco["images"][2]["time_s"] == 0.08
    assert [(a["image_id"], a["track_id"], a["id"]) for a in coco["annotations"]] == [
        (0, 1, 1),
        (0, 2, 2),
        (2, 3, 3),
        (2, 1, 4),
    ]
    person = coco["annotations"][1]
    assert person["bbox"] == [195, 50, 10, 20]
    assert person["area"] == 200
    assert person["num_keypoints"] == 16
    joints = np.reshape(person["keypoints"], (17, 3))
    wrist = COCO_17.index("left_wrist")
    assert joints[0].tolist() == [200, 50, 2]
    assert joints[wrist].tolist() == [0, 0, 0]
    assert person["keypoint_scores"][0] == 0.64
    assert person["keypoint_scores"][wrist] == 0


@pytest.mark.parametrize("version", [2017, 2018])
def test_posetrack_files_come_back_as_they_were_followed(tmp_path: Path, version: int) -> None:
    clip = read_clip(save(f"posetrack{version - 2000}", tmp_path))
    assert clip.version == version
    assert clip.image_names == ("000000.jpg", "000001.jpg", "000002.jpg")
    assert clip.times is not None
    assert clip.times.tolist() == [0, 0.04, 0.08]
    assert clip.frames.tolist() == [0, 0, 2, 2]
    assert clip.track_ids.tolist() == [1, 2, 3, 1]
    poses = FRAMES[0].people.poses
    keypoints, scores = coco_to_posetrack(poses.keypoints, poses.keypoint_scores)
    np.testing.assert_allclose(clip.keypoints[:2], keypoints, atol=1e-3)
    assert np.isnan(clip.keypoints[0, POSETRACK_15.index("left_wrist")]).all()
    missing = np.isnan(keypoints[..., 0])
    np.testing.assert_allclose(clip.keypoint_scores[:2], np.where(missing, np.nan, scores), atol=1e-5)
    np.testing.assert_allclose(clip.scores[:2], poses.quality, atol=1e-5)


def test_posetrack_joints_are_written_as_they_are(tmp_path: Path) -> None:
    clip = ClipInfo(name="walk", skeleton=POSETRACK_15, fps=25, width=640, height=480)
    frame = tracked(0, [7], POSETRACK_15)
    back = read_clip(save("posetrack18", tmp_path, [frame], clip))
    np.testing.assert_allclose(back.keypoints, frame.people.poses.keypoints, atol=1e-3)


@pytest.mark.parametrize("name", WRITERS)
def test_interpolated_poses_are_marked(tmp_path: Path, name: str) -> None:
    frame = tracked(0, [2, 1])
    path = save(name, tmp_path, [replace(frame, people=replace(frame.people, interpolated=[True, False]))])
    if name.startswith("posetrack"):
        clip = read_clip(path)
        assert clip.track_ids.tolist() == [2, 1]
        assert clip.interpolated.tolist() == (
            [True, False] if name == "posetrack18" else [False, False]
        )  # no room in 2017
        assert path.read_text().count("interpolated") == clip.interpolated.sum()
    elif name == "coco":
        marks = {a["track_id"]: a.get("interpolated") for a in json.loads(path.read_text())["annotations"]}
        assert marks == {2: True, 1: None}
    elif name == "parquet":
        table = pq.read_table(path)
        assert set(zip(table["track_id"].to_pylist(), table["interpolated"].to_pylist(), strict=True)) == {
            (2, True),
            (1, False),
        }
    elif name == "csv":
        rows = list(csv.DictReader(path.read_text().splitlines()))
        assert {(row["track_id"], row["interpolated"]) for row in rows} == {("2", "1"), ("1", "0")}
    else:
        assert [line.split(",")[1] for line in path.read_text().splitlines()] == ["1", "2"]


@pytest.mark.parametrize("name", WRITERS)
def test_a_clip_without_people_or_frames_is_a_whole_file(tmp_path: Path, name: str) -> None:
    for frames in ([], [tracked(0, []), tracked(1, [])]):
        path = save(name, tmp_path, frames)
        if name.startswith("posetrack"):
            assert read_clip(path).num_frames == len(frames)
        elif name == "coco":
            assert len(json.loads(path.read_text())["images"]) == len(frames)
        elif name == "parquet":
            assert pq.read_table(path).num_rows == 0
        else:
            assert path.read_text().count("\n") == (1 if name == "csv" else 0)


# --- whole or not there -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WRITERS)
def test_the_same_frames_make_the_same_bytes(tmp_path: Path, name: str) -> None:
    contents = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        contents.append(save(name, tmp_path / folder).read_bytes())
    assert contents[0] == contents[1]


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_an_error_leaves_the_earlier_file_and_nothing_else(
    tmp_path: Path, name: str, error: type[BaseException]
) -> None:
    earlier = save(name, tmp_path)
    content = earlier.read_bytes()

    def failing() -> Iterable[TrackedFrame]:
        yield tracked(0, [1])
        raise error

    with pytest.raises(error):
        save(name, tmp_path, failing())
    assert list(tmp_path.iterdir()) == [earlier]
    assert earlier.read_bytes() == content


@pytest.mark.parametrize("name", WRITERS)
def test_nothing_stands_there_before_the_clip_is_done(tmp_path: Path, name: str) -> None:
    with open_writer(name, tmp_path, CLIP) as writer:
        writer.add(FRAMES[0])
        assert not (tmp_path / WRITERS[name].file_name).exists()
    assert (tmp_path / WRITERS[name].file_name).exists()


@pytest.mark.parametrize(
    "skeleton", [each for each in SKELETONS.values() if "left_ankle" in each.joints], ids=lambda each: each.name
)
def test_posetrack_files_have_what_any_skeleton_of_whole_bodies_gives(tmp_path: Path, skeleton: Skeleton) -> None:
    clip, frame = replace(CLIP, skeleton=skeleton), tracked(0, [1, 2], skeleton)
    back = read_clip(save("posetrack18", tmp_path, [frame], clip))
    poses = frame.people.poses
    keypoints, _ = mapped(poses.keypoints, poses.keypoint_scores, skeleton, POSETRACK_15)
    assert back.keypoints == pytest.approx(keypoints, abs=1e-3, nan_ok=True)
    knee = back.keypoints[1, POSETRACK_15.index("left_knee")]
    assert knee == pytest.approx(poses.keypoints[1, skeleton.index("left_knee")], abs=1e-3)
    assert np.isnan(back.keypoints[:, POSETRACK_15.index("left_wrist")]).all()
    assert default_formats(skeleton) == ("posetrack18", "csv")


# --- what is refused --------------------------------------------------------------------------------------------------


def test_an_unknown_format_is_refused_with_a_suggestion(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown file format 'parket'; did you mean 'parquet'"):
        open_writer("parket", tmp_path, CLIP)


def test_an_id_above_9999_gives_no_posetrack_file_and_a_reason(tmp_path: Path) -> None:
    with open_writer("posetrack18", tmp_path, CLIP) as writer:
        for frame in (tracked(4, [9999]), tracked(5, [2, 10000]), tracked(6, [1])):
            writer.add(frame)
    assert "end at track id 9999 and frame 5 has id 10000; use csv" in writer.failure
    assert "\n" not in writer.failure
    assert list(tmp_path.iterdir()) == []


def test_posetrack_refuses_a_skeleton_it_has_no_joints_for(tmp_path: Path) -> None:
    bust = Skeleton(name="bust", joints=("nose", "left_shoulder", "right_shoulder"), limbs=(), oks_sigmas=(0.1,) * 3)
    with pytest.raises(InputError, match=r"bust lacks some; save csv"):
        open_writer("posetrack18", tmp_path, replace(CLIP, skeleton=bust))
    assert default_formats(bust) == ("csv",)


# --- memory -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WRITERS)
def test_memory_does_not_grow_with_the_clip(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tracker.io.writers.tables._ROWS_PER_GROUP", 2000)
    monkeypatch.setattr("tracker.io.writers.posetrack._ROWS_PER_STRETCH", 200)
    people = tracked(0, range(1, 21)).people

    def peak(frames: int) -> int:
        tracemalloc.start()
        save(name, tmp_path, (TrackedFrame(i, i / 25, "0.jpg", people) for i in range(frames)))
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    peak(5)  # imports and caches
    short, long = peak(55), peak(160)
    assert long - short < (160 - 55) * 20 * 40  # bytes; a person's joints alone are 204
