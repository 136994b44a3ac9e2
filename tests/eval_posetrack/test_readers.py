"""Poses of other tools: one small scene in every format gives the same clip."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cyclopts import App

from eval_posetrack.convert_cli import convert_command
from eval_posetrack.evaluation import evaluate
from eval_posetrack.formats.files import read_clip, write_clip
from eval_posetrack.readers import READERS, convert
from eval_posetrack.readers.joints import LAYOUTS, posetrack_joint
from posetrail.errors import InputError
from posetrail.skeletons import POSETRACK_15
from tests.pose_formats import (
    BODY,
    DLC_PARTS,
    FORMATS,
    HAVE_NECK,
    HEAD,
    NUM_FRAMES,
    SCENE,
    alphapose,
    as_csv,
    coco_dict,
    coco_images,
    coco_results,
    deeplabcut,
    expected,
    mmpose,
    openpose,
    read,
    saved,
    source,
    the_clip,
)

# --- The scene --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", FORMATS)
def test_one_scene_in_every_format_gives_the_same_clip(tmp_path: Path, format: str) -> None:
    images = saved(tmp_path / "images", {"images": coco_images()}) if format == "coco results" else None
    clip = the_clip(tmp_path, format, images)
    keypoints, scores = expected()
    assert clip.name == "clip"
    assert clip.num_frames == NUM_FRAMES
    assert clip.frames.tolist() == SCENE.frames.tolist()
    assert clip.track_ids.tolist() == SCENE.ids.tolist()
    np.testing.assert_allclose(clip.keypoints[:, BODY], keypoints[:, BODY])
    there = np.isfinite(keypoints[:, :, 0])
    np.testing.assert_allclose(clip.keypoint_scores[:, BODY], np.where(there, scores, np.nan)[:, BODY])
    if format not in HAVE_NECK:
        np.testing.assert_allclose(clip.keypoints[:, HEAD], keypoints[:, HEAD])
        np.testing.assert_allclose(clip.keypoint_scores[:, HEAD], scores[:, HEAD])


@pytest.mark.parametrize("format", ["alphapose halpe", "alphapose 136", "openpose", "openpose coco"])
def test_the_neck_and_head_top_of_the_source_are_kept(tmp_path: Path, format: str) -> None:
    clip = the_clip(tmp_path, format)
    np.testing.assert_allclose(clip.keypoints[:, HEAD[0]], SCENE.joints["neck"][:, :2])
    if format.startswith("alphapose"):
        np.testing.assert_allclose(clip.keypoints[:, HEAD[1]], SCENE.joints["head_top"][:, :2])
    else:  # OpenPose has none: it is made from the face
        np.testing.assert_allclose(clip.keypoints[:, HEAD[1]], expected()[0][:, HEAD[1]])


def test_boxes_and_scores_of_people_are_read(tmp_path: Path) -> None:
    x, y, w, h = SCENE.boxes.T
    corners = np.stack([x, y, x + w, y + h], axis=1)
    for format in ("coco", "alphapose", "mmpose"):
        clip = the_clip(tmp_path, format)
        np.testing.assert_allclose(clip.boxes, corners)
        more = 2 if format == "alphapose" else 0
        np.testing.assert_allclose(clip.scores, SCENE.scores + more, rtol=1e-6)
        assert any("scores of people are between 2.6 and 2.95" in note for note in clip.notes) == bool(more)


@pytest.mark.parametrize(("layout", "tool"), [("openpose_15", "openpose"), ("mpii_16", "mmpose")])
def test_layouts_without_face_joints_keep_their_head_top(tmp_path: Path, layout: str, tool: str) -> None:
    content = openpose(layout) if tool == "openpose" else mmpose(layout)
    clip = read(tool, saved(tmp_path / ("a" if tool == "openpose" else "a.json"), content))
    np.testing.assert_allclose(clip.keypoints[:, HEAD[1]], SCENE.joints["head_top"][:, :2])
    assert np.isnan(clip.keypoints[:, POSETRACK_15.index("nose")]).all() == (layout != "coco_17")


@pytest.mark.parametrize("layout", ["crowdpose_14", "aic_14", "body_25", "posetrack_15", "halpe_26"])
def test_the_order_of_joints_can_be_given(tmp_path: Path, layout: str) -> None:
    clip = read("mmpose", saved(tmp_path / "a.json", mmpose(layout)), joints=layout)
    shared = [k for k in BODY if POSETRACK_15.joints[k] != "nose"]
    np.testing.assert_allclose(clip.keypoints[:, shared], expected()[0][:, shared])


def test_every_layout_names_each_joint_once() -> None:
    for name, joints in LAYOUTS.items():
        assert len(joints) == int(name.rpartition("_")[2]) == len(set(joints))
        known = [joint for joint in map(posetrack_joint, joints) if joint]
        assert len(known) == len(set(known)) >= 14


def test_spellings_of_joints() -> None:
    for spelling in ("LShoulder", "left shoulder", "Left_Shoulder", "shoulder_l", "shoulderLeft", "LEFT-SHOULDER"):
        assert posetrack_joint(spelling) == "left_shoulder"
    assert posetrack_joint("head_bottom") == posetrack_joint("upper_neck") == "neck"
    assert posetrack_joint("top_head") == "head_top"
    assert [posetrack_joint(name) for name in ("rear", "head", "tail", "", "left", "snout")] == [None] * 6


# --- Frames -----------------------------------------------------------------------------------------------------------


def test_a_list_of_images_gives_names_order_and_empty_frames(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for t in range(6):
        (tmp_path / "folder" / f"{t}.jpg").touch()
    clip = the_clip(tmp_path, "alphapose", tmp_path / "folder")
    assert clip.image_names == tuple(f"{t}.jpg" for t in range(6))
    results = saved(tmp_path / "results.json", coco_results())
    assert read("coco", results).num_frames == 3
    assert any("without people" in note for note in read("coco", results).notes)
    shuffled = [{**image, "frame_id": image["id"]} for image in coco_images()][::-1]
    clip = read("coco", results, saved(tmp_path / "gt", {"images": shuffled}))
    assert clip.image_names == tuple(f"clip/{t:06d}.png" for t in range(NUM_FRAMES))
    assert clip.frames.tolist() == SCENE.frames.tolist()


@pytest.mark.parametrize("key", [lambda t: f"{t:06d}", lambda t: f"{t:06d}.png", lambda t: t, lambda t: 100 + t])
def test_results_may_refer_to_an_image_by_id_file_name_stem_or_number(
    tmp_path: Path, key: Callable[[int], Any]
) -> None:
    results = coco_results()
    for person in results:
        person["image_id"] = key(person["image_id"] - 100)
    images = saved(tmp_path / "images", {"images": coco_images()})
    clip = read("coco", saved(tmp_path / "a.json", results), images)
    assert clip.frames.tolist() == SCENE.frames.tolist()


def test_file_names_sort_by_their_numbers(tmp_path: Path) -> None:
    people = alphapose()
    for person, name in zip(people, ("img_10", "img_9", "img_2", "img_2", "img_1"), strict=True):
        person["image_id"] = f"{name}.png"
    clip = read("alphapose", saved(tmp_path / "a.json", people))
    assert clip.image_names == ("img_1.png", "img_2.png", "img_9.png", "img_10.png")
    assert clip.frames.tolist() == [0, 1, 1, 2, 3]


def test_a_coco_file_of_several_videos_is_several_clips(tmp_path: Path) -> None:
    content = coco_dict()
    for image in content["images"]:
        image["video_id"] = image["id"] // 102  # frames 0 1 | 2 3
    content["videos"] = [{"id": 0, "name": "../../first"}, {"id": 1, "name": "second"}]
    out = tmp_path / "out"
    written = convert(saved(tmp_path / "all.json", content), out, "coco")
    assert sorted(path.name for path in out.iterdir()) == ["first.json", "second.json"]
    assert [(clip.num_frames, len(clip)) for clip in written.values()] == [(2, 4), (2, 1)]
    with pytest.raises(InputError, match="for the 2 clips"):
        convert(tmp_path / "all.json", tmp_path / "one.json", "coco")


def test_folders_of_a_file_each_are_several_clips(tmp_path: Path) -> None:
    for name in ("a", "b"):
        saved(tmp_path / "in" / name, openpose())
    assert [clip.name for clip in READERS["openpose"](tmp_path / "in", None, None)] == ["a", "b"]
    folder = saved(tmp_path / "alpha", {"a.json": alphapose(), "b.json": alphapose()})
    assert [path.name for path in convert(folder, tmp_path / "out", "alphapose")] == ["a.json", "b.json"]


def test_mmpose_of_a_folder_of_images_is_one_clip(tmp_path: Path) -> None:
    folder = saved(tmp_path / "shots", {f"img_{f['frame_id']}.json": f["instances"] for f in mmpose()})
    clip = read("mmpose", folder)
    assert clip.image_names == tuple(f"img_{t}.jpg" for t in range(NUM_FRAMES))
    assert clip.frames.tolist() == SCENE.frames.tolist()


def test_labelled_frames_of_deeplabcut_have_the_names_of_their_images(tmp_path: Path) -> None:
    rows = list(csv.reader(deeplabcut().splitlines()))
    for t, row in enumerate(rows[4:]):
        row[:1] = ["labeled-data", "clip", f"img{t:03d}.png"]
    for row in rows[:4]:
        row[1:1] = ["", ""]
    clip = read("deeplabcut", saved(tmp_path / "a.csv", as_csv(rows)))
    assert clip.image_names == tuple(f"img{t:03d}.png" for t in range(NUM_FRAMES))
    np.testing.assert_allclose(clip.keypoints[:, BODY], expected()[0][:, BODY])


def test_a_file_with_a_single_individual_has_one_id(tmp_path: Path) -> None:
    rows = list(csv.reader(deeplabcut().splitlines()))
    half = [row[: 1 + 3 * len(DLC_PARTS)] for row in rows if row[0] != "individuals"]
    clip = read("deeplabcut", saved(tmp_path / "a.csv", as_csv(half)))
    assert clip.track_ids.tolist() == [0, 0]
    assert clip.frames.tolist() == [0, 1]
    assert clip.num_frames == NUM_FRAMES
    assert any("'tail'" in note for note in clip.notes)


# --- Ids, scores, missing joints --------------------------------------------------------------------------------------


def test_an_id_that_all_people_have_is_left_out(tmp_path: Path) -> None:
    people = alphapose()
    for person in people:
        person["idx"] = [0.0]
    clip = read("alphapose", saved(tmp_path / "a.json", people))
    assert clip.track_ids.tolist() == [-1] * 5
    assert any("they were not tracked" in note for note in clip.notes)
    for person in people:
        del person["idx"]
    assert read("alphapose", saved(tmp_path / "a.json", people)).track_ids.tolist() == [-1] * 5


def test_openpose_without_tracking_has_no_ids(tmp_path: Path) -> None:
    files = openpose()
    for file in files.values():
        for person in file["people"]:
            person["person_id"] = [-1]
    assert read("openpose", saved(tmp_path / "a", files)).track_ids.tolist() == [-1] * 5


def test_ids_too_large_for_posetrack_are_renumbered(tmp_path: Path) -> None:
    people = alphapose()
    for person, id in zip(people, (123456, 7, -1, 7, 123456), strict=True):
        person["idx"] = id
    convert(saved(tmp_path / "a.json", people), tmp_path / "out.json", "alphapose")
    assert read_clip(tmp_path / "out.json").track_ids.tolist() == [0, 1, -1, 1, 0]


def test_nan_and_zero_are_missing(tmp_path: Path) -> None:
    people = coco_results()
    people[0]["keypoints"][:3] = [float("nan"), float("nan"), 0.0]
    people[1]["keypoints"][:3] = [0.0, 0.0, 0.4]
    path = saved(tmp_path / "a.json", people)
    assert "NaN" in path.read_text()
    clip = read("coco", path)
    nose = POSETRACK_15.index("nose")
    assert np.isnan(clip.keypoints[:2, nose]).all()
    assert np.isnan(clip.keypoint_scores[:2, nose]).all()
    assert np.isfinite(clip.keypoints[2, nose]).all()


def test_visibility_flags_are_not_scores(tmp_path: Path) -> None:
    content = coco_dict()
    for person in content["annotations"]:
        del person["keypoint_scores"]
    content["annotations"][0]["keypoints"][2] = 0  # a place, but not labelled
    clip = read("coco", saved(tmp_path / "a.json", content))
    assert np.isnan(clip.keypoint_scores).all()
    assert np.isnan(clip.keypoints[0, POSETRACK_15.index("nose")]).all()


def test_people_without_joints_are_left_out_and_noted(tmp_path: Path) -> None:
    people = coco_results()
    people[0]["keypoints"] = [0] * 51
    clip = read("coco", saved(tmp_path / "a.json", people))
    assert len(clip) == 4
    assert any(note.startswith("1 of 5 people") for note in clip.notes)


# --- The whole way ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [2017, 2018, 2021])
def test_a_converted_clip_scores_100_against_itself(tmp_path: Path, version: int) -> None:
    tool, path = source(tmp_path, "alphapose")
    (out,) = convert(path, tmp_path / "found" / "clip.json", tool, version=version)
    clip = read_clip(out)
    (tmp_path / "truth").mkdir()
    write_clip(replace(clip, head_boxes=read(tool, path).boxes), tmp_path / "truth" / "clip.json", version=version)
    figures = evaluate(tmp_path / "truth", tmp_path / "found", metrics=["MOT"]).to_json()
    assert figures["total"]["MOT"]["mota"]["total"] == pytest.approx(100)
    assert clip.num_frames == NUM_FRAMES


def test_the_command_converts_and_prints_notes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tool, path = source(tmp_path, "alphapose")
    app = App(name="convert")
    app.default(convert_command)
    arguments = [str(path), str(tmp_path / "out.json"), "--from", tool, "--to", "2017"]
    assert app(arguments, result_action="return_value") == 0
    told = capsys.readouterr()
    assert told.out == f"{tmp_path / 'out.json'}: 4 frames, 5 people\n"
    assert "scores of people are between" in told.err
    assert read_clip(tmp_path / "out.json").version == 2017


def test_the_source_is_never_overwritten(tmp_path: Path) -> None:
    tool, path = source(tmp_path, "alphapose")
    before = path.read_bytes()
    with pytest.raises(InputError, match="outside of the source"):
        convert(path, path, tool)
    with pytest.raises(InputError, match="outside of the source"):
        convert(path, tmp_path, tool)
    assert path.read_bytes() == before
