"""A network as an ONNX file of its own that gives the same numbers, which ONNX Runtime checks.

A torch network is written by torch's own exporter; of a network that travels with the package, graph and weights are
put into one file.
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

_TOLERANCE = 1e-3  # of an output's largest number; single precision in another order of sums is 1e-5 off

_OPEN_SIDE_PX = 256


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What was written, and how well it agrees."""

    path: Path
    outputs: tuple[tuple[object, ...], ...]
    """Shape of each output; the batch is a name."""
    max_difference: float
    """Between the network and the file, over every number of every output for noise as input."""
    largest: float
    """Of the numbers that were compared."""


def export_onnx(
    network: torch.nn.Module, image_size: tuple[int, int], path: Path, *, told: Mapping[str, str] | None = None
) -> Exported:
    """Write a network, weights included, for any batch of one image size; and check it.

    Args:
        network: images (B, 3, H, W) to tensors (B, ...), nested in lists, tuples or dicts as it likes.
        image_size: H and W.
        path: the .onnx file; it appears whole or not at all.
        told: what the file says of itself (ONNX's metadata).

    Raises:
        InputError: onnx and onnxscript are not installed.
        RuntimeError: the file gives other numbers than the network.
    """
    _require("onnx", "onnxscript")
    import torch

    network = network.eval()
    noise = np.random.default_rng(0).uniform(-1, 1, (3, 3, *image_size)).astype(np.float32)
    with written_whole(path) as beside:
        with _silence():
            torch.onnx.export(
                network,
                (torch.from_numpy(noise[:2]),),  # a batch of one would be taken for a constant
                beside,
                input_names=["images"],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                dynamo=True,
                external_data=False,
                verbose=False,
            )
        _say_of_itself(beside, told or {})
        with torch.inference_mode():
            wanted = [tensor.numpy() for tensor in _flat(network(torch.from_numpy(noise)))]
        shapes, difference, largest = _compared(beside, noise, wanted, path)
    return Exported(path=path, outputs=shapes, max_difference=difference, largest=largest)


def export_built_in(network: Network, path: Path) -> Exported:
    """Write a network that travels with the package, weights included; and check it.

    The file takes what the network takes: one image (1, H, W, 3) uint8 RGB.

    Args:
        network: its graph and weights.
        path: the .onnx file; it appears whole or not at all.

    Raises:
        InputError: onnx is not installed, or the weights are damaged.
        RuntimeError: the file gives other numbers than the network.
    """
    _require("onnx")
    import onnx

    model = onnx.load(network.graph, load_external_data=False)
    weights = network.weights.load()
    for tensor in model.graph.initializer:
        if tensor.name in weights:
            tensor.CopyFrom(onnx.numpy_helper.from_array(weights[tensor.name], tensor.name))
    image = np.random.default_rng(0).integers(0, 256, _image_shape(model), np.uint8)
    with Runtime("cpu", threads=1) as runtime:
        wanted = list(runtime.load(network)(image))
    with written_whole(path) as beside:
        onnx.save(model, beside)
        about = network.weights
        _say_of_itself(beside, {"name": about.name, "licence": about.licence, "source": about.source})
        shapes, difference, largest = _compared(beside, image, wanted, path)
    return Exported(path=path, outputs=shapes, max_difference=difference, largest=largest)


def _require(*packages: str) -> None:
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        raise InputError(f"export needs {' and '.join(missing)}: pip install 'posetrail[export]'")


def _image_shape(model: onnx.ModelProto) -> tuple[int, ...]:
    """Of the one input; sides that the file leaves open are taken as some that suit every stride."""
    sides = model.graph.input[0].type.tensor_type.shape.dim
    return tuple(side.dim_value or _OPEN_SIDE_PX for side in sides)


def _compared(
    file: Path, images: np.ndarray, wanted: Sequence[np.ndarray], path: Path
) -> tuple[tuple[tuple[object, ...], ...], float, float]:
    """Shapes of the file's outputs, how far they are from those of the network, and the largest of these numbers.

    Raises:
        RuntimeError: they differ by more than rounding.
    """
    import onnxruntime

    # From bytes: a session would look for an ending that the file has only when it is whole.
    session = onnxruntime.InferenceSession(file.read_bytes(), providers=["CPUExecutionProvider"])
    found = session.run(None, {session.get_inputs()[0].name: images})
    if [each.shape for each in found] != [each.shape for each in wanted]:
        raise RuntimeError(f"{path}: expected outputs {[w.shape for w in wanted]}, got {[f.shape for f in found]}")
    difference = max(float(np.abs(f - w).max()) for f, w in zip(found, wanted, strict=True))
    largest = max(float(np.abs(w).max()) for w in wanted)
    if not difference <= _TOLERANCE * largest:
        raise RuntimeError(f"{path}: the file's numbers differ by {difference:.2g}, of at most {largest:.2g}")
    return tuple(tuple(output.shape) for output in session.get_outputs()), difference, largest


def _say_of_itself(path: Path, told: Mapping[str, str]) -> None:
    import onnx

    model = onnx.load(path)
    for name, value in told.items():
        model.metadata_props.add(key=name, value=value)
    onnx.save(model, path)


def _flat(answer: Any) -> Iterator[torch.Tensor]:
    """Tensors in the order in which the exporter names them."""
    if isinstance(answer, Mapping):
        answer = list(answer.values())
    if isinstance(answer, list | tuple):
        for each in answer:
            yield from _flat(each)
    else:
        yield answer


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """The exporter prints its steps, and warns of torch's own innards."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
