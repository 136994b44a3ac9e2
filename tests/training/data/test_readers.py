"""Readers of annotations: the same people in every layout, and what each data set is known for."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from posetrail.errors import InputError
from posetrail.joint_mapping import meaning
from posetrail.skeletons import COCO_17, COCO_WHOLEBODY_133, MPII_16, SKELETONS
from tests.training.data import layouts
from tests.training.data.layouts import BODY_PX, CORNERS, MAKERS, SIZE, position, visibility, write
from training.data.flic import FLIC_11
from training.data.read import READERS, read_samples
from training.samples import NOT_LABELLED, Samples

PEOPLE = {"lsp": (0, 2), "flic": (0, 1)}  # the others have all three
FLAGLESS = ("mpii", "flic")  # do not tell occluded joints from visible ones


def expected_visibility(layout: str, joint: str, person: int) -> int:
    flag = visibility(joint, person)
    if layout == "lspet" and flag == 1:
        return NOT_LABELLED
    if layout == "mpii_mat" and joint == "neck":
        return 2
    return 2 if layout in FLAGLESS and flag else flag


@pytest.mark.parametrize("layout", MAKERS)
def test_positions_visibility_and_images_are_those_of_the_people(layout: str, tmp_path: Path) -> None:
    samples = read_samples(write(tmp_path, layout))
    people = PEOPLE.get(layout, (0, 1, 2))
    assert len(samples) == len(people)
    for row, person in enumerate(people):
        for k, joint in enumerate(samples.skeleton.joints):
            name = meaning(samples.skeleton, joint)
            flag = expected_visibility(layout, name, person)
            assert samples.visibility[row, k] == flag, (joint, person)
            xy = position(name, person) if flag else (np.nan, np.nan)
            np.testing.assert_array_equal(samples.keypoints[row, k], xy, err_msg=f"{joint} of person {person}")
        if not layout.startswith("lsp"):
            assert samples.images[samples.image_rows[row]].name == layouts.NAMES[layouts.IMAGE_OF[person]]
    assert all(path.is_file() for path in samples.images)
    assert samples.usable.all()


@pytest.mark.parametrize("layout", MAKERS)
def test_the_format_is_recognised_in_a_file_and_in_a_folder(layout: str, tmp_path: Path) -> None:
    path = write(tmp_path, layout)
    name = layout.partition("_")[0].rstrip("0123456789")
    assert read_samples(path).name == name
    assert read_samples(tmp_path).name == name
    assert read_samples(tmp_path, format="lsp" if name == "lspet" else name).name == name


@pytest.mark.parametrize("layout", ["coco", "wholebody", "crowdpose", "aic", "aic_coco", "posetrack18"])
def test_annotated_boxes_are_read_as_corners(layout: str, tmp_path: Path) -> None:
    samples = read_samples(write(tmp_path, layout))
    for row, corner in enumerate(CORNERS):
        np.testing.assert_array_equal(samples.boxes[row], [*corner, *np.add(corner, BODY_PX)])


@pytest.mark.parametrize("layout", ["lsp", "lspet", "flic", "posetrack17"])
def test_boxes_are_made_around_the_joints_where_a_data_set_has_none(layout: str, tmp_path: Path) -> None:
    samples = read_samples(write(tmp_path, layout))
    for row in range(len(samples)):
        joints = samples.keypoints[row][samples.labelled[row]]
        low, high = joints.min(axis=0), joints.max(axis=0)
        np.testing.assert_allclose(samples.boxes[row, :2], low - 0.075 * (high - low), rtol=1e-6)
        np.testing.assert_allclose(samples.boxes[row, 2:], high + 0.075 * (high - low), rtol=1e-6)


@pytest.mark.parametrize("layout", ["mpii", "mpii_mat"])
def test_mpii_counts_pixels_from_1_in_joints_and_centres(layout: str, tmp_path: Path) -> None:
    samples = read_samples(write(tmp_path, layout))
    ankle = MPII_16.index("right_ankle")
    assert tuple(samples.keypoints[0, ankle]) == position("right_ankle", 0)  # the file has one more in x and in y
    middle = np.add(CORNERS[0], np.array(BODY_PX) / 2)
    np.testing.assert_allclose((samples.boxes[0, :2] + samples.boxes[0, 2:]) / 2, middle, rtol=1e-6)
    np.testing.assert_allclose(samples.boxes[0, 2:] - samples.boxes[0, :2], BODY_PX[1], rtol=1e-6)


def test_head_sizes(tmp_path: Path) -> None:
    release = read_samples(write(tmp_path / "mat", "mpii_mat"))
    np.testing.assert_allclose(release.head_sizes, 0.6 * 5)
    listed = read_samples(write(tmp_path / "list", "mpii"))
    head = np.subtract(position("head_top", 0), position("neck", 0))
    assert listed.head_sizes[0] == pytest.approx(np.hypot(*head))
    np.testing.assert_allclose(read_samples(write(tmp_path / "18", "posetrack18")).head_sizes, 0.6 * 5)
    assert np.isnan(read_samples(write(tmp_path / "coco", "coco")).head_sizes).all()


def test_people_of_mpii_without_joints_are_left_out_with_a_note(tmp_path: Path) -> None:
    samples = read_samples(write(tmp_path, "mpii_mat"))
    assert samples.notes == ("annotations.mat: 1 person without joints left out",)
    assert len(samples.images) == 2


def test_parts_for_training_and_test(tmp_path: Path) -> None:
    assert read_samples(write(tmp_path / "lsp", "lsp")).is_test.tolist() == [False, True]
    assert read_samples(write(tmp_path / "lspet", "lspet")).is_test.tolist() == [False] * 3
    flic = read_samples(write(tmp_path / "flic", "flic"))
    assert flic.is_test.tolist() == [False, True]
    assert flic.notes == ("annotations.mat: 1 person without joints or marked bad left out",)
    assert flic.skeleton is FLIC_11
    assert flic.image_sizes.tolist() == [list(SIZE)]


def test_only_labelled_frames_are_read_with_their_ignore_regions_and_ids(tmp_path: Path) -> None:
    samples = read_samples(write(tmp_path, "posetrack18"))
    assert [path.name for path in samples.images] == ["0.png", "1.png"]
    assert samples.track_ids.tolist() == [0, 1, 2]
    assert [len(regions) for regions in samples.ignore_regions] == [1, 0]
    np.testing.assert_array_equal(samples.ignore_regions[0][0], [[0, 0], [5, 0], [5, 9]])


def test_a_coco_file_with_frames_that_nobody_checked_gives_the_checked_ones(tmp_path: Path) -> None:
    content = layouts.coco()
    content["images"][0]["is_labeled"], content["images"][1]["is_labeled"] = False, True
    samples = read_samples(write(tmp_path, "coco", content))
    assert [path.name for path in samples.images] == ["1.png"]
    assert (len(samples), samples.image_rows.tolist(), samples.ids.tolist()) == (1, [0], [102])


def test_files_of_several_clips_are_one_data_set(tmp_path: Path) -> None:
    write(tmp_path, "posetrack18").rename(tmp_path / "a.json")
    write(tmp_path, "posetrack18").rename(tmp_path / "b.json")
    samples = read_samples(tmp_path)
    assert (len(samples), len(samples.images)) == (6, 4)


def test_areas_crowds_and_sizes_of_coco(tmp_path: Path) -> None:
    content = layouts.coco()
    content["annotations"][0] |= {"area": 2000.0, "iscrowd": 0}
    content["annotations"][2] |= {"iscrowd": 1, "keypoints": [0] * 51}
    samples = read_samples(write(tmp_path, "coco", content))
    assert samples.oks_areas.tolist() == pytest.approx([2000, 0.53 * 4500, 0.53 * 4500])
    assert np.isnan(samples.areas[1])
    assert samples.is_crowd.tolist() == [False, False, True]
    assert samples.usable.tolist() == [True, True, False]
    assert samples.image_sizes.tolist() == [list(SIZE)] * 2


def test_annotations_need_neither_id_nor_box_nor_sizes_of_images(tmp_path: Path) -> None:
    content = layouts.coco()
    for person in content["annotations"]:
        del person["id"], person["bbox"], person["category_id"]
    for image in content["images"]:
        del image["width"], image["height"]
    samples = read_samples(write(tmp_path, "coco", content))
    assert samples.ids.tolist() == [-1, -1, -1]
    assert samples.image_sizes.tolist() == [[0, 0], [0, 0]]
    assert samples.usable.all()
    assert samples.notes == ("annotations.json: 3 people without a box",)


def test_parts_of_whole_bodies_that_are_not_valid_are_not_labelled_and_fractions_are_visible(tmp_path: Path) -> None:
    content = layouts.wholebody()
    content["annotations"][0]["lefthand_valid"] = False
    content["annotations"][0]["face_kpts"][2::3] = [0.3] * 68
    content["annotations"][1]["foot_kpts"][2::3] = [1] * 6
    samples = read_samples(write(tmp_path, "wholebody", content))
    left = [joint.startswith("left_hand") or "left_thumb" in joint for joint in COCO_WHOLEBODY_133.joints]
    assert (samples.visibility[0, 91:112] == 0).all()
    assert (samples.visibility[0, 23:91] == 2).all()
    assert (samples.visibility[1, 17:23] == 1).all()
    assert len(left) == 133


def test_own_joints_become_a_skeleton_with_limbs_and_mirror_pairs(tmp_path: Path) -> None:
    content = layouts.coco()
    names = ["snout", "L_Ear", "R_Ear", "tail"]
    content["categories"] = [{"name": "cat", "keypoints": names, "skeleton": [[1, 2], [1, 3], [1, 4]]}]
    for person in content["annotations"]:
        person["keypoints"] = [20, 30, 2, 25, 35, 2, 21, 36, 1, 0, 0, 0]
    skeleton = read_samples(write(tmp_path, "coco", content)).skeleton
    assert skeleton.joints == tuple(names)
    assert skeleton.mirror_pairs == (("L_Ear", "R_Ear"),)
    assert skeleton.limbs == (("snout", "L_Ear"), ("snout", "R_Ear"), ("snout", "tail"))
    assert skeleton.name == "cat"


def test_images_are_found_in_a_given_folder_or_reported(tmp_path: Path) -> None:
    path = write(tmp_path / "data", "coco")
    pictures = tmp_path / "far" / "away" / "pictures"
    pictures.parent.mkdir(parents=True)
    (tmp_path / "data" / "images").rename(pictures)
    with pytest.raises(InputError, match=r"expected the image 0.png in .*, got none; choose its folder with --images"):
        read_samples(path)
    assert read_samples(path, images=pictures).images[0] == pictures / "0.png"
    assert len(read_samples(path, may_be_missing=True).images) == 2
    with pytest.raises(InputError, match="--images: expected a folder"):
        read_samples(path, images=path)


def test_images_of_other_data_sets_beside_are_not_taken(tmp_path: Path) -> None:
    write(tmp_path / "other", "coco")
    path = write(tmp_path / "mine", "coco")
    for image in (tmp_path / "mine" / "images").iterdir():
        image.unlink()
    with pytest.raises(InputError, match="expected the image"):
        read_samples(path)


def test_images_in_a_folder_beside_annotations_are_found(tmp_path: Path) -> None:
    path = write(tmp_path, "coco")
    (tmp_path / "annotations").mkdir()
    (tmp_path / "images").rename(tmp_path / "val2017")
    path = path.rename(tmp_path / "annotations" / path.name)
    assert read_samples(path).images[0] == tmp_path / "val2017" / "0.png"
    assert read_samples(tmp_path).images[0] == tmp_path / "val2017" / "0.png"


def test_unknown_formats_and_other_files_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "coco")
    with pytest.raises(InputError, match=r"unknown format 'coko'; did you mean 'coco'\? \(known: coco, wholebody"):
        read_samples(path, format="coko")
    other = tmp_path / "detections.json"
    other.write_text('[{"image_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}]')
    with pytest.raises(InputError, match="got a file that is none of them; choose one with --format"):
        read_samples(other)
    assert len(read_samples(tmp_path)) == 3  # the other file is not of annotations
    (tmp_path / "again.json").write_text(path.read_text())
    with pytest.raises(InputError, match=r"expected one file of annotations, got 2 \(again.json, annotations.json\)"):
        read_samples(tmp_path)
    with pytest.raises(InputError, match="cannot be read"):
        read_samples(tmp_path / "nowhere.json")


WRONG = {  # a change of COCO's file -> the line
    "a joint without a position": (
        lambda content: content["annotations"][1]["keypoints"].__setitem__(0, None),
        r"annotations\[1\] \(id 101\): 'keypoints': expected 51 numbers, got",
    ),
    "visibility 3": (
        lambda content: content["annotations"][1]["keypoints"].__setitem__(2, 3),
        r"annotations\[1\] \(id 101\): 'keypoints': expected visibility flags 0, 1 or 2 after each x and y, got",
    ),
    "16 joints": (
        lambda content: content["annotations"][2].__setitem__("keypoints", [1, 1, 2] * 16),
        r"annotations\[2\] \(id 102\): 'keypoints': expected 51 numbers",
    ),
    "an unknown image": (
        lambda content: content["annotations"][0].__setitem__("image_id", 5),
        r"annotations\[0\] \(id 100\): 'image_id': expected the id of one of the images, got 5",
    ),
    "a negative width": (
        lambda content: content["annotations"][0].__setitem__("bbox", [5, 5, -1, 4]),
        r"annotations\[0\] \(id 100\): 'bbox': expected x y width height, with no negative size, got \[5, 5, -1, 4\]",
    ),
    "two images of one id": (
        lambda content: content["images"][1].__setitem__("id", 7),
        r"images\[0\] \(id 7\): 'id': expected an id of its own for every image, got 7",
    ),
    "no list of people": (
        lambda content: content.__setitem__("annotations", 3),
        r"'annotations': expected a list of records, got 3",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_bad_value_is_refused_with_its_place(wrong: str, tmp_path: Path) -> None:
    change, line = WRONG[wrong]
    content = layouts.coco()
    change(content)
    with pytest.raises(InputError, match=line) as refused:
        read_samples(write(tmp_path, "coco", content), format="coco")
    assert "\n" not in str(refused.value)


def test_bad_values_of_other_layouts_are_refused_with_their_place(tmp_path: Path) -> None:
    def refused(layout: str, content: object, line: str) -> None:
        with pytest.raises(InputError, match=line):
            read_samples(write(tmp_path, layout, content))

    aic = layouts.ai_challenger()
    aic[1]["keypoint_annotations"]["human2"][2] = 0
    refused("aic", aic, r"\[1\]: 'human2': 'keypoint_annotations': expected 1 visible, 2 occluded or 3 not labelled")
    mpii = layouts.mpii_list()
    mpii[2]["scale"] = 0
    refused("mpii", mpii, r"\[2\]: 'scale': expected a number above 0, got 0")
    release = layouts.mpii_release()
    release["RELEASE"][0, 0]["annolist"][0, 0]["annorect"][0, 1]["annopoints"][0, 0]["point"][0, 2]["id"] = 16
    refused(
        "mpii_mat", release, r"annolist\(1\)\.annorect\(2\)\.annopoints\.point\(3\)\.id: expected a joint 0..15, got 16"
    )
    joints = layouts.lsp()
    joints["joints"][2, 3, 1] = 2
    refused("lsp", joints, r"joints: person 2, joint 4: expected flags 0 or 1, got")
    flic = layouts.flic()
    flic["examples"][0, 1]["coords"] = np.zeros((2, 11))
    refused("flic", flic, r"examples\(2\)\.coords: expected numbers of the shape \(2, 29\)")
    crowdpose = MAKERS["crowdpose"]()
    crowdpose["categories"][0]["keypoints"].reverse()
    with pytest.raises(InputError, match="expected the 14 joints of CrowdPose in its order"):
        read_samples(write(tmp_path, "crowdpose", crowdpose), format="crowdpose")


@pytest.mark.parametrize("number", [float("nan"), 1.5])
def test_a_number_that_is_not_whole_is_refused_where_one_is_expected(number: float, tmp_path: Path) -> None:
    content = layouts.posetrack_2017()
    content["annolist"][0]["annorect"][1]["annopoints"][0]["point"][2]["id"] = [number]
    with pytest.raises(InputError, match=r"\['point'\]\[2\]: 'id': expected a whole number, got"):
        read_samples(write(tmp_path, "posetrack17", content))


def test_a_damaged_matlab_file_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "lsp")
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(InputError, match="cannot be read as a MATLAB file"):
        read_samples(path)


@pytest.mark.parametrize("name", ["coco", "crowdpose", "posetrack18", "mpii", "aic", "ochuman"])
def test_the_samples_of_published_data_sets_are_read(shared: Path, name: str) -> None:
    samples = read_samples(shared / "data" / "samples" / name)
    assert samples.name == {"posetrack18": "posetrack", "ochuman": "coco"}.get(name, name)
    assert samples.usable.sum() > 0
    assert all(path.is_file() for path in samples.images)
    assert samples.skeleton.name in SKELETONS
    inside = samples.keypoints[samples.labelled]
    assert (inside > -50).all()


def test_every_reader_has_a_layout() -> None:
    assert set(READERS) == {layout.partition("_")[0].rstrip("0123456789") for layout in MAKERS} - {"lspet"}


def test_samples_know_their_source(tmp_path: Path) -> None:
    samples = read_samples(write(tmp_path, "coco"))
    assert isinstance(samples, Samples)
    assert samples.skeleton is COCO_17
    assert json.loads((tmp_path / "annotations.json").read_text())["images"]
