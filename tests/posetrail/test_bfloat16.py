"""bfloat16: by OpenVINO on the CPU, by torch's autocast on CUDA."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from detectors import nanodet
from estimators import movenet
from posetrail import openvino_runtime
from posetrail import runtime as runtime_module
from posetrail.errors import InputError
from posetrail.runtime import Network, Runtime, _run_torch
from posetrail.similarity import box_iou
from tests.conftest import REPOSITORY
from tracker.io.video import open_source
from tracker.runs.networks import open_networks
from tracker.settings import NetworkSettings, Settings

EXAMPLE = REPOSITORY / "examples" / "pose2sim_cam01.mp4"
BFLOAT16_STEP = 2**-8  # relative distance of neighbouring numbers, at most

needs_bfloat16 = pytest.mark.skipif(
    bool(openvino_runtime.why_unavailable()), reason=openvino_runtime.why_unavailable() or "available"
)


class Small(torch.nn.Module):
    """Two convolutions; (B, 3, H, W) -> (B, 4, H, W)."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = torch.nn.Conv2d(3, 16, 3, padding=1), torch.nn.Conv2d(16, 4, 3, padding=1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.last(torch.relu(self.first(images)))


class CountsBrightPixels(torch.nn.Module):
    """Control flow that depends on the image."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Conv2d(3, 1, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        values = self.layer(images)
        return values if int((values > 0).sum()) > 10 else -values


def noise(count: int, *size: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, 3, *size)).astype(np.float32)


def pictures(count: int, *size: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, *size, 3), dtype=np.uint8)


def onnx_file(path: Path) -> Path:
    """A convolution with any batch and image size, with metadata."""
    weights = np.random.default_rng(0).normal(size=(5, 3, 3, 3)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("Conv", ["image", "w"], ["out"], pads=[1, 1, 1, 1])],
        "convolution",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["B", 3, "H", "W"])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["B", 5, "H", "W"])],
        [numpy_helper.from_array(weights, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    helper.set_model_props(model, {"name": "convolution"})
    onnx.save(model, path)
    return path


@pytest.fixture(scope="module")
def bfloat16() -> Iterator[Runtime]:
    with Runtime("cpu", threads=2, precision="bfloat16") as runtime:
        yield runtime


@pytest.fixture(scope="module")
def float32() -> Iterator[Runtime]:
    with Runtime("cpu", threads=2, precision="float32") as runtime:
        yield runtime


def loaded(runtime: Runtime, what: Network | torch.nn.Module | Path) -> runtime_module.Run:
    if isinstance(what, Path):
        return runtime.load_file(what).run
    return runtime.load_module(what) if isinstance(what, torch.nn.Module) else runtime.load(what)


@needs_bfloat16
@pytest.mark.parametrize("kind", ["nanodet", "movenet", "torch module", "ONNX file"])
def test_results_do_not_depend_on_batch_size_or_threads(kind: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network, batch = {
        "nanodet": (nanodet.NETWORK, pictures(5, 320, 224)),
        "movenet": (movenet.NETWORK, pictures(5, 256, 256)),
        "torch module": (Small(), noise(5, 64, 48)),
        "ONNX file": (onnx_file(tmp_path / "file.onnx"), noise(5, 64, 48)),
    }[kind]
    results = []
    for threads, at_once in ((1, 5), (2, 1), (3, 5)):
        with Runtime("cpu", threads=threads, precision="bfloat16") as runtime:
            run = loaded(runtime, network)
            for _ in range(2):  # a second time with requests that have been used
                answers = [run(batch[start : start + at_once]) for start in range(0, 5, at_once)]
                results.append([np.concatenate(output) for output in zip(*answers, strict=True)])
    for other in results[1:]:
        for expected, output in zip(results[0], other, strict=True):
            assert np.array_equal(expected, output)


@needs_bfloat16
def test_outputs_are_those_in_float32_up_to_rounding(bfloat16: Runtime, float32: Runtime, tmp_path: Path) -> None:
    torch.manual_seed(0)
    for network in (Small(), onnx_file(tmp_path / "file.onnx")):
        (rounded,), (exact,) = (loaded(runtime, network)(noise(2, 64, 48)) for runtime in (bfloat16, float32))
        assert rounded.dtype == np.float32
        assert not np.array_equal(rounded, exact)
        np.testing.assert_allclose(rounded, exact, rtol=0, atol=2 * BFLOAT16_STEP * np.abs(exact).max())


@needs_bfloat16
def test_a_network_takes_images_of_any_shape_in_turn(bfloat16: Runtime, float32: Runtime) -> None:
    run, exact = bfloat16.load(nanodet.NETWORK), float32.load(nanodet.NETWORK)
    for side in (*range(64, 64 + 32 * 6, 32), 64):  # more shapes than are kept
        batch = pictures(1, side, 96)
        for output, expected in zip(run(batch[:, :, ::-1]), exact(batch[:, :, ::-1]), strict=True):
            np.testing.assert_allclose(output, expected, rtol=0, atol=0.03 * np.abs(expected).max())


@needs_bfloat16
def test_joints_are_those_in_float32_within_pixels(bfloat16: Runtime, float32: Runtime) -> None:
    frames = list(open_source(EXAMPLE, stride=20).frames())
    boxes = [found.boxes[found.scores > 0.3] for found in nanodet.NanoDet(float32)(frames)]
    exact, rounded = (movenet.MoveNet(runtime)(frames, boxes) for runtime in (float32, bfloat16))
    confident = np.concatenate([poses.keypoint_scores for poses in exact]) > 0.3
    moved = np.concatenate([a.keypoints - b.keypoints for a, b in zip(exact, rounded, strict=True)])
    sizes = np.concatenate([np.repeat((b[:, 2:] - b[:, :2]).max(axis=1)[:, None], 17, axis=1) for b in boxes])
    relative = np.linalg.norm(moved, axis=2)[confident] / sizes[confident]
    assert confident.sum() > 100
    assert np.median(relative) < 0.005
    assert np.quantile(relative, 0.95) < 0.02


@needs_bfloat16
def test_people_found_are_those_found_in_float32(bfloat16: Runtime, float32: Runtime) -> None:
    frames = list(open_source(EXAMPLE, stride=20).frames())
    for exact, rounded in zip(nanodet.NanoDet(float32)(frames), nanodet.NanoDet(bfloat16)(frames), strict=True):
        confident = exact[exact.scores > 0.35]
        overlap = box_iou(confident.boxes, rounded.boxes)
        assert len(confident)
        assert overlap.max(axis=1).min() > 0.8


@needs_bfloat16
def test_files_keep_their_input_size_and_metadata(bfloat16: Runtime, tmp_path: Path) -> None:
    file = bfloat16.load_file(onnx_file(tmp_path / "file.onnx"))
    assert (file.provider, file.input_size, file.metadata) == ("OpenVINO", None, {"name": "convolution"})


@needs_bfloat16
def test_control_flow_that_depends_on_the_image_is_refused_in_one_line(bfloat16: Runtime) -> None:
    run = bfloat16.load_module(CountsBrightPixels())
    with pytest.raises(InputError, match="precision: expected float32 for this network, got bfloat16") as caught:
        run(noise(1, 8, 8))
    assert len(str(caught.value).splitlines()) == 1


@needs_bfloat16
def test_conversion_prints_nothing_and_leaves_logging_as_it_was() -> None:
    program = """
import logging, numpy as np, torch
from posetrail.errors import InputError
from posetrail.runtime import Runtime
from tests.posetrail.test_bfloat16 import CountsBrightPixels
def state(): return [(log.level, log.handlers[:], log.filters[:]) for log in map(logging.getLogger, (None, "torch"))]
with Runtime("cpu", 1, precision="bfloat16") as runtime:
    torch.export  # imports what it needs
    before = state()
    image = np.zeros((1, 3, 8, 8), np.float32)
    runtime.load_module(torch.nn.Upsample(scale_factor=2, mode="bilinear"))(image)
    try:
        runtime.load_module(CountsBrightPixels())(image)
    except InputError:
        assert state() == before, (state(), before)
        print("refused")
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("refused\n", "")


@needs_bfloat16
def test_models_are_recorded_with_the_precision_in_which_they_run() -> None:
    with open_networks(Settings(networks=NetworkSettings(device="cpu", precision="bfloat16"))) as networks:
        assert {model.name: model.precision for model in networks.models} == {
            nanodet.NETWORK.weights.name: "bfloat16",
            movenet.NETWORK.weights.name: "bfloat16",
        }
        assert {model.sha256 for model in networks.models} == {
            nanodet.NETWORK.weights.sha256,
            movenet.NETWORK.weights.sha256,
        }


@needs_bfloat16
def test_nothing_is_reported_to_the_makers_of_openvino(tmp_path: Path) -> None:
    program = """
import socket, sys
def refuse(*_): raise AssertionError("a connection")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
import numpy as np, torch, openvino_telemetry
def started(*_, **__): raise AssertionError("telemetry")
openvino_telemetry.Telemetry.init = started
from detectors import nanodet
from posetrail.runtime import Runtime
with Runtime("cpu", 1, precision="bfloat16") as runtime:
    runtime.load(nanodet.NETWORK)(np.zeros((1, 64, 64, 3), np.uint8))
    runtime.load_module(torch.nn.Conv2d(3, 1, 1))(np.zeros((1, 3, 8, 8), np.float32))
"""
    kept = {name: value for name, value in os.environ.items() if name not in ("CI", "TF_BUILD", "JENKINS_URL")}
    home = {name: str(tmp_path) for name in ("HOME", "USERPROFILE", "XDG_CACHE_HOME")}
    subprocess.run([sys.executable, "-c", program], check=True, cwd=REPOSITORY, env=kept | home)
    assert not (tmp_path / "intel").exists()  # where OpenVINO's telemetry keeps its identifier


def test_without_openvino_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino_runtime, "find_spec", lambda _: None)
    with pytest.raises(InputError, match="got bfloat16; openvino is not installed; pip install"):
        Runtime("cpu", precision="bfloat16")


def test_a_cpu_without_bfloat16_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class Core:
        def get_property(self, device: str, name: str) -> list[str]:
            assert (device, name) == ("CPU", "OPTIMIZATION_CAPABILITIES")
            return ["FP32", "INT8"]

    monkeypatch.setattr(openvino_runtime, "find_spec", lambda _: True)
    monkeypatch.setattr(openvino_runtime, "_core", Core)
    with pytest.raises(InputError, match=r"expected float32 or int8 on this machine.*this CPU has no bfloat16"):
        Runtime("cpu", precision="bfloat16")


def test_torch_on_the_cpu_has_no_bfloat16() -> None:
    with pytest.raises(InputError, match="precision: expected float32 on cpu with torch, got bfloat16"):
        Runtime("cpu", backend="torch", precision="bfloat16")


def test_torch_computes_in_bfloat16_and_returns_float32() -> None:
    class WithCount(Small):
        def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:  # type: ignore[override]
            return super().forward(images), torch.arange(len(images))

    torch.manual_seed(0)
    module, batch = WithCount().eval(), noise(2, 16, 16)
    (exact, _), (rounded, counts) = _run_torch(module, batch), _run_torch(module, batch, "bfloat16")
    assert rounded.dtype == np.float32
    assert counts.dtype == np.int64
    assert torch.equal(torch.from_numpy(rounded).bfloat16().float(), torch.from_numpy(rounded))
    np.testing.assert_allclose(rounded, exact, rtol=0, atol=2 * BFLOAT16_STEP * np.abs(exact).max())


def test_on_cuda_networks_are_in_bfloat16_and_files_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(runtime_module, "_cuda_driver_loads", lambda: True)
    monkeypatch.setattr(runtime_module, "_torch_finds_cuda", lambda: True)
    with Runtime("cuda", precision="bfloat16") as runtime:
        assert runtime.weights_of(nanodet.NETWORK).precision == "bfloat16"
        with pytest.raises(InputError, match=r"precision: expected float32 for .* on cuda, got bfloat16"):
            runtime.load_file(onnx_file(tmp_path / "file.onnx"))
