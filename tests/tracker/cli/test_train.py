"""`posetrail train`: the list of recipes, and what the command line refuses before anything is trained."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from posetrail.skeletons import COCO_17
from tests.command_line import fails, succeeds
from training.bottom_up.recipes import BOTTOM_UP_RECIPES
from training.figures import draw_figures
from training.recipes import RECIPES


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three drawn figures with annotations of COCO."""
    folder = tmp_path / "figures"
    folder.mkdir()
    images, keypoints, visibility = draw_figures(3, seed=1)
    for i, image in enumerate(images):
        (folder / f"{i}.png").write_bytes(cv2.imencode(".png", image[:, :, ::-1])[1].tobytes())
    joints = np.concatenate([keypoints, visibility[:, :, None]], axis=2).reshape(3, -1).tolist()
    coco = {
        "images": [{"id": i, "file_name": f"{i}.png", "width": 72, "height": 96} for i in range(3)],
        "annotations": [
            {"id": i, "image_id": i, "category_id": 1, "iscrowd": 0, "bbox": [0, 0, 72, 96], "keypoints": joints[i]}
            for i in range(3)
        ],
        "categories": [{"id": 1, "name": "person", "keypoints": COCO_17.joints, "skeleton": []}],
    }
    (folder / "annotations.json").write_text(json.dumps(coco))
    return folder


def test_list_shows_every_recipe_with_its_published_score(capsys: pytest.CaptureFixture[str]) -> None:
    lines = succeeds(capsys, "train", "--list").splitlines()
    assert [line.split(":")[0] for line in lines] == [*RECIPES, *BOTTOM_UP_RECIPES]
    (line,) = (line for line in lines if line.startswith("hrnet_w32:"))
    assert "gaussian, 210 epochs, batch 128, adam, lr 0.001; published: 74.4 AP" in line


def test_list_as_json_has_one_recipe_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    lines = succeeds(capsys, "train", "--list", "--progress", "json").splitlines()
    assert [json.loads(line)["recipe"] for line in lines] == [*RECIPES, *BOTTOM_UP_RECIPES]


def test_data_and_output_are_required(capsys: pytest.CaptureFixture[str], data: Path) -> None:
    assert "--data: expected annotated people, got none" in fails(capsys, "train", "-o", "out")
    assert "--output" in fails(capsys, "train", "--data", data)


def test_an_unknown_recipe_is_named_with_a_similar_one(
    capsys: pytest.CaptureFixture[str], data: Path, tmp_path: Path
) -> None:
    line = fails(capsys, "train", "--data", data, "--recipe", "hrnet_w23", "-o", tmp_path / "out")
    assert "unknown recipe 'hrnet_w23'; did you mean 'hrnet_w32'" in line
    assert not (tmp_path / "out").exists()


def test_data_without_joints_of_the_skeleton_is_refused(
    capsys: pytest.CaptureFixture[str], data: Path, tmp_path: Path
) -> None:
    skeleton = tmp_path / "horse.toml"
    skeleton.write_text('joints = ["withers", "tail"]\n')
    line = fails(capsys, "train", "--data", data, "--skeleton", skeleton, "-o", tmp_path / "out")
    assert "no joint of the same name; give another --skeleton" in line


def test_a_joint_without_its_mirror_image_is_refused(
    capsys: pytest.CaptureFixture[str], data: Path, tmp_path: Path
) -> None:
    skeleton = tmp_path / "arm.toml"
    skeleton.write_text('joints = ["nose", "left_wrist"]\n')
    line = fails(capsys, "train", "--data", data, "--skeleton", skeleton, "-o", tmp_path / "out")
    assert "expected the mirror image of left_wrist, got none" in line


def test_an_input_size_that_the_network_cannot_have_is_refused(
    capsys: pytest.CaptureFixture[str], data: Path, tmp_path: Path
) -> None:
    command = ("train", "--data", data, "--recipe", "movenet_thunder", "--input-height", 128, "-o", tmp_path / "out")
    assert "input_height: expected 256" in fails(capsys, *command)


def test_a_single_image_cannot_be_split_for_validation(
    capsys: pytest.CaptureFixture[str], data: Path, tmp_path: Path
) -> None:
    content = json.loads((data / "annotations.json").read_text())
    (data / "annotations.json").write_text(json.dumps(content | {"annotations": content["annotations"][:1]}))
    line = fails(capsys, "train", "--data", data, "--recipe", "simplebaseline_r18", "-o", tmp_path / "out")
    assert "expected people in two images at least, got one; give --validation" in line
