"""Running networks: the shipped graphs are the torch modules, and nothing but the sample decides its answer."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from detectors import nanodet
from estimators import movenet
from posetrail import runtime as runtime_module
from posetrail.errors import InputError
from posetrail.runtime import Network, Runtime, usable_cpus
from tests.conftest import REPOSITORY

SIZES = [
    pytest.param(nanodet.NETWORK, (96, 160), id="nanodet small"),
    pytest.param(nanodet.NETWORK, (320, 224), id="nanodet tall"),
    pytest.param(movenet.NETWORK, (256, 256), id="movenet"),
]


@pytest.fixture(scope="module")
def cpu() -> Iterator[Runtime]:
    with Runtime(device="cpu", threads=2) as runtime:
        yield runtime


@pytest.fixture(scope="module")
def torch_cpu() -> Iterator[Runtime]:
    with Runtime(device="cpu", backend="torch") as runtime:
        yield runtime


def test_telemetry_of_onnx_runtime_is_disabled(tmp_path: Path) -> None:
    program = "import os; import posetrail.runtime; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    places = {name: str(tmp_path) for name in ("TMPDIR", "HOME", "XDG_CACHE_HOME")}
    kept = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    root = Path(runtime_module.__file__).parents[1]
    command = [sys.executable, "-c", program]
    told = subprocess.run(command, cwd=root, env=kept | places, capture_output=True, text=True, check=True)
    assert told.stdout == "1\n"
    assert list(tmp_path.iterdir()) == []  # ONNX Runtime keeps what it tells in a file first


def images(count: int, size: tuple[int, int], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, *size, 3), dtype=np.uint8)


@pytest.mark.parametrize(("network", "size"), SIZES)
def test_the_onnx_graph_equals_the_torch_module(
    cpu: Runtime, torch_cpu: Runtime, network: Network, size: tuple[int, int]
) -> None:
    batch = images(2, size)
    for graph, module in zip(cpu.load(network)(batch), torch_cpu.load(network)(batch), strict=True):
        assert graph.dtype == module.dtype == np.float32
        assert graph.shape == module.shape
        np.testing.assert_allclose(graph, module, rtol=0, atol=2e-4)


@pytest.mark.parametrize(("network", "size"), SIZES[1:])
def test_results_do_not_depend_on_batch_size_or_threads(cpu: Runtime, network: Network, size: tuple[int, int]) -> None:
    batch = images(3, size)
    together = cpu.load(network)(batch)
    with Runtime(device="cpu", threads=1) as single:
        run = single.load(network)
        alone = [run(batch[i : i + 1]) for i in range(3)]
    for k, output in enumerate(together):
        assert np.array_equal(output, np.concatenate([answer[k] for answer in alone]))


def test_calls_from_several_threads_share_the_workers_and_finish(cpu: Runtime) -> None:
    detect, place = cpu.load(nanodet.NETWORK), cpu.load(movenet.NETWORK)
    boxes_in, joints_in = images(2, (96, 96)), images(3, (256, 256))
    boxes, joints = detect(boxes_in)[0], place(joints_in)[0]
    with ThreadPoolExecutor(4) as callers:
        again = [callers.submit(detect, boxes_in) if i % 2 else callers.submit(place, joints_in) for i in range(6)]
        for i, answer in enumerate(again):
            assert np.array_equal(answer.result(timeout=60)[0], boxes if i % 2 else joints)


def test_a_batch_may_be_a_view_of_any_layout(cpu: Runtime) -> None:
    run = cpu.load(nanodet.NETWORK)
    batch = images(1, (64, 64))
    assert np.array_equal(run(batch[:, :, ::-1])[0], run(batch[:, :, ::-1].copy())[0])
    with pytest.raises(ValueError, match="at least one"):
        run(batch[:0])


def test_unavailable_devices_and_thread_counts_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime_module, "_cuda_driver_loads", lambda: False)
    with pytest.raises(InputError, match="no CUDA device"):
        Runtime(device="cuda")
    with pytest.raises(InputError, match="unknown device 'gpu'"):
        Runtime(device="gpu")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="threads: expected 1 or more, got 0"):
        Runtime(threads=0)
    with Runtime(device="auto") as runtime:
        assert (runtime.device, runtime.backend, runtime.threads) == ("cpu", "onnx", usable_cpus())


def test_without_a_cuda_driver_torch_is_never_imported() -> None:
    program = (
        "import sys, numpy as np; from posetrail import runtime; from detectors import create_detector\n"
        "from posetrail.frame import Frame; frame = Frame(0, 0.0, '', np.zeros((64, 64, 3), np.uint8))\n"
        "runtime._cuda_driver_loads = lambda: False\n"
        "with runtime.Runtime() as r: create_detector('nanodet', runtime=r)([frame])\n"
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=REPOSITORY)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no CPU affinity")
def test_only_the_cpus_this_process_may_use_are_counted() -> None:
    program = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); "
    program += "from posetrail.runtime import usable_cpus; raise SystemExit(usable_cpus() != 1)"
    subprocess.run([sys.executable, "-c", program], check=True, cwd=REPOSITORY)


def test_gpu_and_cpu_give_the_same_outputs(cpu: Runtime) -> None:
    try:
        gpu = Runtime(device="cuda")
    except InputError:
        pytest.skip("no CUDA device here")
    with gpu:
        for network, size in ((nanodet.NETWORK, (320, 224)), (movenet.NETWORK, (256, 256))):
            batch = images(3, size)
            for there, here in zip(gpu.load(network)(batch), cpu.load(network)(batch), strict=True):
                np.testing.assert_allclose(there, here, rtol=0, atol=1e-3)
