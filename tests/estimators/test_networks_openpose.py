"""OpenPose against the published table of its layers, which a few lines here carry out one by one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F

from estimators import NETWORKS
from tests.goldens import formula_weights, picture


def carried_out(layer: dict[str, Any], inputs: list[torch.Tensor], state: dict[str, torch.Tensor]) -> torch.Tensor:
    match layer["type"]:
        case "Convolution":
            name = layer["name"]
            assert state[f"{name}.weight"].shape[2] == layer["kernel_size"]
            return F.conv2d(inputs[0], state[f"{name}.weight"], state[f"{name}.bias"], padding=layer["pad"])
        case "Pooling":
            return F.max_pool2d(inputs[0], layer["kernel_size"], layer["stride"], ceil_mode=True)
        case "ReLU":
            return F.relu(inputs[0])
        case "Concat":
            return torch.cat(inputs, layer["axis"])
    raise AssertionError(layer["type"])


def test_outputs_equal_those_of_the_published_table_of_layers(shared: Path) -> None:
    table = json.loads((shared / "goldens/estimators/caffe_openpose_coco/layers.json").read_text())
    network = NETWORKS["caffe_openpose_coco"]()
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
    assert (fields.shape, heatmaps.shape) == ((1, 38, 8, 6), (1, 19, 8, 6))
    torch.testing.assert_close(fields, blobs["Mconv7_stage6_L1"])
    torch.testing.assert_close(heatmaps, blobs["Mconv7_stage6_L2"])
