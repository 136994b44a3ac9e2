"""Trained weights in an ONNX file: the same joints as with the weights, without any setting."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from estimators import create_estimator
from estimators.exported import export_trained
from estimators.onnx_file import OnnxEstimator
from estimators.trained import Training, read_training, save_trained
from posetrail.errors import InputError
from posetrail.runtime import Runtime
from posetrail.skeletons import Skeleton
from tests.estimators.test_trained import BOX, FRAME, HORSE, trained

MANY = Skeleton(
    name="many",
    joints=tuple(f"joint_{i}" for i in range(17)),  # as many as COCO's
    limbs=(("joint_0", "joint_1"),),
    oks_sigmas=(0.08,) * 17,
)


@pytest.mark.parametrize(
    ("network", "size", "skeleton"), [("rtmpose_t", (96, 128), MANY), ("movenet_thunder", (256, 256), HORSE)]
)
def test_an_exported_file_gives_the_joints_of_its_weights(
    tmp_path: Path, network: str, size: tuple[int, int], skeleton: Skeleton
) -> None:
    weights = trained(tmp_path, network, skeleton, size)
    training = read_training(weights)
    assert training is not None
    export_trained(weights, training, tmp_path / "own.onnx")
    assert_equal_joints(weights, tmp_path / "own.onnx", training)


def assert_equal_joints(weights: Path, exported: Path, training: Training) -> None:
    with Runtime("cpu") as runtime:
        by_torch = create_estimator(training.network, runtime=runtime, weights=weights, flip_test=True)
        by_file = create_estimator(f"onnx:{exported}", runtime=runtime, flip_test=True)
        assert by_file.skeleton == training.skeleton
        [a], [b] = by_torch([FRAME], [BOX]), by_file([FRAME], [BOX])
    np.testing.assert_allclose(b.keypoints, a.keypoints, rtol=1e-5, atol=1e-3)
    np.testing.assert_allclose(b.keypoint_scores, a.keypoint_scores, atol=1e-4)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported network that was trained for UDP."""
    folder = tmp_path_factory.mktemp("exported")
    weights = trained(folder, "simplebaseline_r18")
    training = read_training(weights)
    assert training is not None
    as_udp = Training(network=training.network, skeleton=HORSE, input_size=(64, 96), decoder="udp")
    network = training.make()
    save_trained(weights, network.state_dict(), as_udp)
    export_trained(weights, as_udp, folder / "own.onnx")
    return folder / "own.onnx"


def test_the_metadata_hold_joints_normalisation_and_decoder(exported: Path) -> None:
    metadata = {each.key: each.value for each in onnx.load(exported).metadata_props}
    assert metadata["joints"] == ",".join(HORSE.joints)
    assert metadata["decoder"] == "udp"
    assert json.loads(metadata["normalisation"])["bgr"] is True
    with Runtime("cpu") as runtime:
        estimator = create_estimator(f"onnx:{exported}", runtime=runtime)
        assert isinstance(estimator, OnnxEstimator)
        assert (estimator.recipe.decoder, estimator.recipe.crop) == ("udp", "unbiased")


def test_a_network_for_udp_is_decoded_as_it_was_trained(exported: Path) -> None:
    weights = exported.with_name("best.safetensors")
    training = read_training(weights)
    assert training is not None
    assert_equal_joints(weights, exported, training)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"skeleton": None}, "expected the description of a training"),
        ({"input_size": [96, 128]}, r"expected heatmaps for crops \(96, 128\)"),
        ({"network": "rtmpose_t"}, "expected no decoder of heatmaps for rtmpose_t, got 'udp'"),
        ({"network": "rtmpose_t", "decoder": ""}, "expected simcc for crops"),
        ({"decoder": "best"}, "unknown decoder 'best'"),
        ({"network": "mine"}, "is of the network 'mine', which this posetrail does not have"),
    ],
)
def test_a_file_that_differs_from_its_description_is_refused(
    exported: Path, tmp_path: Path, changed: dict[str, object], expected: str
) -> None:
    model = onnx.load(exported)
    for each in model.metadata_props:
        if each.key == "posetrail_training":
            each.value = json.dumps(json.loads(each.value) | changed)
    onnx.save(model, tmp_path / "changed.onnx")
    with Runtime("cpu") as runtime, pytest.raises(InputError, match=expected):
        create_estimator(f"onnx:{tmp_path / 'changed.onnx'}", runtime=runtime)
