"""Weights of Caffe networks: files written here byte by byte are read back, damaged ones are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from posetrail.caffe_file import read_caffemodel
from posetrail.checkpoints import load_checkpoint
from posetrail.errors import InputError

WEIGHT = np.arange(2 * 3 * 300, dtype=np.float32).reshape(2, 3, 300) / 7
BIAS = np.array([0.5, -1.5], np.float32)


def varint(value: int) -> bytes:
    return bytes([value & 127 | 128]) + varint(value >> 7) if value > 127 else bytes([value])


def message(field: int, content: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(content)) + content


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def network(*, old: bool) -> bytes:
    """A network with two layers, one of them without weights."""
    layer, name, blobs, kind = (2, 4, 6, number(5, 4)) if old else (100, 1, 7, message(2, b"Convolution"))

    def blob(array: np.ndarray) -> bytes:
        if old:
            shape = b"".join(number(i, n) for i, n in enumerate((1,) * (4 - array.ndim) + array.shape, 1))
        else:
            shape = message(7, message(1, b"".join(map(varint, array.shape))))
        return message(blobs, shape + message(5, array.astype("<f4").tobytes()))

    with_weights = message(name, b"conv1") + kind + blob(WEIGHT[None] if old else WEIGHT) + blob(BIAS)
    return message(1, b"net") + message(layer, with_weights) + message(layer, message(name, b"relu1"))


@pytest.mark.parametrize("old", [False, True])
def test_weights_of_old_and_new_files_are_read_by_the_names_of_their_layers(old: bool, tmp_path: Path) -> None:
    path = tmp_path / "pose_iter_440000.caffemodel"
    path.write_bytes(network(old=old))
    state = load_checkpoint(path)
    assert list(state) == ["conv1.weight", "conv1.bias"]
    np.testing.assert_array_equal(state["conv1.weight"], WEIGHT[None] if old else WEIGHT)
    np.testing.assert_array_equal(state["conv1.bias"], BIAS)


@pytest.mark.parametrize("content", [b"", b"GIF89a", network(old=False)[:-40], b"\xff" * 30])
def test_damaged_files_are_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "damaged.caffemodel"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"cut off|no layer|no protocol|more than"):
        read_caffemodel(path)
    with pytest.raises(InputError, match="cannot be read"):
        load_checkpoint(path)
