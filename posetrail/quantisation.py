"""Static int8 quantisation of ONNX networks, by ONNX Runtime's quantiser.

Weights become int8 with one scale per output channel, activations uint8 with one scale per tensor, from the smallest
to the largest value that they take on given samples (Jacob et al., CVPR 2018; Krishnamoorthi, arXiv 1806.08342). Chosen
layers stay in float32.

CPUs without VNNI instructions (Intel before 2019, AMD before 2022) add products of two neighbouring weights in 16 bits,
which overflow where both weights are large. The scales of such channels are enlarged until no sum can overflow, so
integer results are the same on every CPU.
"""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from posetrail.errors import InputError

if TYPE_CHECKING:
    import onnx

_LAYERS = ("Conv", "Gemm", "MatMul")
_OPERATIONS = (
    *_LAYERS,
    *("Add", "Mul", "Relu", "Clip", "LeakyRelu", "Sigmoid", "Concat", "Resize", "MaxPool", "AveragePool"),
)
"""Operations that are quantised; all others stay in float32."""

_INT8_MAX = 127
_LARGEST_PAIR = 128  # 255 (128) <= 32767: the sum of two neighbouring products fits into 16 bits


def quantised(
    model: onnx.ModelProto, samples: Sequence[np.ndarray], *, is_float: Callable[[str], bool] = lambda _: False
) -> onnx.ModelProto:
    """An int8 copy of a float32 network with one input.

    Args:
        model: with its weights.
        samples: inputs (1, ...) like those that the network will get; 30 or more.
        is_float: whether a layer stays in float32, by the name of its weights. An operation without weights stays in
            float32 if all layers before it do.

    Raises:
        InputError: onnx is not installed.
    """
    if find_spec("onnx") is None:
        raise InputError("quantise: needs onnx; pip install 'posetrail[export]'")
    import onnx
    from onnxruntime.quantization import QuantType
    from onnxruntime.quantization.calibrate import create_calibrator
    from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory() as folder, _silence():
        original, prepared = Path(folder) / "original.onnx", Path(folder) / "prepared.onnx"
        onnx.save(model, original)
        quant_pre_process(original, prepared, skip_symbolic_shape=True)
        model = onnx.load(prepared)
        calibrator = create_calibrator(prepared, _OPERATIONS, str(Path(folder) / "augmented.onnx"))
        calibrator.collect_data(_Samples(model.graph.input[0].name, samples))
        left = float_nodes(model.graph, is_float)
        weights = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
        quantiser = QDQQuantizer(
            model,
            per_channel=True,
            reduce_range=False,
            weight_qType=QuantType.QInt8,
            activation_qType=QuantType.QUInt8,
            tensors_range=calibrator.compute_data(),
            nodes_to_quantize=[],
            nodes_to_exclude=left,
            op_types_to_quantize=list(_OPERATIONS),
            extra_options={},
        )
        quantiser.quantize_model()
    result = quantiser.model.model
    _avoid_overflow(result.graph, weights)
    return result


def float_nodes(graph: onnx.GraphProto, is_float: Callable[[str], bool]) -> list[str]:
    """Names of the nodes that stay in float32; see `quantised`."""
    weights = {tensor.name for tensor in graph.initializer}
    float_outputs: dict[str, bool] = {}  # by tensor: whether all layers before it are in float32
    left = []
    for node in graph.node:  # in topological order
        if node.op_type in _LAYERS:
            own = [name for name in node.input if name in weights]
            stays = bool(own) and is_float(own[0])
        else:
            before = [float_outputs[name] for name in node.input if name in float_outputs]
            stays = bool(before) and all(before)
        if stays or any(name in float_outputs for name in node.input) or node.op_type in _LAYERS:
            float_outputs |= dict.fromkeys(node.output, stays)
        if stays:
            left.append(node.name)
    return left


def _avoid_overflow(graph: onnx.GraphProto, weights: dict[str, np.ndarray]) -> None:
    """Enlarge the scales of channels in which the sum of two neighbouring products could overflow 16 bits.

    Args:
        graph: quantised.
        weights: of the float32 network, by name.
    """
    from onnx import numpy_helper

    tensors = {tensor.name: tensor for tensor in graph.initializer}

    def array(name: str) -> np.ndarray:
        return numpy_helper.to_array(tensors[name])

    def replace(name: str, value: np.ndarray) -> None:
        tensors[name].CopyFrom(numpy_helper.from_array(value, name))

    dequantised = {node.output[0]: node for node in graph.node if node.op_type == "DequantizeLinear"}
    for node in graph.node:
        if node.op_type != "Conv" or len(node.input) < 2 or node.input[1] not in dequantised:
            continue
        stored, scale, _ = dequantised[node.input[1]].input
        exact = weights[stored.removesuffix("_quantized")]
        old = array(scale)
        new = old * _enlargement(exact, old)
        if np.array_equal(old, new):
            continue
        whole = np.clip(np.round(exact / new.reshape(-1, 1, 1, 1)), -_INT8_MAX, _INT8_MAX)
        replace(stored, whole.astype(np.int8))
        replace(scale, new)
        if len(node.input) > 2 and node.input[2] in dequantised:  # biases are in units of the products
            bias, bias_scale, _ = dequantised[node.input[2]].input
            replace(bias, np.round(array(bias) * (old / new)).astype(np.int32))
            replace(bias_scale, array(bias_scale) * (new / old))


def _enlargement(weights: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """Factor (M,), 1 or more, for the scales (M,) of a convolution's weights (M, C, h, w)."""
    factors = np.ones_like(scales)
    rows = weights.transpose(0, 2, 3, 1).reshape(len(weights), -1)  # the order in which products are added
    if rows.shape[1] < 2:
        return factors
    pairs = rows[:, : rows.shape[1] // 2 * 2].reshape(len(rows), -1, 2)
    for row, pair in enumerate(pairs):
        for factor in (1.0, *np.arange(1.01, 2.0, 0.01)):
            whole = np.clip(np.round(pair / (scales[row] * factor)), -_INT8_MAX, _INT8_MAX)
            if np.abs(whole.sum(axis=1)).max() <= _LARGEST_PAIR:
                break
        factors[row] = factor
    return factors


class _Samples:
    """Samples as ONNX Runtime's calibrator reads them (a CalibrationDataReader, whose import needs onnx)."""

    def __init__(self, name: str, samples: Sequence[np.ndarray]) -> None:
        self._rest = iter(samples)
        self._name = name

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next sample by the name of the input; None after the last."""
        sample = next(self._rest, None)
        return None if sample is None else {self._name: sample}


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
