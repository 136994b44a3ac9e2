"""Weights of a training: the file describes network, skeleton and recipe, and estimators load it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from estimators import create_estimator
from estimators.movenet import NETWORK
from estimators.trained import Training, read_training, save_trained
from posetrail.errors import InputError
from posetrail.frame import Frame
from posetrail.runtime import Runtime
from posetrail.skeletons import COCO_17, Skeleton

HORSE = Skeleton(
    name="horse",
    joints=("nose", "withers", "left_hoof", "right_hoof"),
    limbs=(("nose", "withers"),),
    oks_sigmas=(0.08,) * 4,
)
FRAME = Frame(0, 0.0, "", np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8))
BOX = np.array([[30.0, 10, 90, 110]])


def trained(folder: Path, network: str, skeleton: Skeleton = HORSE, size: tuple[int, int] = (64, 96)) -> Path:
    torch.manual_seed(0)
    training = Training(network=network, skeleton=skeleton, input_size=size, about="a test")
    save_trained(folder / "best.safetensors", training.make().state_dict(), training)
    assert read_training(folder / "best.safetensors") == training
    return folder / "best.safetensors"


@pytest.mark.parametrize(
    ("network", "size"), [("simplebaseline_r18", (64, 96)), ("rtmpose_t", (96, 128)), ("movenet_thunder", (256, 256))]
)
def test_an_estimator_takes_skeleton_and_crop_from_the_file(
    tmp_path: Path, network: str, size: tuple[int, int]
) -> None:
    path = trained(tmp_path, network, size=size)
    with Runtime("cpu") as runtime:
        estimator = create_estimator(network, runtime=runtime, weights=path)
        assert estimator.skeleton == HORSE
        assert estimator([FRAME], [BOX])[0].keypoints.shape == (1, 4, 2)
        assert estimator.weights.about == "a test"  # type: ignore[attr-defined]


def test_movenet_with_the_weights_of_the_package_answers_as_before(tmp_path: Path) -> None:
    training = Training(network="movenet_thunder", skeleton=COCO_17, input_size=(256, 256))
    state = {name: torch.from_numpy(value) for name, value in NETWORK.weights.load().items()}
    save_trained(tmp_path / "same.safetensors", state, training)
    with Runtime("cpu", precision="float32") as runtime:
        own = create_estimator("movenet_thunder", runtime=runtime)([FRAME], [BOX])[0]
        same = create_estimator("movenet_thunder", runtime=runtime, weights=tmp_path / "same.safetensors")
        np.testing.assert_array_equal(same([FRAME], [BOX])[0].keypoints, own.keypoints)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    path = trained(tmp_path, "simplebaseline_r18")
    with Runtime("cpu") as runtime, pytest.raises(InputError, match="expected weights for hrnet_w32, got weights for"):
        create_estimator("hrnet_w32", runtime=runtime, weights=path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{", "got others"),
        ("{}", "got others"),
        (json.dumps({"network": "x", "skeleton": 3, "input_size": [1, 2], "decoder": "", "about": ""}), "no skeleton"),
    ],
)
def test_a_damaged_description_is_refused_in_one_line(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "x.safetensors"
    save_file({"a": torch.zeros(1)}, path, {"posetrail_training": text})
    with pytest.raises(InputError, match=expected):
        read_training(path)


def test_files_of_other_programs_have_no_description(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "x.safetensors")
    assert read_training(tmp_path / "x.safetensors") is None
    assert read_training(tmp_path / "x.pth") is None
    (tmp_path / "cut.safetensors").write_bytes(b"\x10")
    with pytest.raises(InputError, match="cannot be read"):
        read_training(tmp_path / "cut.safetensors")
