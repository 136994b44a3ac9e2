"""ONNX files: a small valid one, and some that want more memory, or more time, than any machine has."""

from __future__ import annotations

import random

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from .mutations import damaged

_IMAGE = [1, 3, 256, 192]
_ENDLESS = 2**62


def onnx_file(shape: tuple[int, ...]) -> bytes:
    """A file that answers with zeros of this shape, whatever image it is shown."""
    zeros = numpy_helper.from_array(np.zeros(shape, np.float32), "zeros")
    return _model([helper.make_node("Identity", ["zeros"], ["out"])], shape, [zeros])


def huge_answer() -> bytes:
    """A file of few bytes that declares a large tensor of zeros."""
    shape = numpy_helper.from_array(np.array([1, 1 << 20, 1 << 16]), "shape")
    return _model([helper.make_node("ConstantOfShape", ["shape"], ["out"])], (1, 1 << 20, 1 << 16), [shape])


def huge_input() -> bytes:
    zeros = numpy_helper.from_array(np.zeros((1, 1008, 85), np.float32), "zeros")
    node = helper.make_node("Identity", ["zeros"], ["out"])
    return _model([node], (1, 1008, 85), [zeros], image=[1, 3, 1 << 20, 1 << 20])


def endless_loop() -> bytes:
    """A loop of 2^62 rounds, each of which hands its numbers on."""
    names = ("round", "goes_on", "numbers")
    kinds = (TensorProto.INT64, TensorProto.BOOL, TensorProto.FLOAT)
    shapes: tuple[list[int], ...] = ([], [], [1, 1008, 85])
    takes = [helper.make_tensor_value_info(*each) for each in zip(names, kinds, shapes, strict=True)]
    gives = [
        helper.make_tensor_value_info("still", TensorProto.BOOL, []),
        helper.make_tensor_value_info("same", TensorProto.FLOAT, [1, 1008, 85]),
    ]
    inside = [helper.make_node("Identity", ["goes_on"], ["still"]), helper.make_node("Identity", ["numbers"], ["same"])]
    body = helper.make_graph(inside, "body", takes, gives)
    constants = [
        numpy_helper.from_array(np.array(_ENDLESS), "rounds"),
        numpy_helper.from_array(np.array(True), "yes"),
        numpy_helper.from_array(np.zeros((1, 1008, 85), np.float32), "zeros"),
    ]
    loop = helper.make_node("Loop", ["rounds", "yes", "zeros"], ["out"], body=body)
    return _model([loop], (1, 1008, 85), constants)


def external_file() -> bytes:
    """A tensor whose data is declared to be in a file outside the folder."""
    zeros = numpy_helper.from_array(np.zeros((1, 1008, 85), np.float32), "zeros")
    zeros.ClearField("raw_data")
    zeros.data_location = TensorProto.EXTERNAL
    zeros.external_data.add(key="location", value="../outside/secret.txt")
    return _model([helper.make_node("Identity", ["zeros"], ["out"])], (1, 1008, 85), [zeros])


def onnx_mutant(data: bytes, rng: random.Random) -> bytes:
    """One of these, or the file with wrong bytes, which mostly stand among its zeros."""
    made = rng.choice([None, None, None, None, huge_answer, huge_input, endless_loop, external_file])
    if made is not None:
        return made()
    edges = data[:150] + data[-300:]
    mutant = damaged(edges, rng)
    return mutant[:150] + data[150:-300] + mutant[150:]


def _model(nodes: list, shape: tuple[int, ...], constants: list, image: list[int] = _IMAGE) -> bytes:  # type: ignore[type-arg]
    takes = [helper.make_tensor_value_info("image", TensorProto.FLOAT, image)]
    gives = [helper.make_tensor_value_info("out", TensorProto.FLOAT, shape)]
    graph = helper.make_graph(nodes, "detector", takes, gives, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    return bytes(model.SerializeToString())
