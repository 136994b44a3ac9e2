"""The benchmark of speed: invented timings, and the built-in networks in the forms that rtmlib takes."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import speed_peers
from benchmarks.candidates import add_candidate_arguments
from benchmarks.rtmlib_networks import AsRTMPose, AsYOLOX
from benchmarks.speed import ALONE, TRACKED, VIDEO, RecordingRuntime, configurations_of, in_turns, table
from benchmarks.speed_peers import PEERS, Work, opened_peers
from benchmarks.timing import Timing
from detectors.decode import STRIDES
from detectors.nanodet import decode
from estimators.decode import decode_movenet
from posetrail.errors import InputError
from tests.media import write_video
from tracker.io.video import open_source
from tracker.settings import Settings


def timing(seconds: float, people: int | None = 20) -> Timing:
    return Timing(frames=10, people=people, seconds=seconds, cpu_seconds=2 * seconds)


def rows_of(text: str) -> dict[str, list[str]]:
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    return {cells[0]: cells[1:] for cells in lines[2:]}


def test_a_table_has_medians_and_ratios_within_each_round() -> None:
    timings = {
        "baseline": {
            TRACKED: [timing(1.0), timing(4.0), timing(2.0)],
            ALONE: [timing(0.5)] * 3,
            VIDEO: [timing(4.0)] * 3,
        },
        "loop": {TRACKED: [timing(2.0, None), timing(8.0, None), timing(4.0, None)]},
    }
    written = table(timings, "baseline", "frames/s", lambda t: t.seconds / t.frames, lambda s: f"{1 / s:.1f}")
    assert rows_of(written) == {
        "baseline": ["5.0", "1.00", "2.0", "20.0", "0.25", "2.5", "2.00"],
        "loop": ["2.5", "0.50", "", "", "", "", ""],
    }


def test_every_second_round_is_in_reverse() -> None:
    calls: list[str] = []

    def step(name: str) -> Timing:
        calls.append(name)
        return timing(1.0)

    steps = {"a": {TRACKED: lambda: step("a"), ALONE: lambda: step("a alone")}, "b": {TRACKED: lambda: step("b")}}
    timings = in_turns(steps, 2)
    assert calls == ["a", "a alone", "b", "b", "a alone", "a"]
    assert {name: {kind: len(each) for kind, each in kinds.items()} for name, kinds in timings.items()} == {
        "a": {TRACKED: 2, ALONE: 2},
        "b": {TRACKED: 2},
    }


def chosen(*arguments: str) -> dict[str, Settings]:
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--baseline-set", nargs="+")
    add_candidate_arguments(parser)
    return configurations_of(parser.parse_args(arguments))


def test_the_baseline_is_the_first_configuration() -> None:
    assert next(iter(chosen())) == "every frame, float32"
    rows = chosen("--baseline-set", "detect_every=2", "--set", "detect_every=3", "detector_input_px=416")
    assert list(rows) == ["detect_every=2", "detect_every=3 detector_input_px=416"]
    assert [each.inference.detect_every for each in rows.values()] == [2, 3]
    assert {each.networks.threads for each in rows.values()} == {2}


def test_settings_that_are_equal_are_measured_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(chosen("--baseline-set", "detect_every=2", "--set", "detect_every=2", "propagate=true")) == [
        "detect_every=2"
    ]
    assert (
        capsys.readouterr().out
        == "detect_every=2 propagate=true: not measured, because its settings are those of detect_every=2\n"
    )


def test_an_unknown_setting_of_the_baseline_is_refused() -> None:
    with pytest.raises(InputError, match="unknown setting 'detect_evry'"):
        chosen("--baseline-set", "detect_evry=2")


def test_recorded_inputs_are_replayed_in_batches_of_one_size() -> None:
    class Sums(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_parameter("zero", torch.nn.Parameter(torch.zeros(1)))

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.float().sum(dim=(1, 2, 3)) + self.zero

    with RecordingRuntime("cpu", 1) as runtime:
        run = runtime.load_module(Sums())
        run(np.ones((1, 8, 8, 3), np.uint8))
        runtime.recording = True
        for count, side in ((2, 8), (1, 16), (3, 8)):
            run(np.ones((count, side, side, 3), np.uint8))
        runtime.recording = False
        assert runtime.sizes() == {"8 x 8": 5, "16 x 16": 1}
        replayed: list[tuple[int, ...]] = []

        def watched(batch: np.ndarray) -> tuple[np.ndarray, ...]:
            replayed.append(batch.shape)
            return (batch,)

        runtime.inputs = [(watched, batch) for _, batch in runtime.inputs]
        runtime.replay()
    assert replayed == [(5, 8, 8, 3), (1, 16, 16, 3)]


class Maps(torch.nn.Module):
    """A network whose outputs are known."""

    def __init__(self, *maps: np.ndarray) -> None:
        super().__init__()
        self.maps = [torch.from_numpy(each) for each in maps]

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        assert images.shape[3] == 3
        return self.maps


def test_joints_as_simcc_vectors_are_those_of_the_estimator() -> None:
    rng = np.random.default_rng(0)
    shapes = ((2, 17, 64, 64), (2, 1, 64, 64), (2, 34, 64, 64), (2, 34, 64, 64))
    maps = [rng.random(shape, np.float32) for shape in shapes]
    keypoints, scores = decode_movenet(*maps)
    simcc_x, simcc_y = (each.numpy() for each in AsRTMPose(Maps(*maps))(torch.zeros(2, 3, 256, 256)))
    assert simcc_x.shape == simcc_y.shape == (2, 17, 512)
    found = np.stack([simcc_x.argmax(axis=2), simcc_y.argmax(axis=2)], axis=2) / 2
    assert np.abs(found - keypoints).max() <= 0.25 + 1e-4
    np.testing.assert_allclose(simcc_x.max(axis=2), scores, rtol=1e-6)


def test_boxes_as_a_yolox_are_those_of_the_detector() -> None:
    rng = np.random.default_rng(0)
    levels = [rng.normal(size=(1, 45, 64 // stride, 96 // stride)).astype(np.float32) for stride in STRIDES]
    ((boxes, scores),) = decode(tuple(levels), 0.0)
    cells = AsYOLOX(Maps(*levels))(torch.zeros(1, 3, 64, 96)).numpy()[0].astype(np.float64)
    grid = [
        (column, row, stride) for stride in STRIDES for row in range(64 // stride) for column in range(96 // stride)
    ]
    corners, strides = np.array(grid)[:, :2], np.array(grid)[:, 2:]
    centres, sizes = (cells[:, :2] + corners) * strides, np.exp(cells[:, 2:4]) * strides
    found = np.concatenate([centres - sizes / 2, centres + sizes / 2], axis=1)
    order = np.argsort(-cells[:, 4], kind="stable")
    np.testing.assert_allclose(found[order], boxes, atol=1e-2)
    np.testing.assert_allclose(cells[order, 4], scores, rtol=1e-5)
    assert (cells[:, 5] == 1).all()


@pytest.fixture
def work(tmp_path: Path) -> Work:
    path = write_video(tmp_path / "clip.mp4")
    return Work(path=path, source=open_source(path), settings=Settings(), threads=1, folder=tmp_path)


def test_a_peer_that_cannot_be_installed_is_left_out_in_one_line(
    work: Work, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def without_uv(work: Work, stack: ExitStack) -> dict[str, speed_peers.Step]:
        monkeypatch.setenv("PATH", "")
        return speed_peers.rtmlib_steps(work, stack)

    monkeypatch.setitem(PEERS, "rtmlib", without_uv)
    monkeypatch.setitem(PEERS, "plain-loop", lambda work, stack: {"plain loop": lambda: timing(1.0)})
    with opened_peers(["rtmlib", "plain-loop"], work) as steps:
        assert list(steps) == ["plain loop"]
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("rtmlib is left out: ")
    assert "uv" in line
