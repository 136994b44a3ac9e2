"""Starting from weights for other joints."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from estimators.trained import Training
from posetrail.errors import InputError
from posetrail.skeletons import COCO_17, POSETRACK_15, Skeleton
from training.initial import joint_axes, start_from

HORSE = Skeleton(name="horse", joints=("tail", "nose"), limbs=(), oks_sigmas=(0.08, 0.08))
COCO = Training(network="simplebaseline_r18", skeleton=COCO_17, input_size=(64, 96))


@pytest.mark.parametrize(
    ("network", "names"),
    [
        ("simplebaseline_r18", {"final_layer.weight": 0, "final_layer.bias": 0}),
        ("rtmpose_t", {"head.final_layer.weight": 0, "head.final_layer.bias": 0}),
        ("deeppose_r50_rle", {"head.fc.weight": 0, "head.fc.bias": 0}),
        (
            "movenet_thunder",
            {f"{head}.out.{part}": 0 for head in ("heat", "regress", "offset") for part in ("weight", "bias")},
        ),
    ],
)
def test_the_tensors_that_depend_on_the_joints_are_found(network: str, names: dict[str, int]) -> None:
    assert joint_axes(replace(COCO, network=network, input_size=(96, 128))) == names


def test_hourglasses_also_read_the_joints_of_the_stack_before() -> None:
    axes = joint_axes(replace(COCO, network="hourglass_2stack"))
    assert axes["outs.0.conv.weight"] == 0
    assert axes["merge_preds.0.conv.conv.weight"] == 1


@pytest.mark.parametrize("network", ["simplebaseline_r18", "deeppose_r50", "hourglass_2stack"])
def test_channels_are_taken_over_by_the_names_of_the_joints(network: str) -> None:
    torch.manual_seed(0)
    before, after = (replace(COCO, network=network, skeleton=each) for each in (COCO_17, HORSE))
    trained, network_after = before.make(), after.make()
    own = {name: value.clone() for name, value in network_after.state_dict().items()}
    started = start_from(network_after, trained.state_dict(), before, after)
    assert (started.taken, started.fresh) == (("nose",), ("tail",))
    found, given, axes = network_after.state_dict(), trained.state_dict(), joint_axes(after)
    for name, axis in axes.items():
        value = found[name].movedim(axis, 0).unflatten(0, (2, -1))
        old = given[name].movedim(axis, 0).unflatten(0, (17, -1))
        assert torch.equal(value[1], old[0])  # the nose
        assert torch.equal(value[0], own[name].movedim(axis, 0).unflatten(0, (2, -1))[0])
    assert all(torch.equal(found[name], given[name]) for name in own if name not in axes)


def test_the_background_is_taken_over_and_inputs_of_joints_among_others_are_not() -> None:
    before, after = (replace(COCO, network="caffe_cpm_flic", skeleton=each) for each in (COCO_17, HORSE))
    trained, network = before.make(), after.make()
    own = {name: value.clone() for name, value in network.state_dict().items()}
    started = start_from(network, trained.state_dict(), before, after)
    scores, given = network.state_dict()["Mconv5_stage4.bias"], trained.state_dict()["Mconv5_stage4.bias"]
    assert scores[1:].tolist() == [given[0], given[17]]  # the nose and the background
    assert torch.equal(network.state_dict()["Mconv1_stage2.weight"], own["Mconv1_stage2.weight"])
    assert "Mconv1_stage2.weight" in started.fresh_weights


@pytest.mark.parametrize("network", ["caffe_cpm_flic", "cpm_mmpose"])
def test_weights_for_the_same_joints_are_taken_over_whole(network: str) -> None:
    training = replace(COCO, network=network)
    trained, own = training.make(), training.make()
    start_from(own, trained.state_dict(), training, training)
    assert all(torch.equal(own.state_dict()[name], value) for name, value in trained.state_dict().items())


def test_posetrack_takes_thirteen_joints_of_coco() -> None:
    network = replace(COCO, skeleton=POSETRACK_15).make()
    started = start_from(network, COCO.make().state_dict(), COCO, replace(COCO, skeleton=POSETRACK_15))
    assert len(started.taken) == 13
    assert len(started.fresh) == 2


def test_weights_of_another_network_are_refused() -> None:
    other = replace(COCO, network="mobilenetv2_simple").make()
    with pytest.raises(InputError, match="expected weights of simplebaseline_r18, got others"):
        start_from(COCO.make(), other.state_dict(), COCO, COCO)
