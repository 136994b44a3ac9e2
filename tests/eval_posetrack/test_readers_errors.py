"""Files of other tools that cannot be used are refused with one line that names the place."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eval_posetrack.readers import READERS, convert
from posetrail.errors import InputError
from tests.pose_formats import (
    BODY,
    FORMATS,
    SCENE,
    alphapose,
    at,
    changed,
    coco_dict,
    coco_results,
    deeplabcut,
    expected,
    h5py,
    mmpose,
    openpose,
    put,
    read,
    saved,
    sleap_csv,
    sleap_h5,
    source,
)

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
def test_wrong_files_are_refused_in_one_line(tmp_path: Path, case: str) -> None:
    tool, content, message = WRONG[case]
    name = "a" if tool == "openpose" else "a.csv" if isinstance(content, str) else "a.json"
    path = saved(tmp_path / name, content)
    with pytest.raises(InputError, match=message) as error:
        READERS[tool](path, None, None)
    assert str(error.value).startswith(str(tmp_path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("tool", READERS)
def test_a_missing_source_is_refused(tmp_path: Path, tool: str) -> None:
    for path in (tmp_path, tmp_path / "absent.json"):
        with pytest.raises(InputError, match="expected"):
            READERS[tool](path, None, None)


def test_unknown_tools_and_joint_orders_are_refused(tmp_path: Path) -> None:
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


def test_the_error_for_deeplabcut_hdf5_recommends_csv(tmp_path: Path) -> None:
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
def test_wrong_sleap_files_are_refused_in_one_line(
    tmp_path: Path, change: Callable[[Any], object], message: str
) -> None:
    path = sleap_h5(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises(InputError, match=message) as error:
        READERS["sleap"](path, None, None)
    assert "\n" not in str(error.value)


# --- Mutations --------------------------------------------------------------------------------------------------------

UNEXPECTED = st.sampled_from(
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
def test_an_unexpected_value_anywhere_is_read_or_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, format: str, data: st.DataObject
) -> None:
    tool, name, make = FORMATS[format]
    content = make()
    ways = [way for way in leaves(content) if not (tool == "openpose" and len(way) == 1)]
    *steps, last = data.draw(st.sampled_from(ways))
    value = data.draw(UNEXPECTED)
    at(*steps)(put(last, value))(content)
    folder = tmp_path_factory.mktemp("mutated")
    assert_clip_or_one_line(tool, saved(folder / name, content))


@pytest.mark.parametrize(("tool", "make"), [("alphapose", alphapose), ("coco", coco_results)])
@given(data=st.data())
@settings(max_examples=60, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_unexpected_value_in_one_person_changes_no_other(
    tmp_path_factory: pytest.TempPathFactory, tool: str, make: Callable[[], Any], data: st.DataObject
) -> None:
    content = make()
    person = data.draw(st.integers(0, 4))
    *steps, last = data.draw(st.sampled_from([way for way in leaves(content[person]) if way != ("image_id",)]))
    at(person, *steps)(put(last, data.draw(UNEXPECTED)))(content)
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
def test_damaged_files_are_read_or_refused_in_one_line(
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
