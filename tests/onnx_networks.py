"""Small networks as ONNX files, made without torch: convolutions with seeded weights and a known purpose."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def model_of(
    nodes: Sequence[onnx.NodeProto],
    weights: dict[str, np.ndarray],
    input_shape: Sequence[int | str],
    outputs: Sequence[str] = ("out",),
    opset: int = 17,
    metadata: dict[str, str] | None = None,
) -> onnx.ModelProto:
    """A model of these nodes from `image` to the outputs."""
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, input_shape)
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
    tensors = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    graph = helper.make_graph(list(nodes), "network", [image], infos, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = 8
    helper.set_model_props(model, metadata or {})
    return model


def gaussian_kernel(size: int, sigma: float) -> np.ndarray:
    """(size, size) float32, the sum is 1."""
    offsets = np.arange(size) - (size - 1) / 2
    row = np.exp(-(offsets**2) / (2 * sigma**2))
    return (np.outer(row, row) / np.outer(row, row).sum()).astype(np.float32)


def dot_heatmaps(joints: int = 17, metadata: dict[str, str] | None = None, opset: int = 17) -> onnx.ModelProto:
    """An estimator (1, 3, 256, 192) to heatmaps (1, K, 64, 48): joint k is the brightest spot of channel k mod 3.

    Three convolutions blur each channel, halve the size twice, and mix weak noise into it.
    """
    rng = np.random.default_rng(0)
    spread = np.zeros((12, 3, 5, 5), np.float32)
    for row in range(12):
        spread[row, row % 3] = gaussian_kernel(5, 1.2) * (1 + row / 12)
    blur = np.zeros((12, 12, 5, 5), np.float32)
    for row in range(12):
        blur[row, row] = gaussian_kernel(5, 1.2)
    mix = rng.normal(0, 0.002, (joints, 12, 1, 1)).astype(np.float32)
    for joint in range(joints):
        mix[joint, joint % 3 :: 3] += 0.2
    weights = {"spread": spread, "blur": blur, "mix": mix, "bias": rng.normal(0, 0.01, 12).astype(np.float32)}
    halves = {"strides": [2, 2], "pads": [2, 2, 2, 2]}
    nodes = [
        helper.make_node("Conv", ["image", "spread", "bias"], ["a"], **halves),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "blur"], ["c"], name="blurs", **halves),
        helper.make_node("Conv", ["c", "mix"], ["out"], name="mixes"),
    ]
    return model_of(nodes, weights, ["batch", 3, 256, 192], opset=opset, metadata=metadata)


def bright_cells(size: int = 64) -> onnx.ModelProto:
    """A YOLOX of one class (1, 3, size, size) to (1, A, 6): cells that are bright score high; boxes are three cells."""
    nodes, weights, parts = [], {"cells": np.array([1, 6, -1]), "sizes": np.array([4, 2])}, []
    for stride in (8, 16, 32):
        kernel = np.zeros((6, 3, stride, stride), np.float32)
        kernel[4:] = 0.03 / (3 * stride**2)
        bias = np.array([0.5, 0.5, 1.1, 1.1, -4, 2], np.float32)
        weights |= {f"kernel{stride}": kernel, f"bias{stride}": bias}
        nodes += [
            helper.make_node(
                "Conv", ["image", f"kernel{stride}", f"bias{stride}"], [f"maps{stride}"], strides=[stride, stride]
            ),
            helper.make_node("Reshape", [f"maps{stride}", "cells"], [f"rows{stride}"]),
        ]
        parts.append(f"rows{stride}")
    nodes += [
        helper.make_node("Concat", parts, ["all"], axis=2),
        helper.make_node("Transpose", ["all"], ["turned"], perm=[0, 2, 1]),
        helper.make_node("Split", ["turned", "sizes"], ["boxes", "logits"], axis=2),
        helper.make_node("Sigmoid", ["logits"], ["scores"]),
        helper.make_node("Concat", ["boxes", "scores"], ["out"], axis=2),
    ]
    return model_of(nodes, weights, [1, 3, size, size])


def saved(model: onnx.ModelProto, path: Path) -> Path:
    """The file of a model."""
    onnx.save(model, path)
    return path
