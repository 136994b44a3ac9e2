"""Corrects the scales of int8 weights that ONNX Runtime's quantiser chooses.

CPUs without VNNI instructions (Intel before 2019, AMD before 2022) add products of two neighbouring weights in 16 bits,
which overflow where both weights are large. The scales of such output channels are enlarged until no sum can overflow,
so integer results are the same on every CPU.

A channel whose weights are all zero gets the scale 1, and its bias, in units of the products, would be rounded to whole
numbers. It gets the largest scale of the other channels instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import onnx

_INT8_MAX = 127
_LARGEST_PAIR = 128  # 255 (128) <= 32767: the sum of two neighbouring products fits into 16 bits
_FACTORS = (1.0, *np.arange(1.01, 2.0, 0.01))  # 2 (127) / 1.99 rounds to 128


def correct_scales(graph: onnx.GraphProto, original: onnx.GraphProto) -> None:
    """Correct the scales of all layers that are quantised per output channel.

    Args:
        graph: quantised; changed in place.
        original: the float32 network; nodes have the same names.
    """
    from onnx import numpy_helper

    tensors = {tensor.name: tensor for tensor in graph.initializer}
    exact = {tensor.name: numpy_helper.to_array(tensor) for tensor in original.initializer}
    nodes = {node.name: node for node in original.node}

    def array(name: str) -> np.ndarray:
        return numpy_helper.to_array(tensors[name])

    def replace(name: str, value: np.ndarray) -> None:
        tensors[name].CopyFrom(numpy_helper.from_array(value, name))

    dequantised = {node.output[0]: node for node in graph.node if node.op_type == "DequantizeLinear"}
    changes: dict[str, tuple[np.ndarray, np.ndarray]] = {}  # by scale: old and new; several layers may share weights
    for node in graph.node:
        if node.op_type not in ("Conv", "Gemm", "MatMul") or len(node.input) < 2 or node.input[1] not in dequantised:
            continue
        stored, scale, _ = dequantised[node.input[1]].input
        if stored not in tensors:  # a product of two activations
            continue
        weights, axis = exact[nodes[node.name].input[1]], axis_of_outputs(node)
        rows = _rows(weights, axis)
        if scale not in changes:
            old = array(scale)
            new = corrected(rows, old)
            changes[scale] = old, new
            if not np.array_equal(old, new):
                by_channel = new.reshape([-1 if each == axis else 1 for each in range(weights.ndim)])
                whole = np.clip(np.round(weights / by_channel), -_INT8_MAX, _INT8_MAX)
                replace(stored, whole.astype(np.int8))
                replace(scale, new)
        old, new = changes[scale]
        if not np.array_equal(old, new) and len(node.input) > 2 and node.input[2] in dequantised:
            bias, bias_scale, _ = dequantised[node.input[2]].input  # in units of the products
            unit = array(bias_scale) * (new / old)
            rounded = np.where(rows.any(axis=1), array(bias) * (old / new), exact[nodes[node.name].input[2]] / unit)
            replace(bias, np.round(rounded).astype(np.int32))
            replace(bias_scale, unit)


def corrected(rows: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """The scales (M,) of the weights (M, n) of each output channel, in the order in which products are added."""
    used = rows.any(axis=1)
    new = scales * enlargement(rows, scales)
    return np.where(used, new, new[used].max()) if used.any() else new


def enlargement(rows: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """Factor (M,), 1 to 2, for the scales (M,) of weights.

    Args:
        rows: the weights (M, n) of each output channel, in the order in which products are added.
        scales: value of one unit of the int8 weights.
    """
    factors = np.ones_like(scales)
    pairs = rows[:, : rows.shape[1] // 2 * 2].reshape(len(rows), -1, 2)
    # Rounding adds at most 1 to a sum. A larger factor never enlarges one, so pairs that fit are not looked at again.
    row, column = np.nonzero(np.abs(pairs.sum(axis=2)) > (_LARGEST_PAIR - 2) * scales[:, None])
    left = pairs[row, column]
    for factor in _FACTORS:
        factors[row] = factor
        units = (scales[row] * factors[row])[:, None]
        overflows = np.abs(np.clip(np.round(left / units), -_INT8_MAX, _INT8_MAX).sum(axis=1)) > _LARGEST_PAIR
        row, left = row[overflows], left[overflows]
        if not row.size:
            break
    return factors


def axis_of_outputs(node: onnx.NodeProto) -> int:
    """Axis of the output channels of a layer's weights."""
    if node.op_type == "Conv":
        return 0
    transposed = any(each.name == "transB" and each.i for each in node.attribute)
    return 0 if transposed else 1


def _rows(weights: np.ndarray, axis: int) -> np.ndarray:
    """Weights (M, n) by output channel. A convolution's (M, C, ...) are added with the input channels innermost."""
    by_output = np.moveaxis(weights, axis, 0)
    return np.moveaxis(by_output, 1, -1).reshape(len(by_output), -1)
