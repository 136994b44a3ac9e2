"""Static int8 quantisation of ONNX networks, by ONNX Runtime's quantiser.

Weights become int8 with one scale per output channel, activations uint8 with one scale per tensor, from the smallest
to the largest value that they take on given samples (Jacob et al., CVPR 2018; Krishnamoorthi, arXiv 1806.08342). Chosen
layers stay in float32. Results are the same on every CPU (int8_scales.py).
"""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import math
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime

from posetrail.errors import InputError
from posetrail.int8_scales import axis_of_outputs, correct_scales

if TYPE_CHECKING:
    import onnx

_LAYERS = ("Conv", "Gemm", "MatMul")
_OPERATIONS = (
    *_LAYERS,
    *("Add", "Mul", "Relu", "Clip", "LeakyRelu", "Sigmoid", "Concat", "Resize", "MaxPool", "AveragePool"),
)
"""Operations that are quantised; all others stay in float32."""

_INTEGER = re.compile("QuantizeLinear|^QLinear|Integer$")
_FLOATS = (1, 10)  # onnx.TensorProto.FLOAT and FLOAT16
_MOST_NUMBERS = 1 << 27  # in memory at a time while ranges are measured: 512 MiB
_OLDEST_OPSET = 13  # of scales per channel


@dataclass(frozen=True)
class Layer:
    """A layer with weights; layers that share weights are one."""

    weights: str
    """Name of the weights."""
    multiply_adds: int
    """For one sample."""


@dataclass(frozen=True)
class Calibrated:
    """A float32 network, prepared for quantisation, with what was measured on samples."""

    model: onnx.ModelProto
    ranges: Any
    """Smallest and largest value of each tensor, as ONNX Runtime's quantiser reads them."""
    layers: tuple[Layer, ...]
    """In the order of the graph."""


def calibrate(model: onnx.ModelProto, samples: Sequence[np.ndarray]) -> Calibrated:
    """Measure the range of each tensor of a float32 network with one input.

    Args:
        model: with its weights.
        samples: inputs (1, ...) like those that the network will get; 30 or more.

    Raises:
        InputError: onnx is not installed, or the network is int8 already.
    """
    require_onnx()
    import onnx
    from onnxruntime.quantization.calibrate import CalibrationMethod, TensorsData
    from onnxruntime.quantization.shape_inference import quant_pre_process

    check_is_float(model)
    with tempfile.TemporaryDirectory() as folder, _silence():
        original, prepared = Path(folder) / "original.onnx", Path(folder) / "prepared.onnx"
        onnx.save(_of_recent_opset(model), original)
        quant_pre_process(original, prepared, skip_symbolic_shape=True)
        model = onnx.load(prepared)
    _name_nodes(model.graph)
    if not samples:
        raise InputError("quantise: expected samples for calibration, got none")
    sizes = _sizes(model, samples[0])
    ranges: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for names in _within(_MOST_NUMBERS, sizes):
        for values in _activations(model, names, samples):
            for name, value in zip(names, values, strict=True):
                lowest, highest = ranges.get(name, (np.float32(np.inf), np.float32(-np.inf)))
                smallest, largest = value.min(keepdims=True).ravel(), value.max(keepdims=True).ravel()
                ranges[name] = np.fmin(lowest, smallest), np.fmax(highest, largest)
    layers = tuple(_layers(model.graph, sizes))
    return Calibrated(model, TensorsData(CalibrationMethod.MinMax, ranges), layers)


def quantised(calibrated: Calibrated, *, is_float: Callable[[str], bool] = lambda _: False) -> onnx.ModelProto:
    """An int8 copy of a network.

    Args:
        calibrated: the network.
        is_float: whether a layer stays in float32, by the name of its weights.

    An operation without weights stays in float32 if all layers before it do. It also does after a matrix product: in
    ViTPose-S this halves the error and takes 15 % less time. And it does after the last layers: there boxes in pixels
    and scores may meet in one tensor, which would have one scale for both.
    """
    import onnx
    from onnxruntime.quantization import QuantType
    from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

    model = onnx.ModelProto()
    model.CopyFrom(calibrated.model)
    left = float_nodes(model.graph, is_float)
    with _silence():
        quantiser = QDQQuantizer(
            model,
            per_channel=True,
            reduce_range=False,
            weight_qType=QuantType.QInt8,
            activation_qType=QuantType.QUInt8,
            tensors_range=copy.deepcopy(calibrated.ranges),  # the quantiser changes it
            nodes_to_quantize=[],
            nodes_to_exclude=left,
            op_types_to_quantize=list(_OPERATIONS),
            extra_options={},
        )
        quantiser.quantize_model()
    result = quantiser.model.model
    correct_scales(result.graph, calibrated.model.graph)
    return result


def float_nodes(graph: onnx.GraphProto, is_float: Callable[[str], bool]) -> list[str]:
    """Names of the nodes that stay in float32; see `quantised`."""
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    needed: set[str] = set()  # tensors on which a layer with weights depends
    for node in reversed(graph.node):
        if _weights_of(node, shapes) or not needed.isdisjoint(node.output):
            needed.update(node.input)
    kinds: dict[str, str] = {}  # by tensor: of the layers before it
    left = []
    for node in graph.node:  # in topological order
        before = {kinds[name] for name in node.input if name in kinds}
        if name := _weights_of(node, shapes):
            kind = "float" if is_float(name) else node.op_type
        elif node.op_type in _LAYERS and any(name in shapes for name in node.input):
            kind = "float"  # the quantiser gives such weights scales along another axis than the output channels
        else:
            kind = next((each for each in ("Gemm", "MatMul", "Conv", "float") if each in before), "")
            if kind in ("Gemm", "MatMul") or needed.isdisjoint(node.output):
                left.append(node.name)
        if kind == "float":
            left.append(node.name)
        if kind:
            kinds |= dict.fromkeys(node.output, kind)
    return list(dict.fromkeys(left))


def require_onnx() -> None:
    """Check that onnx, which ONNX Runtime's quantiser needs, is installed.

    Raises:
        InputError: it is not.
    """
    if find_spec("onnx") is None:
        raise InputError("quantise: needs onnx; pip install 'posetrail[export]'")


def check_is_float(model: onnx.ModelProto, name: str = "quantise") -> None:
    """Check that a network has no integer operations.

    Raises:
        InputError: it has.
    """
    found = next((node.op_type for node in model.graph.node if _INTEGER.search(node.op_type)), None)
    if found:
        raise InputError(
            f"{name}: expected a float32 network, got one in int8 ({found}); give the file it was made from"
        )


def _of_recent_opset(model: onnx.ModelProto) -> onnx.ModelProto:
    import onnx

    versions = [each.version for each in model.opset_import if each.domain in ("", "ai.onnx")]
    if all(version >= _OLDEST_OPSET for version in versions):
        return model
    return onnx.version_converter.convert_version(model, _OLDEST_OPSET)


def _name_nodes(graph: onnx.GraphProto) -> None:
    """Give every node a name of its own: the quantiser leaves nodes out by name."""
    names: set[str] = set()
    for i, node in enumerate(graph.node):
        if not node.name or node.name in names:
            node.name = f"{node.op_type} {i}"
        names.add(node.name)


def _sizes(model: onnx.ModelProto, sample: np.ndarray) -> dict[str, int]:
    """Numbers in each tensor that is read or written by an operation that can be quantised, without constants.

    Shape inference knows no sides that the file leaves open.
    """
    import onnx

    measuring = onnx.ModelProto()
    measuring.CopyFrom(model)
    constants = {tensor.name for tensor in model.graph.initializer}
    nodes = [node for node in model.graph.node if node.op_type in _OPERATIONS]
    names = dict.fromkeys(name for node in nodes for name in (*node.input, *node.output))
    known = {each.name: each.type for each in (*model.graph.value_info, *model.graph.input, *model.graph.output)}
    floats = [
        name
        for name in names
        if name in known and name not in constants and known[name].tensor_type.elem_type in _FLOATS
    ]
    del measuring.graph.output[:]
    for name in floats:
        measuring.graph.node.add(op_type="Size", input=[name], output=[f"{name} size"])
        measuring.graph.output.append(onnx.ValueInfoProto(name=f"{name} size"))
    session = _session(measuring)
    sizes = session.run(None, {session.get_inputs()[0].name: sample}) if floats else []
    return {name: int(size) for name, size in zip(floats, sizes, strict=True) if size}


def _within(most: int, sizes: Mapping[str, int]) -> Iterator[list[str]]:
    """Names of tensors in groups of at most so many numbers, or of one tensor."""
    group: list[str] = []
    total = 0
    for name, size in sizes.items():
        if group and total + size > most:
            yield group
            group, total = [], 0
        group.append(name)
        total += size
    if group:
        yield group


def _activations(
    model: onnx.ModelProto, names: Sequence[str], samples: Sequence[np.ndarray]
) -> Iterator[list[np.ndarray]]:
    """The values of tensors for each sample.

    The smallest and largest values, found by NumPy, take a fifth of the time that they take in ONNX Runtime's
    calibrator, which adds operations to the graph.
    """
    import onnx

    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    entry = model.graph.input[0].name
    asked = [name for name in names if name != entry]
    del watched.graph.output[:]
    watched.graph.output.extend(onnx.ValueInfoProto(name=name) for name in asked)
    session = _session(watched) if asked else None
    for sample in samples:
        values = dict(zip(asked, session.run(asked, {entry: sample}), strict=True)) if session else {}
        yield [values.get(name, sample) for name in names]


def _session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _layers(graph: onnx.GraphProto, sizes: dict[str, int]) -> Iterator[Layer]:
    """The layers with weights of a network, in the order of its graph; `sizes` are those of their outputs."""
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    totals: dict[str, int] = {}
    for node in graph.node:
        if name := _weights_of(node, shapes):
            channels = shapes[name][axis_of_outputs(node)]
            totals[name] = totals.get(name, 0) + sizes.get(node.output[0], 0) * math.prod(shapes[name]) // channels
    for name, total in totals.items():
        yield Layer(name, total)


def _weights_of(node: onnx.NodeProto, shapes: Mapping[str, Sequence[int]]) -> str:
    """Name of the weights of a layer that can be quantised per output channel; empty for other nodes."""
    if node.op_type not in _LAYERS or len(node.input) < 2 or node.input[1] not in shapes:
        return ""
    return "" if node.op_type == "MatMul" and len(shapes[node.input[1]]) != 2 else node.input[1]


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Suppress what the quantiser prints and logs."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        root.setLevel(level)
