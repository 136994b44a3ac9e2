"""Runs networks: by ONNX Runtime on the CPU, or OpenVINO in bfloat16, and by torch on a GPU.

On a CPU every sample is one task on one thread, whatever its batch: in measurements, batching gained nothing there and
two one-thread streams were as fast as one two-thread session. Results are identical for any batch size and number of
threads.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, Self, get_args

import numpy as np
import onnxruntime

from posetrail.errors import InputError, unknown_name
from posetrail.files import digest
from posetrail.onnx_precision import written_precision
from posetrail.onnx_trial import Limits, limits_for, try_file
from posetrail.openvino_runtime import onnx_in_bfloat16, torch_in_bfloat16, why_unavailable
from posetrail.weights import Weights

if TYPE_CHECKING:
    import torch

_CUDA = "CUDAExecutionProvider"

Device = Literal["auto", "cpu", "cuda"]
Backend = Literal["onnx", "torch"]
Precision = Literal["float32", "int8", "bfloat16"]
Run = Callable[[np.ndarray], tuple[np.ndarray, ...]]
"""A loaded network: a batch (B, ...) to its outputs, each (B, ...)."""


@dataclass(frozen=True, kw_only=True)
class Network:
    """A network in the package: an ONNX graph and a torch module that load the same weights."""

    weights: Weights
    graph: Path
    """ONNX file of the graph for one sample, whose initializers have the names of the weights and no values."""
    module: Callable[[], torch.nn.Module]
    """Builds the torch module; imports torch when it is called."""
    int8: Weights | None = None
    """An ONNX file with the network in int8 (posetrail/quantisation.py)."""


@dataclass(frozen=True, kw_only=True)
class OnnxFile:
    """A loaded ONNX file from the user; it takes one input (B, C, H, W) float32."""

    run: Run
    input_size: tuple[int, int] | None
    """Height and width, pixels; None if the file accepts any."""
    provider: str
    """ONNX Runtime's execution provider, or OpenVINO."""
    metadata: dict[str, str]
    """Metadata of the file."""
    precision: str
    """Of its operations: that of its metadata, else int8 if it has such operations; empty if it is not known."""


class Runtime:
    """Loads networks and owns the worker threads that they share; a context manager.

    >>> with Runtime(device="cpu") as runtime:
    ...     run = runtime.load(network)
    ...     heat, centre, regress, offset = run(crops)

    A loaded network may be called from several threads; all share the workers, so at most `threads` samples are
    computed at a time. On a CPU the outputs for a sample are independent of the batch, to the last bit. On a GPU,
    libraries may choose another algorithm for another batch size; outputs then agree to about 1e-4.

    Args:
        device: "auto" uses a CUDA device if there is one.
        threads: samples computed at a time on a CPU; by default the number of CPUs this process may use.
        backend: "onnx" or "torch"; by default ONNX Runtime on a CPU, which takes 57 ms for 4 crops on two cores where
            torch takes 284, and a quarter of a second to import where torch takes four, and torch on CUDA.
        precision: "float32", "int8" or "bfloat16"; by default int8 for networks that have it on ONNX Runtime, and
            float32 for all others. An ONNX file of the user runs in the precision in which it was written, unless this
            is bfloat16. In bfloat16, OpenVINO runs all networks on a CPU, and torch's autocast those on CUDA.

    Raises:
        InputError: this machine has no such device, or the device has no such precision.
    """

    def __init__(
        self,
        device: Device = "auto",
        threads: int | None = None,
        backend: Backend | None = None,
        precision: Precision | None = None,
    ) -> None:
        if device not in ("auto", "cpu", "cuda"):
            raise InputError(f"unknown device {device!r} (known: auto, cpu, cuda)")
        if threads is not None and threads < 1:
            raise InputError(f"threads: expected 1 or more, got {threads}")
        has_cuda = device != "cpu" and _cuda_driver_loads() and _torch_finds_cuda()
        if device == "cuda" and not has_cuda:
            raise InputError("device cuda: no CUDA device that torch can use was found; use --device cpu")
        self.device: Literal["cpu", "cuda"] = "cuda" if has_cuda else "cpu"
        self.backend: Backend = backend or ("torch" if has_cuda else "onnx")
        if (self.device, self.backend) == ("cuda", "onnx"):
            raise InputError("backend onnx runs on the CPU only; use backend torch on cuda")
        if precision is not None and precision not in get_args(Precision):
            raise unknown_name("precision", precision, get_args(Precision))
        if self.backend == "torch" and (precision == "int8" or (precision, self.device) == ("bfloat16", "cpu")):
            raise InputError(
                f"precision: expected float32 on {self.device} with torch, got {precision}; use --device cpu without a "
                "backend, or leave --precision out"
            )
        self._in_openvino = precision == "bfloat16" and self.device == "cpu"
        if self._in_openvino and (why := why_unavailable()):
            raise InputError(f"precision: expected float32 or int8 on this machine, got bfloat16; {why}")
        self.precision = precision
        self.threads = threads or usable_cpus()
        self._workers = ThreadPoolExecutor(self.threads, thread_name_prefix="network")
        self._cuda_lock = threading.Lock()
        self._torch_lock = threading.Lock()
        self._torch_is_single = False
        self._tried: set[tuple[str, tuple[int, int]]] = set()  # sha256 of ONNX files that passed the trial

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Wait for the workers and end them."""
        self._workers.shutdown()

    def load(self, network: Network) -> Run:
        """Load a network of the package onto this device, after checking its weights.

        Raises:
            InputError: the weight file is missing or damaged.
        """
        if self._in_openvino:
            return self._sample_by_sample(onnx_in_bfloat16(network.graph, self.threads, network.weights.load()))
        if self.backend == "onnx":
            weights = self.weights_of(network)
            if weights is network.int8:
                return self._sample_by_sample(_OnnxSession(weights.read()))
            return self._sample_by_sample(_OnnxSession(network.graph, weights.load()))
        return self._load_module(_torch_module(network))

    def weights_of(self, network: Network) -> Weights:
        """The file that `load` reads for this network, and the precision in which the network runs."""
        if self.precision == "bfloat16":
            return replace(network.weights, precision="bfloat16")
        if self.backend == "onnx" and network.int8 is not None and self.precision in (None, "int8"):
            return network.int8
        return network.weights

    def load_file(self, path: Path, open_size: tuple[int, int] = (640, 640), limits: Limits | None = None) -> OnnxFile:
        """Load an ONNX file of the user, whatever the backend.

        It is first tried in a process with limited time and memory (posetrail/onnx_trial.py).

        It runs on CUDA if this runtime does and ONNX Runtime supports it, else on the CPU: one thread per sample, so
        that outputs depend on neither the batch nor the number of threads. On CUDA a batch is one call if the file
        allows it. If the precision is bfloat16, OpenVINO runs it on the CPU.

        Args:
            path: the file.
            open_size: height and width, pixels, for the trial of a file that accepts any.
            limits: of the trial; the default suffices for usual networks.

        Raises:
            InputError: the file cannot be read, exceeds the limits of the trial, does not take one image
                (N, 3, H, W) float32, or bfloat16 was asked for on CUDA.
        """
        if self.precision == "bfloat16" and not self._in_openvino:
            raise InputError(
                f"precision: expected float32 for {path} on {self.device}, got bfloat16; leave --precision out, or use "
                "--device cpu"
            )
        self._try_file(path, open_size, limits)
        session = _session_of_file(path, self.device)
        inputs = session.get_inputs()
        shape = inputs[0].shape
        if len(inputs) != 1 or inputs[0].type != "tensor(float)" or not _is_of_images(shape):
            described = ", ".join(f"{each.name} {each.type} {each.shape}" for each in inputs)
            raise InputError(f"{path}: expected a network for one image (N, 3, H, W) float32, got {described}")
        provider = "OpenVINO" if self._in_openvino else session.get_providers()[0]

        def run(batch: np.ndarray) -> tuple[np.ndarray, ...]:
            return tuple(session.run(None, {inputs[0].name: batch}))

        if self._in_openvino:
            whole = self._sample_by_sample(onnx_in_bfloat16(path, self.threads))
        elif provider == _CUDA and not isinstance(shape[0], int):
            whole = run
        else:
            whole = self._sample_by_sample(run)
        metadata = dict(session.get_modelmeta().custom_metadata_map)
        written = written_precision(path, metadata)
        return OnnxFile(
            run=whole,
            input_size=(shape[2], shape[3]) if all(isinstance(side, int) for side in shape[2:]) else None,
            provider=provider,
            metadata=metadata,
            precision="bfloat16" if self._in_openvino and written != "int8" else written,
        )

    def _try_file(self, path: Path, open_size: tuple[int, int], limits: Limits | None) -> None:
        if not path.is_file():
            raise InputError(f"{path}: no such file; give an ONNX file")
        tried = (digest(path), open_size)
        if tried in self._tried:
            return
        if fault := try_file(path, open_size, limits or limits_for(path)):
            raise InputError(f"{path}: cannot be read as an ONNX file ({fault}); export it again")
        self._tried.add(tried)

    def load_module(self, module: torch.nn.Module) -> Run:
        """Run a torch module on this device, whatever the backend.

        Args:
            module: maps images (B, ...) to a tensor, or a tuple or dict of tensors, each (B, ...). It is moved to the
                device and must not be changed afterwards.

        Raises:
            InputError: the precision of this runtime is int8.
        """
        if self.precision == "int8":
            raise InputError(
                "precision: expected float32 for a network without an int8 graph, got int8; leave --precision out, or "
                "write an int8 ONNX file with `posetrail models export` and `posetrail models quantise`"
            )
        return self._load_module(module)

    def _load_module(self, module: torch.nn.Module) -> Run:
        module = module.eval()
        if self.device == "cuda":
            return self._on_cuda(module)
        if self._in_openvino:
            return self._sample_by_sample(torch_in_bfloat16(module, self.threads))
        self._make_torch_single()
        return self._sample_by_sample(lambda sample: _run_torch(module, sample))

    def _make_torch_single(self) -> None:
        """Limit torch to one thread in each worker: more would compete for the CPU and change results.

        torch stores the number of threads for each calling thread and a default for new ones, which is restored.
        """
        import torch

        def be_single(_: int) -> None:
            all_here.wait()  # every worker executes one of these tasks
            torch.set_num_threads(1)

        with self._torch_lock:
            if not self._torch_is_single:
                all_here = threading.Barrier(self.threads)
                default = torch.get_num_threads()
                list(self._workers.map(be_single, range(self.threads)))
                torch.set_num_threads(default)
                self._torch_is_single = True

    def _sample_by_sample(self, run_one: Run) -> Run:
        def run(batch: np.ndarray) -> tuple[np.ndarray, ...]:
            if len(batch) == 0:
                raise ValueError("expected a batch of at least one sample")
            answers = list(self._workers.map(run_one, (batch[i : i + 1] for i in range(len(batch)))))
            return tuple(np.concatenate(output) for output in zip(*answers, strict=True))

        return run

    def _on_cuda(self, module: torch.nn.Module) -> Run:
        import torch

        module = module.to("cuda").to(memory_format=torch.channels_last)

        def run(batch: np.ndarray) -> tuple[np.ndarray, ...]:
            # TF32 rounds to 10 bits and moves joints. torch allows it in convolutions by default, and the
            # setting is global to the process, so it is changed under a lock and restored.
            with self._cuda_lock, torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
                return _run_torch(module, batch, self.precision)

        return run


def usable_cpus() -> int:
    """Number of CPUs this process may use; in a container or a job it may be less than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cuda_driver_loads() -> bool:
    """Whether CUDA may be available, determined without importing torch (4 s, 640 MB).

    torch needs the library of the driver to use a device. AMD's builds call their devices cuda too and need another
    library; they use /dev/kfd.
    """
    if sys.platform == "darwin":
        return False
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return Path("/dev/kfd").exists()
    return True


def _torch_finds_cuda() -> bool:
    import torch

    return torch.cuda.is_available()


def _one_thread() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    # Spinning threads are slow under load: 361 ms instead of 114 for 4 crops.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _providers(device: str, available: Sequence[str]) -> list[str | tuple[str, dict[str, str]]]:
    """Execution providers to use, preferred first, among those of this installation of ONNX Runtime."""
    if device == "cuda" and _CUDA in available:
        return [(_CUDA, {"use_tf32": "0"}), "CPUExecutionProvider"]  # as with torch: TF32 moves joints
    return ["CPUExecutionProvider"]


def _is_of_images(shape: Sequence[int | str | None]) -> bool:
    """Whether a file's shape, some of it left open by a name or None, can be (1, 3, H, W)."""
    return len(shape) == 4 and all(
        side == wanted or not isinstance(side, int) for side, wanted in zip(shape[:2], (1, 3), strict=True)
    )


def _session_of_file(path: Path, device: str) -> onnxruntime.InferenceSession:
    options = _one_thread()
    options.log_severity_level = 4  # errors are reported below, in one line
    try:
        return onnxruntime.InferenceSession(
            path, options, providers=_providers(device, onnxruntime.get_available_providers())
        )
    except Exception as error:  # ONNX Runtime's errors have no common base class but this
        first_line = str(error).partition("\n")[0]
        raise InputError(f"{path}: cannot be read as an ONNX file ({first_line}); export it again") from error


class _OnnxSession:
    """A session on one thread.

    Args:
        graph: an ONNX file or its content.
        weights: values of the graph's initializers by name; those left out are in the graph.
    """

    def __init__(self, graph: Path | bytes, weights: Mapping[str, np.ndarray] = MappingProxyType({})) -> None:
        options = _one_thread()
        # Kept alive here because a session may use them without owning them.
        self._values = [onnxruntime.OrtValue.ortvalue_from_numpy(value) for value in weights.values()]
        if weights:
            options.add_external_initializers(list(weights), self._values)
        self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name

    def __call__(self, sample: np.ndarray) -> tuple[np.ndarray, ...]:
        return tuple(self._session.run(None, {self._input: sample}))


def _torch_module(network: Network) -> torch.nn.Module:
    import torch

    module = network.module()
    module.load_state_dict({key: torch.from_numpy(value) for key, value in network.weights.load().items()}, strict=True)
    return module.eval()


def _run_torch(
    module: torch.nn.Module, batch: np.ndarray, precision: Precision | None = None
) -> tuple[np.ndarray, ...]:
    """Outputs of a module, on its own device; those in bfloat16 are returned as float32."""
    import torch

    device = next(module.parameters()).device
    autocast = torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")
    with torch.inference_mode(), autocast:
        outputs = module(torch.from_numpy(np.ascontiguousarray(batch)).to(device))
        if isinstance(outputs, torch.Tensor):
            outputs = (outputs,)
        elif isinstance(outputs, dict):
            outputs = tuple(outputs.values())
        return tuple((output.float() if output.dtype == torch.bfloat16 else output).cpu().numpy() for output in outputs)
