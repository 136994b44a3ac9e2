"""PoseTrack files: written clips are read back unchanged, and unusable files are refused in one line."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eval_posetrack.formats.files import Clip, clip_stream, read_clip, read_folder, write_clip
from posetrail.errors import InputError
from posetrail.skeletons import POSETRACK_15
from tests.conftest import TESTS

GOLDEN = TESTS / "golden" / "posetrack"
NOSE, NECK = POSETRACK_15.index("nose"), POSETRACK_15.index("neck")


def clip(rng: np.random.Generator, people: int = 4, frames: int = 3, *, name: str = "000007_mpii_test") -> Clip:
    """Made-up people with as many decimals as a file keeps; some joints, scores and boxes are missing."""

    def some(values: np.ndarray) -> np.ndarray:
        return np.where(rng.random(len(values)).reshape(-1, *[1] * (values.ndim - 1)) < 0.8, values, np.nan)

    keypoints = np.round(rng.uniform(1, 2000, (people, 15, 2)), 3)
    keypoints[rng.random((people, 15)) < 0.2] = np.nan
    corners = np.round(rng.uniform(-50, 500, (2, people, 2)), 3)
    boxes = np.concatenate([corners[0], corners[0] + np.abs(corners[1])], axis=1)
    scores = some(np.round(rng.random((people, 15)), 5))
    return Clip(
        name=name,
        image_names=tuple(f"images/val/{name}/{t:06d}.jpg" for t in range(frames)),
        frames=np.sort(rng.integers(0, frames, people)),
        track_ids=rng.choice([-1, 0, 3, 9999], people),
        scores=some(np.round(rng.random(people), 4).astype(np.float32)),
        keypoints=keypoints,
        keypoint_scores=np.where(np.isnan(keypoints[:, :, 0]), np.nan, scores),
        boxes=some(boxes),
        head_boxes=some(boxes + 1),
        ignore_regions=tuple(
            tuple(np.round(rng.uniform(0, 100, (3 + t, 2)), 3) for _ in range(t % 3)) for t in range(frames)
        ),
        labeled=rng.random(frames) < 0.5,
        times=np.arange(frames) / 25,
    )


def assert_same(a: Clip, b: Clip, *, but: tuple[str, ...] = ()) -> None:
    for field in fields(Clip):
        left, right = getattr(a, field.name), getattr(b, field.name)
        if field.name in but:
            continue
        if field.name in ("boxes", "head_boxes"):  # files keep x y w h: x + w is x2 up to the last bit
            np.testing.assert_allclose(left, right, atol=1e-9)
        elif field.name == "ignore_regions":
            assert [[p.tolist() for p in polygons] for polygons in left] == [
                [p.tolist() for p in polygons] for polygons in right
            ]
        elif isinstance(left, np.ndarray):
            np.testing.assert_array_equal(left, right, err_msg=field.name)
        else:
            assert left == right, field.name


@pytest.mark.parametrize("version", [2017, 2018, 2021])
@given(seed=st.integers(0, 10**6), people=st.integers(0, 12), frames=st.integers(1, 5))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_what_is_written_reads_back(tmp_path: Path, version: int, seed: int, people: int, frames: int) -> None:
    written = clip(np.random.default_rng(seed), people, frames)
    path = tmp_path / f"{written.name}.json"
    write_clip(written, path, version=version)
    assert_same(written, read_clip(path), but=("notes", "version", *(("boxes",) if version == 2017 else ())))
    assert [p.name for p in tmp_path.iterdir()] == [path.name]  # nothing left beside it


def test_the_three_versions_of_one_scene_are_the_same_arrays() -> None:
    scene = "000002_mpii_test.json"
    of_2017, of_2018 = (read_clip(GOLDEN / "synth" / folder / scene) for folder in ("gt17", "gt18"))
    assert len(of_2018) == 325
    assert of_2018.num_frames == 60
    assert of_2018.ignore_regions[0][0].tolist() == [[0, 0], [260, 0], [300, 400], [0, 500]]
    assert_same(of_2017, of_2018, but=("boxes", "version"))


def two_people() -> dict[str, Any]:
    """A 2018 file: frame 20 before frame 10 in the list, the person of the later one written first."""
    names = json.loads((GOLDEN / "synth/gt18/000001_mpii_test.json").read_text())["categories"][0]["keypoints"]
    nose, invisible, at_origin, missing = [5, 6, 1], [7, 8, 0], [0, 0, 1], [0, 0, 0]
    return {
        "categories": [{"keypoints": names}],
        "images": [{"file_name": "b.jpg", "id": 20}, {"file_name": "a.jpg", "id": 10}],
        "annotations": [
            {"image_id": 10, "track_id": 4, "keypoints": nose + invisible + at_origin + missing * 14},
            {"image_id": 20, "track_id": 5, "keypoints": nose + missing * 16, "scores": [0.5] * 17},
        ],
    }


def written(tmp_path: Path, content: Any) -> Path:
    path = tmp_path / "clip.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_frames_keep_the_order_of_the_list_and_joints_their_names(tmp_path: Path) -> None:
    clip = read_clip(written(tmp_path, two_people()))
    assert clip.image_names == ("b.jpg", "a.jpg")
    assert clip.frames.tolist() == [0, 1]
    assert clip.track_ids.tolist() == [5, 4]
    assert clip.keypoints[1, NOSE].tolist() == [5, 6]
    assert clip.keypoints[1, NECK].tolist() == [7, 8]  # v = 0 with a place is kept
    assert clip.keypoints[1, POSETRACK_15.index("head_top")].tolist() == [0, 0]  # so is the origin with v = 1
    assert np.isfinite(clip.keypoints[:, :, 0]).sum() == 4
    assert clip.keypoint_scores[0, NOSE] == 0.5
    assert np.isnan(clip.keypoint_scores[0, NECK])
    assert clip.notes == ("1 of 2 records have 'scores'",)


def test_in_2021_files_joints_outside_of_the_image_are_missing(tmp_path: Path) -> None:
    content = two_people()
    content["annotations"][0]["person_id"] = 1
    clip = read_clip(written(tmp_path, content))
    assert np.isnan(clip.keypoints[1, POSETRACK_15.index("head_top")]).all()


def test_files_without_ears_or_without_people_are_read(tmp_path: Path) -> None:
    content = two_people()
    names = content["categories"][0]["keypoints"]
    kept = [i for i, name in enumerate(names) if "ear" not in name]
    content["categories"][0]["keypoints"] = [names[i] for i in kept]
    for person in content["annotations"]:
        person["keypoints"] = [v for i in kept for v in person["keypoints"][3 * i : 3 * i + 3]]
        person["scores"] = [0.5] * 15
    assert read_clip(written(tmp_path, content)).keypoints[1, NECK].tolist() == [7, 8]
    assert len(read_clip(written(tmp_path, content | {"annotations": []}))) == 0


def changed(**changes: Any) -> dict[str, Any]:
    content = two_people()
    content["annotations"][1] |= changes
    return content


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "expected JSON"),
        ('{"annolist": [', "expected JSON"),
        ('{"annolist": NaN}', "write a missing joint as 0, 0, 0"),
        ("[]", r"expected a PoseTrack file .* got \[\]"),
        ({"annolist": {}}, "expected a PoseTrack file"),
        ({"annolist": [3]}, r"annolist\[0\]: expected a record"),
        ({"annolist": [{"annorect": []}]}, r"'image': expected a list of one image, got no such field"),
        ({"images": []}, "'annotations': expected a list of people, got None"),
        (two_people() | {"categories": []}, "expected the names of the joints, got none"),
        (two_people() | {"categories": [{"keypoints": ["tail"]}]}, "unknown 'tail'"),
        (two_people() | {"categories": [{"keypoints": ["nose", "nose"]}]}, "'right_ankle' 0 times"),
        (
            two_people() | {"images": [{"file_name": "a", "id": 10}] * 2},
            r"images\[1\]: 'id': expected an id of its own",
        ),
        (changed(image_id=30), r"annotations\[1\] \(image_id 30\): 'image_id': expected the id of one of the images"),
        (changed(image_id=None), "'image_id': expected a whole number, got None"),
        (changed(track_id="4"), "'track_id': expected a whole number, got '4'"),
        (changed(track_id=1.5), "'track_id': expected a whole number, got 1.5"),
        (changed(track_id=True), "'track_id': expected a whole number, got True"),
        (changed(track_id=1e300), "'track_id': expected a whole number below"),
        (changed(keypoints=[1] * 50), "'keypoints': expected 51 numbers"),
        (changed(keypoints=[1, 2, None] * 17), "'keypoints': expected 51 numbers"),
        (changed(keypoints=[1, 2, "1"] * 17), "'keypoints': expected 51 numbers"),
        (changed(keypoints=[1e30, 2, 1] * 17), "no number beyond 1e"),
        (changed(keypoints="x"), "'keypoints': expected a list, got 'x'"),
        (changed(scores=[1]), r"'scores': expected 17 numbers"),
        (changed(score=[1, 2]), r"'score': expected a number, got \[1, 2\]"),
        (changed(bbox=[1, 2, 3]), "'bbox': expected 4 numbers"),
    ],
)
def test_unusable_files_are_refused_in_one_line(tmp_path: Path, content: Any, said: str) -> None:
    path = written(tmp_path, content)
    with pytest.raises(InputError, match=said) as error:
        read_clip(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_errors_in_2017_points_name_frame_person_and_point(tmp_path: Path) -> None:
    content = json.loads((GOLDEN / "edge/perfect/gt.json").read_text())
    point = content["annolist"][2]["annorect"][1]["annopoints"][0]["point"][3]
    for change, said in [
        ({"id": [15]}, "'id': expected a joint 0..14"),
        ({"id": [2]}, "'id': expected every joint at most once"),
        ({"x": []}, "'x': expected a number"),
        ({"y": ["1"]}, "'y': expected a number"),
    ]:
        before = dict(point)
        point.update(change)
        place = r"annolist\[2\]\['annorect'\]\[1\]\['annopoints'\]\[0\]\['point'\]\[3\]"
        with pytest.raises(InputError, match=f"{place}: {said}"):
            read_clip(written(tmp_path, content))
        point.update(before)


def test_a_file_is_written_completely_or_not_at_all(tmp_path: Path) -> None:
    good = clip(np.random.default_rng(0))
    bad = replace(good, image_names=("\ud800", "b", "c"))  # no such character: fails while writing
    with pytest.raises(TypeError):
        write_clip(bad, tmp_path / "clip.json")
    with pytest.raises(InputError, match="below 10000, got 10000"):
        write_clip(replace(good, track_ids=good.track_ids * 0 + 10000), tmp_path / "clip.json")
    with pytest.raises(InputError, match="version: expected 2017, 2018 or 2021, got 2019"):
        write_clip(good, tmp_path / "clip.json", version=2019)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("version", [2017, 2018, 2021])
def test_a_file_written_in_parts_equals_one_written_at_once(tmp_path: Path, version: int) -> None:
    whole = clip(np.random.default_rng(3), people=20, frames=9)
    write_clip(whole, tmp_path / "clip.json", version=version)
    with (tmp_path / "stretches.json").open("wb") as file:
        stream = clip_stream(file, whole.name, version)
        for first, end in ((0, 1), (1, 6), (6, 6), (6, 9)):
            stream.add(frames_of(whole, first, end))
        stream.finish()
    assert (tmp_path / "stretches.json").read_bytes() == (tmp_path / "clip.json").read_bytes()


def frames_of(whole: Clip, first: int, end: int) -> Clip:
    people = whole.with_people((whole.frames >= first) & (whole.frames < end))
    return replace(
        people,
        frames=people.frames - first,
        image_names=whole.image_names[first:end],
        labeled=whole.labeled[first:end],
        ignore_regions=whole.ignore_regions[first:end],
        times=None if whole.times is None else whole.times[first:end],
    )


def test_more_than_100_people_per_frame_and_10000_frames_have_distinct_ids(tmp_path: Path) -> None:
    crowd = clip(np.random.default_rng(4), frames=2)
    rows = np.arange(2 * 130) % len(crowd)
    many = replace(crowd.with_people(rows[:0]), **{
        name: getattr(crowd, name)[rows]
        for name in ("scores", "keypoints", "keypoint_scores", "boxes", "head_boxes", "interpolated")
    }, frames=np.repeat([0, 1], 130), track_ids=np.tile(np.arange(130), 2))  # fmt: skip
    write_clip(many, tmp_path / "000007_crowd.json")
    content = json.loads((tmp_path / "000007_crowd.json").read_text())
    assert len({person["id"] for person in content["annotations"]}) == 260
    assert content["annotations"][99]["id"] == 1000007000099
    assert read_clip(tmp_path / "000007_crowd.json").track_ids.tolist() == many.track_ids.tolist()


def test_a_written_file_has_the_fields_that_the_official_kit_needs(tmp_path: Path) -> None:
    write_clip(clip(np.random.default_rng(1), frames=2), tmp_path / "000007_mpii_test.json")
    content = json.loads((tmp_path / "000007_mpii_test.json").read_text())
    assert content["images"][1]["id"] == 10000070001
    assert content["images"][1]["nframes"] == 2
    assert content["images"][1]["vid_id"] == "000007"
    assert len(content["annotations"][0]["keypoints"]) == 51
    assert len({person["id"] for person in content["annotations"]}) == 4


def test_a_folder_is_read_by_name_and_errors_name_the_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="got a path that does not exist"):
        read_folder(tmp_path / "no")
    with pytest.raises(InputError, match=r"files must end in \.json"):
        read_folder(tmp_path)
    for name in ("b", "a"):
        write_clip(clip(np.random.default_rng(2)), tmp_path / f"{name}.json")
    assert list(read_folder(tmp_path)) == ["a", "b"]
    assert list(read_folder(tmp_path / "b.json")) == ["b"]


def test_a_clip_is_checked_once_on_construction() -> None:
    good = clip(np.random.default_rng(3))
    with pytest.raises(ValueError, match=r"Clip.boxes: expected shape \(4, 4\), got \(3, 4\)"):
        replace(good, boxes=good.boxes[:3])
    with pytest.raises(ValueError, match="non-decreasing positions"):
        replace(good, frames=[2, 1, 1, 1])
    assert len(good.with_people(good.frames == 99)) == 0
