"""Runs networks in bfloat16 on the CPU, by OpenVINO, an optional package.

bfloat16 has the exponent of float32 and 8 instead of 24 bits of significand. CPUs with AMX or AVX512-BF16 multiply it
several times as fast. OpenVINO keeps weights and activations between the first and the last layer in bfloat16, sums in
float32, and returns float32.

OpenVINO's telemetry is switched off. Torch modules become graphs by `torch.export`, which refuses networks whose
control flow depends on the image; a trace, OpenVINO's default, would freeze it as it was for the first image.
"""

from __future__ import annotations

import contextlib
import io
import logging
import sys
import tempfile
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime

from posetrail.errors import InputError

if TYPE_CHECKING:
    import torch

_KEPT_SHAPES = 4  # compiled networks that are kept, one for each shape of input


def why_unavailable() -> str:
    """Why this machine cannot run networks in bfloat16 on the CPU, and what to do; empty if it can."""
    if find_spec("openvino") is None:
        return "openvino is not installed; pip install 'posetrail[openvino]', or leave --precision out"
    capabilities = _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    if "BF16" not in capabilities:
        return "this CPU has no bfloat16 instructions (AMX or AVX512-BF16); leave --precision out"
    return ""


class Bfloat16Network:
    """A network in bfloat16 for one sample at a time; it may be called from several threads.

    Each call computes on one thread, so that outputs do not depend on the number of threads. The network is compiled
    when the first sample of a shape comes, which takes 0.2 to 1 s, and more for torch modules.

    Args:
        model_of: an OpenVINO model for samples of the shape of the given one (1, ...).
        streams: calls that run at the same time; others wait.

    Raises:
        InputError: when called, if OpenVINO cannot run the network.
    """

    def __init__(self, model_of: Callable[[np.ndarray], Any], streams: int) -> None:
        self._model_of = model_of
        self._streams = streams
        self._lock = threading.Lock()
        self._compiled: dict[tuple[int, ...], tuple[Any, deque[Any]]] = {}  # with the requests that are not in use

    def __call__(self, sample: np.ndarray) -> tuple[np.ndarray, ...]:
        """Outputs (1, ...) of the network for a sample (1, ...)."""
        compiled, idle = self._compiled_for(sample)
        try:
            request = idle.pop()
        except IndexError:  # all are in use by other threads
            request = compiled.create_infer_request()
        outputs = tuple(request.infer([np.ascontiguousarray(sample)]).values())
        idle.append(request)
        return outputs

    def _compiled_for(self, sample: np.ndarray) -> tuple[Any, deque[Any]]:
        with self._lock:
            if sample.shape not in self._compiled:
                if len(self._compiled) == _KEPT_SHAPES:
                    del self._compiled[next(iter(self._compiled))]
                self._compiled[sample.shape] = _compiled(self._model_of, sample, self._streams), deque()
            return self._compiled[sample.shape]


def onnx_in_bfloat16(
    graph: Path, streams: int, weights: Mapping[str, np.ndarray] = MappingProxyType({})
) -> Bfloat16Network:
    """Load an ONNX file; `weights` are values of its initializers by name, those left out are in the file."""
    with _errors_in_one_line():
        model = _core().read_model(_with_weights(graph, weights) if weights else graph)
    return Bfloat16Network(lambda _: model.clone(), streams)


def torch_in_bfloat16(module: torch.nn.Module, streams: int) -> Bfloat16Network:
    """Load a torch module in evaluation mode; it is exported for each shape of input, which takes seconds.

    Networks whose control flow depends on the image, such as torchvision's detectors, cannot be exported.
    """

    def model_of(sample: np.ndarray) -> Any:
        import torch
        from openvino.frontend import FrontEndManager
        from openvino.frontend.pytorch.fx_decoder import TorchFXPythonDecoder

        with _silence(), torch.no_grad():
            example = torch.from_numpy(np.ascontiguousarray(sample))
            program = torch.export.export(module, (example,), strict=False)
            decoder = TorchFXPythonDecoder.from_exported_program(program)
        frontend = FrontEndManager().load_by_framework("pytorch")
        return frontend.convert(frontend.load(decoder))

    return Bfloat16Network(model_of, streams)


@cache
def _core() -> Any:
    """OpenVINO, imported without its telemetry.

    `import openvino` reports itself to Google Analytics if it can import openvino_telemetry, and has a replacement that
    does nothing for installations without that package.
    """
    name = "openvino_telemetry"
    imported = sys.modules.pop(name, None)
    sys.modules[name] = None  # type: ignore[assignment]  # makes its import fail
    try:
        import openvino
    finally:
        del sys.modules[name]
        if imported is not None:
            sys.modules[name] = imported
    return openvino.Core()


def _compiled(model_of: Callable[[np.ndarray], Any], sample: np.ndarray, streams: int) -> Any:
    options = {
        "INFERENCE_PRECISION_HINT": "bf16",
        "NUM_STREAMS": streams,
        "INFERENCE_NUM_THREADS": streams,  # one for each stream
        "ENABLE_HYPER_THREADING": True,
        "ENABLE_CPU_PINNING": False,  # processes beside this one would be pinned to the same cores
    }
    with _errors_in_one_line():
        model = model_of(sample)
        model.reshape(sample.shape)
        return _core().compile_model(model, "CPU", options)


@contextlib.contextmanager
def _errors_in_one_line() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # the class of OpenVINO's errors, and of those of torch.export
        first_line = str(error).strip().partition("\n")[0]
        raise InputError(
            "precision: expected float32 for this network, got bfloat16, in which OpenVINO cannot run it "
            f"({first_line}); leave --precision out"
        ) from error


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Suppress what torch's exporter and OpenVINO's decoder print, log and warn of: details of their own.

    OpenVINO's decoder logs on the root logger itself, whose filters leave the records of all other loggers alone.
    """
    root, torch_log = logging.getLogger(), logging.getLogger("torch")
    handler, level = logging.NullHandler(), torch_log.level
    root.addHandler(handler)  # logging.warning() would add a handler for good if there were none
    root.addFilter(_refuse)
    torch_log.setLevel(logging.CRITICAL)
    try:
        with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        torch_log.setLevel(level)
        root.removeFilter(_refuse)
        root.removeHandler(handler)


def _refuse(_: logging.LogRecord) -> bool:
    return False


def _with_weights(graph: Path, weights: Mapping[str, np.ndarray]) -> bytes:
    """An ONNX file of a graph with its weights, as ONNX Runtime writes it without optimising."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    values = [onnxruntime.OrtValue.ortvalue_from_numpy(value) for value in weights.values()]
    options.add_external_initializers(list(weights), values)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        options.optimized_model_filepath = str(path)
        onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        return path.read_bytes()
