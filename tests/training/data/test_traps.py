"""What data sets are known for: numbers that look like a box, a joint or a name but are none."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from eval_posetrack.metrics.crowd import crowd_index
from posetrail.errors import InputError
from posetrail.skeletons import CROWDPOSE_14
from tests.training.data import layouts
from tests.training.data.layouts import MAKERS, MATLAB, write
from training.data.read import read_samples
from training.samples import Samples
from training.validation import Estimates, figures


def test_the_place_of_a_joint_that_is_not_labelled_is_not_read(tmp_path: Path) -> None:
    content = layouts.coco()
    content["annotations"][0]["keypoints"][:3] = [33, 44, 0]
    samples = read_samples(write(tmp_path, "coco", content))
    assert np.isnan(samples.keypoints[0, 0]).all()
    assert samples.visibility[0, 0] == 0


@pytest.mark.parametrize("layout", ["coco", "crowdpose", "posetrack18"])
def test_a_box_of_zeros_is_none(layout: str, tmp_path: Path) -> None:
    content = MAKERS[layout]()
    content["annotations"][0]["bbox"] = [0, 0, 0, 0]
    samples = read_samples(write(tmp_path, layout, content))
    assert samples.usable.all()
    joints = samples.keypoints[0][samples.labelled[0]]
    assert (samples.boxes[0, :2] < joints.min(axis=0)).all()
    assert (samples.boxes[0, 2:] > joints.max(axis=0)).all()
    if layout != "posetrack18":
        assert samples.notes == ("annotations.json: 1 person without a box",)


def test_a_person_without_joints_and_box_is_read_but_not_used(tmp_path: Path) -> None:
    content = layouts.coco()
    content["annotations"][0] |= {"bbox": [0, 0, 0, 0], "keypoints": [0] * 51}
    assert read_samples(write(tmp_path, "coco", content)).usable.tolist() == [False, True, True]


def test_a_head_box_of_zeros_gives_no_head_size(tmp_path: Path) -> None:
    content = layouts.posetrack_2018()
    content["annotations"][1]["bbox_head"] = [0, 0, 0, 0]
    del content["annotations"][2]["bbox_head"]
    sizes = read_samples(write(tmp_path, "posetrack18", content)).head_sizes
    assert np.isnan(sizes).tolist() == [False, True, True]


def test_crowdpose_has_other_joints_than_its_limbs_and_no_area(tmp_path: Path) -> None:
    content = MAKERS["crowdpose"]()
    content["categories"][0]["skeleton"] = [[16, 14], [14, 12], [17, 15]]  # of COCO, in all of its files
    content["images"][0]["crowdIndex"] = 0.7
    samples = read_samples(write(tmp_path, "crowdpose", content))
    assert samples.skeleton is CROWDPOSE_14
    assert np.isnan(samples.areas).all()
    assert samples.oks_areas == pytest.approx(np.full(3, 0.53 * 50 * 90))
    first = samples.image_rows == 0
    own = crowd_index(samples.boxes[~first], samples.keypoints[~first])  # the file has none for the second image
    assert samples.crowd_indices.tolist() == pytest.approx([0.7, own])
    twice = Samples.concatenate([samples, samples[first]])
    assert twice.crowd_indices.tolist() == pytest.approx([0.7, own] * 2)


def test_validation_on_crowdpose_is_split_by_crowdedness(tmp_path: Path) -> None:
    content = MAKERS["crowdpose"]()
    content["images"][0]["crowdIndex"], content["images"][1]["crowdIndex"] = 0.9, 0.1
    samples = read_samples(write(tmp_path, "crowdpose", content))
    exact = Estimates(samples.keypoints.astype(float), samples.labelled.astype(float))
    lost = np.where((samples.image_rows == 0)[:, None, None], np.nan, exact.keypoints)
    scores = figures(samples, Estimates(lost, exact.keypoint_scores))
    assert "AP_easy" not in scores
    assert (scores["AP_medium"], scores["AP_hard"]) == (100, 0)


def test_posetrack_21_names_people_within_and_beyond_a_clip(tmp_path: Path) -> None:
    content = layouts.posetrack_2018()
    for p, person in enumerate(content["annotations"]):
        person |= {"person_id": 70 + p, "id": 10_000_000_000_000 + p, "bbox_invisible": [0, 0, 0, 0]}
    samples = read_samples(write(tmp_path, "posetrack18", content))
    assert samples.track_ids.tolist() == [0, 1, 2]


@pytest.mark.parametrize("layout", ["posetrack17", "posetrack18"])
def test_a_posetrack_joint_at_the_origin_that_is_invisible_is_not_labelled(layout: str, tmp_path: Path) -> None:
    content = MAKERS[layout]()
    if layout == "posetrack18":
        content["annotations"][0]["keypoints"][:3] = [0, 0, 0]
        samples = read_samples(write(tmp_path, layout, content))
        assert samples.visibility[0, samples.skeleton.index("nose")] == 0
    else:
        content["annolist"][0]["annorect"][0]["annopoints"] = []  # a box alone
        samples = read_samples(write(tmp_path, layout, content))
        assert len(samples) == 2
        assert samples.notes == ("annotations.json: 1 person without a joint and a box left out",)


@pytest.mark.parametrize("layout", [name for name in MAKERS if name not in MATLAB])
def test_a_json_file_that_was_cut_off_is_refused_in_one_line(layout: str, tmp_path: Path) -> None:
    path = write(tmp_path, layout)
    content = path.read_bytes()
    for length in (0, 1, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(InputError, match=r"expected JSON, got") as refused:
            read_samples(path)
        assert "\n" not in str(refused.value)


class _Payload:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("suffix", [".mat", ".json"])
def test_code_in_a_file_is_not_executed(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"annotations{suffix}"
    path.write_bytes(pickle.dumps(_Payload(tmp_path / "executed")))
    with pytest.raises(InputError, match=r"cannot be read as a MATLAB file|expected JSON"):
        read_samples(path)
    assert not (tmp_path / "executed").exists()


def test_images_may_be_anywhere_and_nothing_is_written_there(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    write(elsewhere, "coco")
    content = layouts.coco()
    content["images"][0]["file_name"] = str(elsewhere / "images" / "0.png")
    content["images"][1]["file_name"] = "../../elsewhere/images/1.png"
    before = sorted(elsewhere.rglob("*"))
    samples = read_samples(write(tmp_path / "data", "coco", content))
    assert [path.resolve() for path in samples.images] == [elsewhere / "images" / name for name in layouts.NAMES]
    assert sorted(elsewhere.rglob("*")) == before


@pytest.mark.parametrize("folder", ["/home/ada/frames/", "C:\\Users\\ada\\frames\\"])
def test_absolute_names_of_another_computer_are_looked_for_by_their_file_names(folder: str, tmp_path: Path) -> None:
    content = layouts.coco()
    for image in content["images"]:
        image["file_name"] = folder + image["file_name"]
    samples = read_samples(write(tmp_path, "coco", content))
    assert [path.parent for path in samples.images] == [tmp_path / "images"] * 2
    content["images"][1]["file_name"] = f"{folder}second/{layouts.NAMES[0]}"  # two files of one name
    with pytest.raises(InputError, match="expected the image"):
        read_samples(write(tmp_path, "coco", content))
