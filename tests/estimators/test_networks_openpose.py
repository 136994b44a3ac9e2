"""OpenPose's networks against recorded outputs, or the published table of layers, carried out here one by one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from estimators import NETWORKS
from tests.goldens import check_against_golden, formula_weights, picture
from training.losses.stages import outputs_of


def carried_out(layer: dict[str, Any], inputs: list[torch.Tensor], state: dict[str, torch.Tensor]) -> torch.Tensor:
    match layer["type"]:
        case "Convolution":
            name = layer["name"]
            assert state[f"{name}.weight"].shape[2] == layer["kernel_size"]
            return F.conv2d(inputs[0], state[f"{name}.weight"], state[f"{name}.bias"], padding=layer["pad"])
        case "Pooling" if layer.get("pool") == "AVE":
            return F.avg_pool2d(inputs[0], layer["kernel_size"], layer["stride"], ceil_mode=True)
        case "Pooling":
            return F.max_pool2d(inputs[0], layer["kernel_size"], layer["stride"], ceil_mode=True)
        case "ReLU":
            return F.relu(inputs[0])
        case "Concat":
            return torch.cat(inputs, layer["axis"])
    raise AssertionError(layer["type"])


@pytest.mark.parametrize("name", ["openpose_body25", "openpose_body135", "openpose_face70", "openpose_hand21"])
def test_outputs_equal_those_of_the_published_networks(name: str) -> None:
    check_against_golden(NETWORKS[name](), name)


def test_outputs_equal_those_of_the_published_network_for_coco() -> None:
    class Named(torch.nn.Module):
        """The outputs by the names of the golden; the keys of the network itself."""

        def __init__(self) -> None:
            super().__init__()
            self.network = NETWORKS["caffe_openpose_coco"]()

        def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
            return dict(zip(("fields", "heatmaps"), self.network(images), strict=True))

        def state_dict(self, *args: Any, **options: Any) -> dict[str, Any]:
            return self.network.state_dict(*args, **options)

        def load_state_dict(self, *args: Any, **options: Any) -> Any:
            return self.network.load_state_dict(*args, **options)

    check_against_golden(Named(), "caffe_openpose_coco")


def test_outputs_equal_those_of_the_published_table_of_layers(shared: Path) -> None:
    table = json.loads((shared / "goldens/estimators/caffe_openpose_mpi/layers.json").read_text())
    network = NETWORKS["caffe_openpose_mpi"]()
    state = {key: formula_weights(key, value.shape, 1.4) for key, value in network.state_dict().items()}
    network.load_state_dict(state)
    image = picture((1, 3, 64, 48))
    blobs = {table["inputs"]["input"][0]: image}
    for layer in table["layers"]:
        blobs[layer["top"][0]] = carried_out(layer, [blobs[name] for name in layer["bottom"]], state)
    with torch.inference_mode():
        fields, heatmaps = network(image)
    convolutions = {layer["name"] for layer in table["layers"] if layer["type"] == "Convolution"}
    assert {key.rsplit(".", 1)[0] for key in state} == convolutions
    assert (fields.shape, heatmaps.shape) == ((1, 28, 8, 6), (1, 16, 8, 6))
    torch.testing.assert_close(fields, blobs["Mconv7_stage6_L1"])
    torch.testing.assert_close(heatmaps, blobs["Mconv7_stage6_L2"])


@pytest.mark.parametrize("name", ["caffe_openpose_mpi", "openpose_body25", "openpose_hand21"])
def test_every_stage_is_an_output_in_training_and_every_parameter_has_a_gradient(name: str) -> None:
    torch.manual_seed(0)
    network: Any = NETWORKS[name]().train()
    stages = outputs_of(list(network.stages(torch.rand(1, 3, 16, 16))))
    assert len(stages) == {"caffe_openpose_mpi": 12, "openpose_body25": 6, "openpose_hand21": 6}[name]
    sum(each.square().sum() for each in stages).backward()  # type: ignore[union-attr]
    assert all(each.grad is not None for each in network.parameters())


@pytest.mark.parametrize(("name", "channels"), [("caffe_cpm_person", 3), ("caffe_cpm_lsp_mpi", 4)])
def test_outputs_of_cpm_equal_those_of_the_published_table_of_layers(name: str, channels: int, shared: Path) -> None:
    table = json.loads((shared / f"goldens/estimators/{name}/layers.json").read_text())
    network = NETWORKS[name]()
    state = {key: formula_weights(key, value.shape, 1.4) for key, value in network.state_dict().items()}
    network.load_state_dict(state)
    image = picture((1, channels, 48, 40))
    blobs = {table["inputs"]["input"][0]: image}
    for layer in table["layers"]:
        inputs = [blobs[each] for each in layer["bottom"]]
        if layer["type"] == "Slice":
            blobs |= dict(zip(layer["top"], inputs[0].split([3, 1], 1), strict=True))
        else:
            blobs[layer["top"][0]] = carried_out(layer, inputs, state)
    with torch.inference_mode():
        outputs = network(image)
    convolutions = {layer["name"] for layer in table["layers"] if layer["type"] == "Convolution"}
    assert {key.rsplit(".", 1)[0] for key in state} == convolutions
    torch.testing.assert_close(list(outputs.values())[-1], blobs[table["layers"][-1]["top"][0]])
