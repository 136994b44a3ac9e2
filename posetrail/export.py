"""Exports networks as ONNX files and checks them with ONNX Runtime.

Torch networks are exported by torch; for a network of the package, its graph and weights are written to one file.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from posetrail.errors import InputError
from posetrail.files import written_whole
from posetrail.runtime import Network, Runtime

if TYPE_CHECKING:
    import onnx
    import torch

_TOLERANCE = 1e-3  # of an output's largest value; a different order of sums in single precision gives 1e-5

_OPEN_SIDE_PX = 256


@dataclass(frozen=True, kw_only=True)
class Exported:
    """An exported file and how well it agrees with the network."""

    path: Path
    outputs: tuple[tuple[object, ...], ...]
    """Shape of each output; the batch size is a name."""
    max_difference: float
    """Largest difference between the outputs of network and file, for noise as input."""
    largest: float
    """Largest absolute value among the outputs."""


def export_onnx(
    network: torch.nn.Module, image_size: tuple[int, int], path: Path, *, metadata: Mapping[str, str] | None = None
) -> Exported:
    """Export a network with its weights, for any batch of one image size, and check the file.

    Args:
        network: maps images (B, 3, H, W) to tensors (B, ...), in any nesting of lists, tuples and dicts.
        image_size: H and W.
        path: the .onnx file; it appears complete or not at all.
        metadata: ONNX metadata of the file.

    Raises:
        InputError: onnx and onnxscript are not installed.
        RuntimeError: the outputs of the file differ from those of the network.
    """
    _require("onnx", "onnxscript")
    import torch

    network = network.eval()
    noise = np.random.default_rng(0).uniform(-1, 1, (3, 3, *image_size)).astype(np.float32)
    with written_whole(path) as beside:
        with _silence():
            torch.onnx.export(
                network,
                (torch.from_numpy(noise[:2]),),  # a batch size of 1 would be exported as a constant
                beside,
                input_names=["images"],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                dynamo=True,
                external_data=False,
                verbose=False,
            )
        _add_metadata(beside, {"precision": "float32", **(metadata or {})})
        with torch.inference_mode():
            expected = [tensor.numpy() for tensor in _flat(network(torch.from_numpy(noise)))]
        shapes, difference, largest = _compared(beside, noise, expected, path)
    return Exported(path=path, outputs=shapes, max_difference=difference, largest=largest)


def export_built_in(network: Network, path: Path) -> Exported:
    """Export a network of the package with its weights, and check the file.

    The file takes one image (1, H, W, 3) uint8 RGB.

    Args:
        network: graph and weights.
        path: the .onnx file; it appears complete or not at all.

    Raises:
        InputError: onnx is not installed, or the weights are damaged.
        RuntimeError: the outputs of the file differ from those of the network.
    """
    _require("onnx")
    import onnx

    model = with_weights(network)
    image = np.random.default_rng(0).integers(0, 256, _image_shape(model), np.uint8)
    with Runtime("cpu", threads=1, precision="float32") as runtime:
        expected = list(runtime.load(network)(image))
    with written_whole(path) as beside:
        onnx.save(model, beside)
        about = network.weights
        _add_metadata(
            beside, {"name": about.name, "licence": about.licence, "source": about.source, "precision": "float32"}
        )
        shapes, difference, largest = _compared(beside, image, expected, path)
    return Exported(path=path, outputs=shapes, max_difference=difference, largest=largest)


def with_weights(network: Network) -> onnx.ModelProto:
    """The graph of a network of the package with its weights.

    Raises:
        InputError: the weights are damaged.
    """
    import onnx

    model = onnx.load(network.graph, load_external_data=False)
    weights = network.weights.load()
    for tensor in model.graph.initializer:
        if tensor.name in weights:
            tensor.CopyFrom(onnx.numpy_helper.from_array(weights[tensor.name], tensor.name))
    return model


def remove_metadata(model: onnx.ModelProto) -> None:
    """Remove metadata, inferred shapes and the source locations of nodes, which contain folders of this machine."""
    del model.metadata_props[:], model.graph.metadata_props[:], model.graph.value_info[:]
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""


def _require(*packages: str) -> None:
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        raise InputError(f"export: needs {' and '.join(missing)}; pip install 'posetrail[export]'")


def _image_shape(model: onnx.ModelProto) -> tuple[int, ...]:
    """Shape of the input; open sides get a size that suits every stride."""
    sides = model.graph.input[0].type.tensor_type.shape.dim
    return tuple(side.dim_value or _OPEN_SIDE_PX for side in sides)


def _compared(
    file: Path, images: np.ndarray, expected: Sequence[np.ndarray], path: Path
) -> tuple[tuple[tuple[object, ...], ...], float, float]:
    """Shapes of the file's outputs, their largest difference from the network's, and the largest absolute value.

    Raises:
        RuntimeError: they differ by more than rounding errors.
    """
    import onnxruntime

    # From bytes, because the temporary file does not have the suffix that a session expects.
    session = onnxruntime.InferenceSession(file.read_bytes(), providers=["CPUExecutionProvider"])
    found = session.run(None, {session.get_inputs()[0].name: images})
    if [each.shape for each in found] != [each.shape for each in expected]:
        raise RuntimeError(f"{path}: expected outputs {[w.shape for w in expected]}, got {[f.shape for f in found]}")
    difference = max(float(np.abs(f - w).max()) for f, w in zip(found, expected, strict=True))
    largest = max(float(np.abs(w).max()) for w in expected)
    if not difference <= _TOLERANCE * largest:
        raise RuntimeError(
            f"{path}: outputs of the file differ from the network's by {difference:.2g}, largest value {largest:.2g}"
        )
    return tuple(tuple(output.shape) for output in session.get_outputs()), difference, largest


def _add_metadata(path: Path, metadata: Mapping[str, str]) -> None:
    import onnx

    model = onnx.load(path)
    for name, value in metadata.items():
        model.metadata_props.add(key=name, value=value)
    onnx.save(model, path)


def _flat(answer: Any) -> Iterator[torch.Tensor]:
    """The tensors of an output in the order of the exporter."""
    if isinstance(answer, Mapping):
        answer = list(answer.values())
    if isinstance(answer, list | tuple):
        for each in answer:
            yield from _flat(each)
    else:
        yield answer


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Suppress the exporter's output and its warnings about torch's internals."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
