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
from posetrail.runtime import Network, Precision, Runtime, usable_cpus
from posetrail.similarity import box_iou
from tests.conftest import REPOSITORY
from tracker.io.video import open_source

EXAMPLE = REPOSITORY / "examples" / "pose2sim_cam01.mp4"

SIZES = [
    pytest.param(nanodet.NETWORK, (96, 160), id="nanodet small"),
    pytest.param(nanodet.NETWORK, (320, 224), id="nanodet tall"),
    pytest.param(movenet.NETWORK, (256, 256), id="movenet"),
]


@pytest.fixture(scope="module")
def cpu() -> Iterator[Runtime]:
    with Runtime(device="cpu", threads=2, precision="float32") as runtime:
        yield runtime


@pytest.fixture(scope="module")
def int8_cpu() -> Iterator[Runtime]:
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
@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_results_do_not_depend_on_batch_size_or_threads(
    precision: Precision, network: Network, size: tuple[int, int]
) -> None:
    batch = images(3, size)
    with Runtime(device="cpu", threads=2, precision=precision) as two:
        together = two.load(network)(batch)
    with Runtime(device="cpu", threads=1, precision=precision) as single:
        run = single.load(network)
        alone = [run(batch[i : i + 1]) for i in range(3)]
    for k, output in enumerate(together):
        assert np.array_equal(output, np.concatenate([answer[k] for answer in alone]))


def test_int8_is_the_default_on_the_cpu(int8_cpu: Runtime) -> None:
    batch = images(1, (96, 96))
    with Runtime(device="cpu", precision="int8") as chosen:
        for one, other in zip(chosen.load(nanodet.NETWORK)(batch), int8_cpu.load(nanodet.NETWORK)(batch), strict=True):
            assert np.array_equal(one, other)
        assert chosen.weights_of(nanodet.NETWORK).precision == "int8"


def test_joints_in_int8_are_those_in_float32_within_pixels(cpu: Runtime, int8_cpu: Runtime) -> None:
    frames = list(open_source(EXAMPLE, stride=20).frames())
    boxes = [found.boxes[found.scores > 0.3] for found in nanodet.NanoDet(cpu)(frames)]
    exact, quantised = (movenet.MoveNet(runtime)(frames, boxes) for runtime in (cpu, int8_cpu))
    confident = np.concatenate([poses.keypoint_scores for poses in exact]) > 0.3
    moved = np.concatenate([a.keypoints - b.keypoints for a, b in zip(exact, quantised, strict=True)])
    sizes = np.concatenate([np.repeat((b[:, 2:] - b[:, :2]).max(axis=1)[:, None], 17, axis=1) for b in boxes])
    relative = np.linalg.norm(moved, axis=2)[confident] / sizes[confident]
    assert confident.sum() > 100
    assert np.median(relative) < 0.003
    assert np.quantile(relative, 0.95) < 0.02


def test_people_found_in_int8_are_those_found_in_float32(cpu: Runtime, int8_cpu: Runtime) -> None:
    frames = list(open_source(EXAMPLE, stride=20).frames())
    for exact, quantised in zip(nanodet.NanoDet(cpu)(frames), nanodet.NanoDet(int8_cpu)(frames), strict=True):
        confident = exact[exact.scores > 0.35]
        overlap = box_iou(confident.boxes, quantised.boxes)
        assert overlap.max(axis=1, initial=0).min(initial=1) > 0.8
        assert len(confident)
        np.testing.assert_allclose(quantised.scores[overlap.argmax(axis=1)], confident.scores, atol=0.1)


def test_precisions_that_cannot_be_had_are_refused() -> None:
    with pytest.raises(InputError, match="unknown precision 'int4'"):
        Runtime(device="cpu", precision="int4")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="precision: expected float32 on cpu with torch, got int8"):
        Runtime(device="cpu", backend="torch", precision="int8")
    with Runtime(device="cpu", precision="int8") as runtime, pytest.raises(InputError, match="models quantise"):
        runtime.load_module(nanodet.NETWORK.module())


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
