"""Poses of other tools: one small scene in every format as the tool writes it, and what cannot be read is one line."""

from __future__ import annotations

import csv
import io
import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cyclopts import App
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eval_posetrack.convert_cli import convert_command
from eval_posetrack.evaluation import evaluate
from eval_posetrack.files import Clip, read_clip, write_clip
from eval_posetrack.readers import READERS, convert, read_images
from eval_posetrack.readers.joints import LAYOUTS, posetrack_joint
from posetrail.errors import InputError
from posetrail.skeletons import COCO_17, POSETRACK_15, coco_to_posetrack

h5py = pytest.importorskip("h5py")
HEAD = [POSETRACK_15.index("neck"), POSETRACK_15.index("head_top")]
BODY = [k for k in range(15) if k not in HEAD]
NUM_FRAMES = 4


@dataclass(frozen=True)
class Scene:
    """Four frames: two people, the same two, nobody, the second one alone and without a left wrist."""

    frames: np.ndarray  # (P,)
    ids: np.ndarray  # (P,)
    joints: dict[str, np.ndarray]  # name -> (P, 3) x y score, 0 0 0 where missing
    scores: np.ndarray  # (P,)
    boxes: np.ndarray  # (P, 4) x y w h

    def slots(self, names: tuple[str, ...]) -> np.ndarray:
        """(P, K, 3) in the order of a tool; joints the scene has not are somewhere in the body."""
        return np.stack([self.joints.get(name, self.joints["nose"] + [0.0, 40.0, 0.0]) for name in names], axis=1)


def scene() -> Scene:
    rng = np.random.default_rng(7)
    frames, ids = np.array([0, 0, 1, 1, 3]), np.array([0, 1, 0, 1, 1])
    middles = np.array([[300.0, 200], [700, 220], [310, 200], [690, 220], [680, 221]])
    names = [*COCO_17.joints, "neck", "head_top", "pelvis"]
    offsets = np.round(rng.uniform(-90, 90, (len(names), 2)), 2)
    scores = np.round(rng.uniform(0.3, 0.95, (len(names), 5)), 3)
    joints = {
        name: np.column_stack([middles + offset, score])
        for name, offset, score in zip(names, offsets, scores, strict=True)
    }
    joints["left_wrist"][4] = 0
    boxes = np.column_stack([middles - 100, np.full((5, 2), 200.0)])
    return Scene(frames, ids, joints, np.array([0.9, 0.8, 0.95, 0.7, 0.6]), boxes)


SCENE = scene()


# --- Files as the tools write them ------------------------------------------------------------------------------------


def coco_results(layout: str = "coco_17") -> list[dict[str, Any]]:
    slots = SCENE.slots(LAYOUTS[layout])
    return [
        {
            "image_id": 100 + int(SCENE.frames[p]),
            "category_id": 1,
            "keypoints": slots[p].ravel().tolist(),
            "score": float(SCENE.scores[p]),
            "bbox": SCENE.boxes[p].tolist(),
            "track_id": int(SCENE.ids[p]),
        }
        for p in range(5)
    ]


def coco_images() -> list[dict[str, Any]]:
    return [{"id": 100 + t, "file_name": f"clip/{t:06d}.png", "width": 960, "height": 540} for t in range(NUM_FRAMES)]


def coco_dict() -> dict[str, Any]:
    annotations = coco_results()
    for i, person in enumerate(annotations):
        slots = np.array(person["keypoints"]).reshape(-1, 3)
        person |= {"id": i, "iscrowd": 0, "area": 1.0, "keypoint_scores": slots[:, 2].tolist()}
        slots[:, 2] = 2 * (slots[:, 2] > 0)
        person["keypoints"] = slots.ravel().tolist()
    category = {"id": 1, "name": "person", "keypoints": list(COCO_17.joints), "skeleton": []}
    return {"images": coco_images(), "annotations": annotations, "categories": [category]}


def alphapose(layout: str = "coco_17") -> list[dict[str, Any]]:
    slots = SCENE.slots(LAYOUTS[layout])
    return [
        {
            "image_id": f"{SCENE.frames[p]}.jpg",
            "category_id": 1,
            "keypoints": slots[p].ravel().tolist(),
            "score": 2 + float(SCENE.scores[p]),
            "box": SCENE.boxes[p].tolist(),
            "idx": [float(SCENE.ids[p])],
        }
        for p in range(5)
    ]


def openpose(layout: str = "body_25") -> dict[str, dict[str, Any]]:
    slots = SCENE.slots(LAYOUTS[layout])
    files: dict[str, dict[str, Any]] = {}
    for t in range(NUM_FRAMES):
        people = [
            {
                "person_id": [int(SCENE.ids[p])],
                "pose_keypoints_2d": slots[p].ravel().tolist(),
                "face_keypoints_2d": [],
                "pose_keypoints_3d": [],
            }
            for p in np.flatnonzero(SCENE.frames == t)
        ]
        files[f"clip_{t:012d}_keypoints.json"] = {"version": 1.3, "people": people}
    return files


def mmpose(layout: str = "coco_17") -> list[dict[str, Any]]:
    slots = SCENE.slots(LAYOUTS[layout])
    x, y, w, h = SCENE.boxes.T
    corners = np.stack([x, y, x + w, y + h], axis=1)
    return [
        {
            "frame_id": t,
            "instances": [
                {
                    "keypoints": slots[p, :, :2].tolist(),
                    "keypoint_scores": slots[p, :, 2].tolist(),
                    "bbox": [corners[p].tolist()],
                    "bbox_score": float(SCENE.scores[p]),
                    "track_id": int(SCENE.ids[p]),
                }
                for p in np.flatnonzero(SCENE.frames == t)
            ],
        }
        for t in range(NUM_FRAMES)
    ]


def mmpose_demo() -> dict[str, Any]:
    frames = [{**frame, "frame_id": frame["frame_id"] + 1} for frame in mmpose()]
    names = {str(k): name for k, name in enumerate(COCO_17.joints)}
    return {"meta_info": {"dataset_name": "coco", "keypoint_id2name": names}, "instance_info": frames}


DLC_PARTS = ("Nose", "LShoulder", "RShoulder", *(j for j in COCO_17.joints[1:] if "shoulder" not in j), "tail")


def _named(part: str) -> np.ndarray:
    name = {"Nose": "nose", "LShoulder": "left_shoulder", "RShoulder": "right_shoulder"}.get(part, part)
    return SCENE.joints[name] if name in SCENE.joints else SCENE.joints["nose"] + 9


def _as_csv(rows: list[list[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def deeplabcut() -> str:
    columns = [(person, part, coord) for person in (0, 1) for part in DLC_PARTS for coord in ("x", "y", "likelihood")]
    header = [
        ["scorer", *["DLC_resnet50"] * len(columns)],
        ["individuals", *(f"ind{person + 1}" for person, _, _ in columns)],
        ["bodyparts", *(part for _, part, _ in columns)],
        ["coords", *(coord for _, _, coord in columns)],
    ]
    lines = []
    for t in range(NUM_FRAMES):
        line: list[Any] = [t]
        for person, part, coord in columns:
            at = np.flatnonzero((SCENE.frames == t) & (SCENE.ids == person))
            values = _named(part)[at[0]] if len(at) else np.zeros(3)
            line.append(values[("x", "y", "likelihood").index(coord)] if values.any() else "")
        lines.append(line)
    return _as_csv(header + lines)


def sleap_csv() -> str:
    header = ["track", "frame_idx", "instance.score"]
    header += [f"{part}.{end}" for part in DLC_PARTS for end in ("x", "y", "score")]
    rows: list[list[Any]] = [header]
    for p in range(5):
        joints = [_named(part)[p] for part in DLC_PARTS]
        cells = [cell for joint in joints for cell in (joint if joint.any() else ["", "", ""])]
        rows.append([f"track_{SCENE.ids[p]}", SCENE.frames[p], SCENE.scores[p], *cells])
    return _as_csv(rows)


def sleap_h5(path: Path) -> Path:
    tracks = np.full((2, 2, len(DLC_PARTS), NUM_FRAMES), np.nan)
    point_scores = np.full((2, len(DLC_PARTS), NUM_FRAMES), np.nan)
    instance_scores = np.full((2, NUM_FRAMES), np.nan)
    for p in range(5):
        person, t = SCENE.ids[p], SCENE.frames[p]
        joints = np.array([_named(part)[p] for part in DLC_PARTS])
        joints[(joints == 0).all(axis=1)] = np.nan
        tracks[person, :, :, t], point_scores[person, :, t] = joints[:, :2].T, joints[:, 2]
        instance_scores[person, t] = SCENE.scores[p]
    with h5py.File(path, "w") as file:
        file["tracks"], file["point_scores"], file["instance_scores"] = tracks, point_scores, instance_scores
        file["track_occupancy"] = np.isfinite(tracks).any(axis=(1, 2)).T
        file["node_names"] = np.array([part.encode() for part in DLC_PARTS])
        file["track_names"] = np.array([b"track_0", b"track_1"])
    return path


def saved(path: Path, content: Any) -> Path:
    """JSON, text, or a folder of JSON."""
    if isinstance(content, str):
        path.write_text(content)
    elif isinstance(content, dict) and all(name.endswith(".json") for name in content):
        path.mkdir(parents=True)
        for name, part in content.items():
            saved(path / name, part)
    else:
        path.write_text(json.dumps(content))
    return path


# What stands in the file -> the tool it is of, a file name for it, and its content.
FORMATS: dict[str, tuple[str, str, Callable[[], Any]]] = {
    "coco results": ("coco", "clip.json", coco_results),
    "coco": ("coco", "clip.json", coco_dict),
    "alphapose": ("alphapose", "clip.json", alphapose),
    "alphapose halpe": ("alphapose", "clip.json", lambda: alphapose("halpe_26")),
    "alphapose 136": ("alphapose", "clip.json", lambda: alphapose("halpe_136")),
    "openpose": ("openpose", "clip", openpose),
    "openpose coco": ("openpose", "clip", lambda: openpose("openpose_18")),
    "mmpose": ("mmpose", "clip.json", mmpose),
    "mmpose demo": ("mmpose", "clip.json", mmpose_demo),
    "deeplabcut": ("deeplabcut", "clip.csv", deeplabcut),
    "sleap csv": ("sleap", "clip.csv", sleap_csv),
    "sleap h5": ("sleap", "clip.h5", lambda: None),
}
HAVE_NECK = {"alphapose halpe", "alphapose 136", "openpose", "openpose coco"}


def source(tmp_path: Path, format: str) -> tuple[str, Path]:
    tool, name, content = FORMATS[format]
    path = tmp_path / name
    return tool, sleap_h5(path) if name.endswith(".h5") else saved(path, content())


def the_clip(tmp_path: Path, format: str, images: Path | None = None) -> Clip:
    tool, path = source(tmp_path, format)
    return read(tool, path, images)


def read(tool: str, path: Path, images: Path | None = None, joints: str | None = None) -> Clip:
    (clip,) = READERS[tool](path, read_images(images) if images else None, joints)
    return clip


def expected() -> tuple[np.ndarray, np.ndarray]:
    slots = SCENE.slots(COCO_17.joints)
    slots[(slots == 0).all(axis=2)] = [np.nan, np.nan, 0]
    return coco_to_posetrack(slots[:, :, :2], slots[:, :, 2])


# --- The scene --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", FORMATS)
def test_one_scene_in_every_format_is_the_same_people(tmp_path: Path, format: str) -> None:
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
def test_a_neck_and_head_top_of_its_own_are_kept(tmp_path: Path, format: str) -> None:
    clip = the_clip(tmp_path, format)
    np.testing.assert_allclose(clip.keypoints[:, HEAD[0]], SCENE.joints["neck"][:, :2])
    if format.startswith("alphapose"):
        np.testing.assert_allclose(clip.keypoints[:, HEAD[1]], SCENE.joints["head_top"][:, :2])
    else:  # OpenPose has none: it is made from the face
        np.testing.assert_allclose(clip.keypoints[:, HEAD[1]], expected()[0][:, HEAD[1]])


def test_boxes_and_scores_of_people_come_along(tmp_path: Path) -> None:
    x, y, w, h = SCENE.boxes.T
    corners = np.stack([x, y, x + w, y + h], axis=1)
    for format in ("coco", "alphapose", "mmpose"):
        clip = the_clip(tmp_path, format)
        np.testing.assert_allclose(clip.boxes, corners)
        more = 2 if format == "alphapose" else 0
        np.testing.assert_allclose(clip.scores, SCENE.scores + more, rtol=1e-6)
        assert any("scores of people are between 2.6 and 2.95" in note for note in clip.notes) == bool(more)


@pytest.mark.parametrize(("layout", "tool"), [("openpose_15", "openpose"), ("mpii_16", "mmpose")])
def test_layouts_without_a_face_have_their_own_head(tmp_path: Path, layout: str, tool: str) -> None:
    content = openpose(layout) if tool == "openpose" else mmpose(layout)
    clip = read(tool, saved(tmp_path / ("a" if tool == "openpose" else "a.json"), content))
    np.testing.assert_allclose(clip.keypoints[:, HEAD[1]], SCENE.joints["head_top"][:, :2])
    assert np.isnan(clip.keypoints[:, POSETRACK_15.index("nose")]).all() == (layout != "coco_17")


@pytest.mark.parametrize("layout", ["crowdpose_14", "aic_14", "body_25", "posetrack_15", "halpe_26"])
def test_any_order_can_be_named(tmp_path: Path, layout: str) -> None:
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


def test_a_list_of_images_brings_names_order_and_empty_frames(tmp_path: Path) -> None:
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
def test_results_may_name_an_image_by_id_file_stem_or_number(tmp_path: Path, key: Callable[[int], Any]) -> None:
    results = coco_results()
    for person in results:
        person["image_id"] = key(person["image_id"] - 100)
    images = saved(tmp_path / "images", {"images": coco_images()})
    clip = read("coco", saved(tmp_path / "a.json", results), images)
    assert clip.frames.tolist() == SCENE.frames.tolist()


def test_names_sort_as_people_count(tmp_path: Path) -> None:
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
    clip = read("deeplabcut", saved(tmp_path / "a.csv", _as_csv(rows)))
    assert clip.image_names == tuple(f"img{t:03d}.png" for t in range(NUM_FRAMES))
    np.testing.assert_allclose(clip.keypoints[:, BODY], expected()[0][:, BODY])


def test_a_single_animal_has_one_id(tmp_path: Path) -> None:
    rows = list(csv.reader(deeplabcut().splitlines()))
    half = [row[: 1 + 3 * len(DLC_PARTS)] for row in rows if row[0] != "individuals"]
    clip = read("deeplabcut", saved(tmp_path / "a.csv", _as_csv(half)))
    assert clip.track_ids.tolist() == [0, 0]
    assert clip.frames.tolist() == [0, 1]
    assert clip.num_frames == NUM_FRAMES
    assert any("'tail'" in note for note in clip.notes)


# --- Ids, scores, missing joints --------------------------------------------------------------------------------------


def test_an_id_that_everybody_has_is_no_id(tmp_path: Path) -> None:
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


def test_ids_too_great_for_posetrack_are_numbered_anew(tmp_path: Path) -> None:
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


def test_visibility_is_no_score(tmp_path: Path) -> None:
    content = coco_dict()
    for person in content["annotations"]:
        del person["keypoint_scores"]
    content["annotations"][0]["keypoints"][2] = 0  # a place, but not labelled
    clip = read("coco", saved(tmp_path / "a.json", content))
    assert np.isnan(clip.keypoint_scores).all()
    assert np.isnan(clip.keypoints[0, POSETRACK_15.index("nose")]).all()


def test_people_without_joints_are_left_out_and_told(tmp_path: Path) -> None:
    people = coco_results()
    people[0]["keypoints"] = [0] * 51
    clip = read("coco", saved(tmp_path / "a.json", people))
    assert len(clip) == 4
    assert any(note.startswith("1 of 5 people") for note in clip.notes)


# --- The whole way ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [2017, 2018, 2021])
def test_what_is_converted_scores_100_against_itself(tmp_path: Path, version: int) -> None:
    tool, path = source(tmp_path, "alphapose")
    (out,) = convert(path, tmp_path / "found" / "clip.json", tool, version=version)
    clip = read_clip(out)
    (tmp_path / "truth").mkdir()
    write_clip(replace(clip, head_boxes=read(tool, path).boxes), tmp_path / "truth" / "clip.json", version=version)
    figures = evaluate(tmp_path / "truth", tmp_path / "found", metrics=["MOT"]).to_json()
    assert figures["total"]["MOT"]["mota"]["total"] == pytest.approx(100)
    assert clip.num_frames == NUM_FRAMES


def test_the_command_converts_and_tells(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tool, path = source(tmp_path, "alphapose")
    app = App(name="convert")
    app.default(convert_command)
    arguments = [str(path), str(tmp_path / "out.json"), "--from", tool, "--to", "2017"]
    assert app(arguments, result_action="return_value") == 0
    told = capsys.readouterr()
    assert told.out == f"{tmp_path / 'out.json'}: 4 frames, 5 people\n"
    assert "scores of people are between" in told.err
    assert read_clip(tmp_path / "out.json").version == 2017


def test_the_source_is_never_written_over(tmp_path: Path) -> None:
    tool, path = source(tmp_path, "alphapose")
    before = path.read_bytes()
    with pytest.raises(InputError, match="outside of the source"):
        convert(path, path, tool)
    with pytest.raises(InputError, match="outside of the source"):
        convert(path, tmp_path, tool)
    assert path.read_bytes() == before


# --- What cannot be read ----------------------------------------------------------------------------------------------


def changed(content: Any, change: Callable[[Any], object]) -> Any:
    content = json.loads(json.dumps(content))
    change(content)
    return content


def put(key: Any, value: Any) -> Callable[[Any], None]:
    return lambda content: content.__setitem__(key, value)


def at(*steps: Any) -> Callable[[Callable[[Any], None]], Callable[[Any], None]]:
    def inside(change: Callable[[Any], None]) -> Callable[[Any], None]:
        def apply(content: Any) -> None:
            for step in steps:
                content = content[step]
            change(content)

        return apply

    return inside


WRONG: dict[str, tuple[str, Any, str]] = {
    "no list": ("alphapose", {"people": []}, "a.json: expected a list of people as AlphaPose writes it"),
    "a string for a joint": (
        "alphapose",
        changed(alphapose(), at(1, "keypoints")(put(4, "x"))),
        r"a.json: \[1\] \(image_id '0.jpg'\): 'keypoints': expected 51 numbers, got",
    ),
    "a joint too few": (
        "alphapose",
        changed(alphapose(), at(2)(put("keypoints", [1.0] * 48))),
        r"\[2\] \(image_id '1.jpg'\): 'keypoints': expected 51 numbers",
    ),
    "unknown count": (
        "alphapose",
        [{"image_id": "0.jpg", "keypoints": [5.0] * 42}],
        "expected 16, 17, 26, 133, 136 joints, got 14; give their order with --joints",
    ),
    "huge": ("alphapose", changed(alphapose(), at(0, "keypoints")(put(0, 1e30))), "no number beyond 1e"),
    "no image": ("alphapose", changed(alphapose(), lambda c: c[0].pop("image_id")), "'image_id': expected"),
    "a negative id": ("alphapose", changed(alphapose(), at(0)(put("idx", -7))), "'idx': expected a whole number"),
    "half an id": ("alphapose", changed(alphapose(), at(0)(put("idx", [0.5]))), "'idx': expected a whole number"),
    "a box inside out": (
        "alphapose",
        changed(alphapose(), at(0)(put("box", [5, 5, -1, 5]))),
        "'box': expected x y width",
    ),
    "parts of the image": (
        "alphapose",
        [{"image_id": "0.jpg", "keypoints": [0.5, 0.25, 0.9] * 17}],
        "expected coordinates in pixels",
    ),
    "nothing": ("alphapose", [], "expected at least one frame"),
    "mixed ids": (
        "coco",
        changed(coco_results(), at(3)(put("image_id", "a"))),
        "'image_id': expected a whole number as in",
    ),
    "a score of text": (
        "coco",
        changed(coco_results(), at(3)(put("score", "high"))),
        r"results\[3\].*'score': expected",
    ),
    "an unknown image": (
        "coco",
        changed(coco_dict(), at("annotations", 0)(put("image_id", 9))),
        "'image_id': expected one of the 4 images",
    ),
    "names of no joints": (
        "coco",
        changed(coco_dict(), at("categories", 0)(put("keypoints", [f"leg{k}" for k in range(17)]))),
        "expected joints of people such as nose or left_knee, got 'leg0', 'leg1'",
    ),
    "a joint twice": (
        "coco",
        changed(coco_dict(), at("categories", 0, "keypoints")(put(1, "Nose"))),
        "expected every joint once, got 'nose' and 'Nose'",
    ),
    "two images of one id": (
        "coco",
        changed(coco_dict(), at("images", 1)(put("id", 100))),
        r"images\[1\]: 'id': expected",
    ),
    "no instances": (
        "mmpose",
        changed(mmpose(), lambda c: c[2].pop("instances")),
        r"\[2\]: 'instances': expected a list",
    ),
    "three coordinates": (
        "mmpose",
        changed(mmpose(), at(1, "instances", 0, "keypoints")(put(3, [1, 2, 3]))),
        r"frame 1: instances\[0\]: 'keypoints': expected a list of \[x, y\]",
    ),
    "a frame twice": ("mmpose", changed(mmpose(), at(1)(put("frame_id", 0))), "'frame_id': expected every frame once"),
    "a frame far away": ("mmpose", changed(mmpose(), at(3)(put("frame_id", 10**9))), "expected a frame number below"),
    "an odd joint score": (
        "mmpose",
        changed(mmpose(), at(0, "instances", 0, "keypoint_scores")(put(0, None))),
        "'keypoint_scores': expected 17 numbers",
    ),
    "no people": (
        "openpose",
        changed(openpose(), at("clip_000000000001_keypoints.json")(put("people", None))),
        "clip_000000000001_keypoints.json: 'people': expected a list",
    ),
    "a person without joints": (
        "openpose",
        changed(openpose(), at("clip_000000000001_keypoints.json", "people", 1)(lambda p: p.pop("pose_keypoints_2d"))),
        r"clip_000000000001_keypoints.json: people\[1\]: 'pose_keypoints_2d': expected",
    ),
    "no header": ("deeplabcut", "frame,x,y\n0,1,2\n", "expected lines that begin with scorer, bodyparts, coords"),
    "a cell of text": (
        "deeplabcut",
        deeplabcut().replace(str(SCENE.joints["nose"][0, 0]), "12.x", 1),
        r"a.csv: line 5, column 2: expected a number up to 1e\+06, got '12.x'",
    ),
    "an underscore": (
        "deeplabcut",
        deeplabcut().replace(str(SCENE.joints["nose"][0, 0]), "1_0", 1),
        "line 5, column 2: expected a number",
    ),
    "infinity": (
        "deeplabcut",
        deeplabcut().replace(str(SCENE.joints["nose"][0, 0]), "inf", 1),
        "line 5, column 2: expected a number",
    ),
    "a cut line": ("deeplabcut", deeplabcut()[:-40], r"line 8: expected \d+ cells as in line 1, got"),
    "frames back": ("deeplabcut", deeplabcut().replace("\n1,", "\n0,", 1), "line 6: expected frames in order, got 0"),
    "x without y": (
        "deeplabcut",
        "scorer,a\nbodyparts,nose\ncoords,x\n0,5\n",
        "body part 'nose': expected x and y, got no y",
    ),
    "only mice": (
        "deeplabcut",
        "scorer,a,a\nbodyparts,snout,snout\ncoords,x,y\n0,5,6\n",
        "expected joints of people such as nose or left_knee, got 'snout'",
    ),
    "no track": ("sleap", "frame,nose.x\n", "expected columns track, frame_idx"),
    "a frame of text": (
        "sleap",
        sleap_csv().replace("track_0,0,", "track_0,zero,", 1),
        "line 2, column 2: expected a frame",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said_in_one_line(tmp_path: Path, case: str) -> None:
    tool, content, message = WRONG[case]
    name = "a" if tool == "openpose" else "a.csv" if isinstance(content, str) else "a.json"
    path = saved(tmp_path / name, content)
    with pytest.raises(InputError, match=message) as error:
        READERS[tool](path, None, None)
    assert str(error.value).startswith(str(tmp_path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("tool", READERS)
def test_nothing_there_is_said(tmp_path: Path, tool: str) -> None:
    for path in (tmp_path, tmp_path / "absent.json"):
        with pytest.raises(InputError, match="expected"):
            READERS[tool](path, None, None)


def test_unknown_tools_and_orders_are_said(tmp_path: Path) -> None:
    tool, path = source(tmp_path, "alphapose")
    with pytest.raises(InputError, match="unknown tool 'alphaposse'; did you mean 'alphapose'"):
        convert(path, tmp_path / "o.json", "alphaposse")
    with pytest.raises(InputError, match="unknown joint order 'body25'; did you mean 'body_25'"):
        convert(path, tmp_path / "o.json", tool, joints="body25")
    with pytest.raises(InputError, match=r"expected 26 joints \(halpe_26\), got 17"):
        convert(path, tmp_path / "o.json", tool, joints="halpe_26")
    with pytest.raises(InputError, match="version: expected 2017, 2018 or 2021, got 2019"):
        convert(path, tmp_path / "o.json", tool, version=2019)
    assert not (tmp_path / "o.json").exists()


def test_deeplabcut_hdf5_is_sent_to_csv(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="converth5_to_csv"):
        READERS["deeplabcut"](tmp_path / "a.h5", None, None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.__delitem__("node_names"), "got no 'node_names'"),
        (lambda f: f.__delitem__("tracks"), "'tracks': expected shape"),
        (
            lambda f: (f.__delitem__("tracks"), f.__setitem__("tracks", np.zeros((4, 17, 2, 2)))),
            "'tracks': expected shape",
        ),
        (lambda f: (f.__delitem__("tracks"), f.__setitem__("tracks", "text")), "'tracks': expected numbers, got"),
        (lambda f: (f.__delitem__("tracks"), f.__setitem__("tracks", h5py.ExternalLink("/etc/x", "/a"))), "a link"),
        (lambda f: f["tracks"].__setitem__((0, 0, 0, 1), np.inf), "frame 1: expected no number beyond"),
        (lambda f: f["point_scores"].__setitem__((0, 0, 1), np.inf), "'point_scores': expected no number beyond"),
        (
            lambda f: (f.__delitem__("point_scores"), f.__setitem__("point_scores", np.zeros(3))),
            "'point_scores': expected",
        ),
        (
            lambda f: (
                f.__delitem__("tracks"),
                f.create_dataset("tracks", (10**5, 2, 18, 10**6), "f4", chunks=(1, 2, 18, 9)),
            ),
            "'tracks': expected at most",
        ),
    ],
)
def test_a_wrong_sleap_file_is_said_in_one_line(tmp_path: Path, change: Callable[[Any], object], message: str) -> None:
    path = sleap_h5(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises(InputError, match=message) as error:
        READERS["sleap"](path, None, None)
    assert "\n" not in str(error.value)


# --- Mutations --------------------------------------------------------------------------------------------------------

STRANGE = st.sampled_from(
    [
        None,
        True,
        "",
        "x",
        -1,
        0,
        1.5,
        1e9,
        1e300,
        float("nan"),
        float("inf"),
        10**30,
        [],
        {},
        [[]],
        [1],
        {"a": 1},
        [None],
    ]
)


def leaves(content: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every value inside."""
    inside = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    return [found for key, value in inside for found in [(*way, key), *leaves(value, (*way, key))]]


def assert_clip_or_one_line(tool: str, path: Path) -> None:
    clips, fault = [], f"{path.parent}: none"
    try:
        clips = READERS[tool](path, None, None)
    except InputError as error:
        fault = str(error)
    assert fault.startswith(str(path.parent))
    assert "\n" not in fault
    for clip in clips:
        assert not np.isinf(clip.keypoints).any()
        assert not (np.abs(clip.keypoints) > 1e6).any()
        assert (clip.track_ids >= -1).all()
        assert clip.num_frames <= 1_000_000


JSON_FORMATS = [name for name, (_, file, _) in FORMATS.items() if not file.endswith((".csv", ".h5"))]


@pytest.mark.parametrize("format", JSON_FORMATS)
@given(data=st.data())
@settings(max_examples=60, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_strange_value_anywhere_is_read_or_said(
    tmp_path_factory: pytest.TempPathFactory, format: str, data: st.DataObject
) -> None:
    tool, name, make = FORMATS[format]
    content = make()
    ways = [way for way in leaves(content) if not (tool == "openpose" and len(way) == 1)]
    *steps, last = data.draw(st.sampled_from(ways))
    value = data.draw(STRANGE)
    at(*steps)(put(last, value))(content)
    folder = tmp_path_factory.mktemp("mutated")
    assert_clip_or_one_line(tool, saved(folder / name, content))


@pytest.mark.parametrize(("tool", "make"), [("alphapose", alphapose), ("coco", coco_results)])
@given(data=st.data())
@settings(max_examples=60, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_strange_value_in_one_person_changes_no_other(
    tmp_path_factory: pytest.TempPathFactory, tool: str, make: Callable[[], Any], data: st.DataObject
) -> None:
    content = make()
    person = data.draw(st.integers(0, 4))
    *steps, last = data.draw(st.sampled_from([way for way in leaves(content[person]) if way != ("image_id",)]))
    at(person, *steps)(put(last, data.draw(STRANGE)))(content)
    try:
        clip = read(tool, saved(tmp_path_factory.mktemp("one") / "a.json", content))
    except InputError:
        return
    others = np.delete(np.arange(5), person)
    rows = others if len(clip) == 5 else np.arange(4)  # the person may have been left out
    np.testing.assert_array_equal(clip.keypoints[rows][:, BODY], expected()[0][others][:, BODY])
    np.testing.assert_array_equal(clip.track_ids[rows], SCENE.ids[others])


@pytest.mark.parametrize("format", FORMATS)
@given(data=st.data())
@settings(max_examples=40, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged_bytes_are_read_or_said(
    tmp_path_factory: pytest.TempPathFactory, format: str, data: st.DataObject
) -> None:
    tool, path = source(tmp_path_factory.mktemp("damaged"), format)
    file = sorted(path.iterdir())[1] if path.is_dir() else path
    content = bytearray(file.read_bytes())
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content)))]
    for _ in range(data.draw(st.integers(0, 4)) if content else 0):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    file.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_clip_or_one_line(tool, path)


@given(seed=st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_the_order_of_people_in_a_file_changes_only_their_order(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    order = np.random.default_rng(seed).permutation(5)
    folder = tmp_path_factory.mktemp("order")
    people = alphapose()
    straight = read("alphapose", saved(folder / "a.json", people))
    mixed = read("alphapose", saved(folder / "b.json", [people[i] for i in order]))
    rows = np.lexsort((mixed.track_ids, mixed.frames))
    np.testing.assert_array_equal(mixed.keypoints[rows], straight.keypoints)
    np.testing.assert_array_equal(mixed.scores[rows], straight.scores)
