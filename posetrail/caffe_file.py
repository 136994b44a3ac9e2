"""Reads the weights of Caffe networks (.caffemodel), which are protocol buffers, without Caffe.

Only the fields that hold weights are read: the layers (field 100 of the network, or 2 in files of before 2015), their
name (1 or 4) and blobs (7 or 6), and of a blob its shape (7, or 1 to 4 in old files) and numbers (5). Keys are those of
a state dict: NAME.weight and NAME.bias for the first and the second blob of a layer.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

_VARINT, _FIXED_64, _BYTES, _FIXED_32 = 0, 1, 2, 5  # wire types
_LAYERS = {100: (1, 7), 2: (4, 6)}  # field of the layers -> fields of name and blobs in a layer
_SUFFIXES = ("weight", "bias")
_MAX_DIMENSIONS = 8


def read_caffemodel(path: Path) -> dict[str, np.ndarray]:
    """The weights of a file as float32 arrays by their keys.

    Raises:
        ValueError: the file is damaged, or no Caffe network.
    """
    state: dict[str, np.ndarray] = {}
    for field, layer in _fields(memoryview(path.read_bytes())):
        if field not in _LAYERS or not isinstance(layer, memoryview):
            continue
        name_field, blobs_field = _LAYERS[field]
        content = list(_fields(layer))
        name = next((bytes(value).decode() for number, value in content if number == name_field), "")
        blobs = [_blob(value) for number, value in content if number == blobs_field and isinstance(value, memoryview)]
        state |= {f"{name}.{suffix}": blob for suffix, blob in zip(_SUFFIXES, blobs, strict=False)}
    if not state:
        raise ValueError("no layer with weights")
    return state


def _blob(content: memoryview) -> np.ndarray:
    numbers: list[np.ndarray] = []
    shape: list[int] = []
    old_shape: dict[int, int] = {}
    for field, value in _fields(content):
        if field == 5 and isinstance(value, memoryview):
            numbers.append(np.frombuffer(value, "<f4"))
        elif field == 7 and isinstance(value, memoryview):
            shape = _dimensions(value)
        elif field in (1, 2, 3, 4) and isinstance(value, int):
            old_shape[field] = value
    blob = np.concatenate(numbers) if numbers else np.zeros(0, np.float32)
    if not shape and old_shape:  # number, channels, height, width, of which vectors have the width alone
        shape = [old_shape.get(field, 1) for field in (1, 2, 3, 4)]
        shape = shape[3:] if shape[:3] == [1, 1, 1] else shape
    return blob.reshape(shape or -1).copy()


def _dimensions(content: memoryview) -> list[int]:
    shape: list[int] = []
    for field, value in _fields(content):
        if field == 1 and isinstance(value, memoryview):
            at = 0
            while at < len(value) and len(shape) < _MAX_DIMENSIONS:
                length, at = _varint(value, at)
                shape.append(length)
        elif field == 1 and isinstance(value, int):
            shape.append(value)
    return shape


def _fields(content: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Number and value of each field of a message; lengths are checked against the file."""
    at = 0
    while at < len(content):
        key, at = _varint(content, at)
        kind = key & 7
        if kind == _VARINT:
            value, at = _varint(content, at)
            yield key >> 3, value
            continue
        length = {_FIXED_64: 8, _FIXED_32: 4}.get(kind)
        if kind == _BYTES:
            length, at = _varint(content, at)
        if length is None or at + length > len(content):
            raise ValueError("no protocol buffer, or cut off")
        yield key >> 3, content[at : at + length]
        at += length


def _varint(content: memoryview, at: int) -> tuple[int, int]:
    """An integer and the position behind it."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(content):
            raise ValueError("cut off")
        byte = content[at]
        value, at = value | (byte & 127) << shift, at + 1
        if byte < 128:
            return value, at
    raise ValueError("an integer of more than ten bytes")
