"""The training loop on a network small enough to follow."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from posetrail.errors import InputError
from training.checkpoint import LAST
from training.loop import BAD_BATCH, Batch, train
from training.optimisers import Optimiser, make_optimiser, set_train_mode
from training.plan import Plan
from training.processes import Process
from training.schedules import Schedule

ONE = Process(0, 1, torch.device("cpu"))


class Tiny(nn.Module):
    """Crops to one joint, by the mean of its colours; with dropout, so that seeds matter."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.hidden = nn.Linear(3, 8)
        self.dropout = nn.Dropout(0.1)
        self.out = nn.Linear(8, 2)

    def forward(self, crops: Tensor) -> Tensor:
        means = crops.float().mean((1, 2)) / 255
        return self.out(self.dropout(torch.tanh(self.hidden(means))))[:, None]


def squared_error(outputs: Tensor, keypoints: Tensor, visibility: Tensor) -> Tensor:
    return ((outputs - keypoints) ** 2).mean(2).mul(visibility > 0).mean()


def batches(first: int, size: int, rank: int, world_size: int) -> Iterator[Batch]:
    """Crops whose colour says where the joint is; the sequence is the same for any number of processes."""
    part = size // world_size
    while True:
        rows = np.arange(first + rank * part, first + (rank + 1) * part)
        colours = np.stack([np.random.default_rng(row).integers(0, 256, 3) for row in rows]).astype(np.uint8)
        crops = np.broadcast_to(colours[:, None, None], (part, 4, 4, 3)).copy()
        keypoints = torch.from_numpy(colours[:, None, :2].astype(np.float32) / 255)
        yield Batch(torch.from_numpy(crops), keypoints, torch.full((part, 1), 2, dtype=torch.uint8))
        first += size


PLAN = Plan(epochs=10, samples=80, batch_size=16, optimiser=Optimiser(lr=0.02), seed=3)


def validation(network: nn.Module) -> dict[str, float]:
    batch = next(iter(batches(10**6, 64, 0, 1)))
    with torch.no_grad():
        return {"negative_loss": -float(squared_error(network(batch.crops), batch.keypoints, batch.visibility))}


def test_the_loss_falls_and_the_best_weights_are_kept(tmp_path: Path) -> None:
    events: list[dict[str, Any]] = []
    kept: list[dict[str, float]] = []
    ended = train(
        Tiny(), squared_error, batches, PLAN, tmp_path, ONE,
        validate=validation, keep_best=lambda _, figures: kept.append(figures), log=events.append,
    )  # fmt: skip
    assert ended.ended == "complete"
    assert ended.steps == PLAN.steps == 50
    losses = [event["loss"] for event in events if event["event"] == "step"]
    assert losses[-1] < 0.5 * losses[0], losses
    scores = [event["negative_loss"] for event in events if event["event"] == "validation"]
    assert len(scores) == 10
    assert kept[-1]["negative_loss"] == ended.best["negative_loss"] == max(scores)


@pytest.mark.parametrize("average", [None, 0.99])
@pytest.mark.parametrize("stop_at", [1, 23, 49])
def test_a_training_that_was_stopped_ends_with_the_same_bytes(
    tmp_path: Path, stop_at: int, average: float | None
) -> None:
    plan = replace(PLAN, average_momentum=average)
    for name in ("whole", "parts"):
        (tmp_path / name).mkdir()
    train(Tiny(), squared_error, batches, plan, tmp_path / "whole", ONE, validate=validation)
    calls = iter(range(1000))
    first = train(
        Tiny(), squared_error, batches, plan, tmp_path / "parts", ONE,
        validate=validation, stopped=lambda: next(calls) == stop_at,
    )  # fmt: skip
    assert (first.ended, first.steps) == ("stopped", stop_at)
    train(Tiny(), squared_error, batches, plan, tmp_path / "parts", ONE, validate=validation)
    whole, parts = ((tmp_path / name / LAST).read_bytes() for name in ("whole", "parts"))
    assert whole == parts


def test_parts_of_a_batch_give_the_gradient_of_the_whole(tmp_path: Path) -> None:
    ends = []
    for accumulate in (1, 4):
        network = Tiny()
        network.dropout.p = 0.0
        folder = tmp_path / str(accumulate)
        folder.mkdir()
        train(network, squared_error, batches, replace(PLAN, accumulate=accumulate), folder, ONE)
        ends.append(network.out.weight.detach().numpy())
    np.testing.assert_allclose(*ends, atol=1e-5)


def test_training_stops_when_the_score_no_longer_improves(tmp_path: Path) -> None:
    scores = iter([1.0, 3.0, 2.0, 2.5, 2.9, 0.0])
    ended = train(
        Tiny(), squared_error, batches, replace(PLAN, patience=3), tmp_path, ONE,
        validate=lambda _: {"score": next(scores)},
    )  # fmt: skip
    assert ended.ended == "no improvement"
    assert ended.best == {"score": 3.0}
    assert ended.best_step == 10
    assert ended.steps == 25


def test_the_second_figure_decides_where_the_first_is_equal(tmp_path: Path) -> None:
    scores = iter([(0.0, 5.0), (0.0, 9.0), (0.0, 7.0), (0.0, 9.0)])
    ended = train(
        Tiny(), squared_error, batches, replace(PLAN, epochs=4), tmp_path, ONE,
        validate=lambda _: dict(zip(("AP", "PCK"), next(scores), strict=True)),
    )  # fmt: skip
    assert ended.best == {"AP": 0.0, "PCK": 9.0}
    assert ended.best_step == 10


def test_the_first_loss_that_is_not_finite_ends_training_and_its_batch_is_saved(tmp_path: Path) -> None:
    def objective(outputs: Tensor, keypoints: Tensor, visibility: Tensor) -> Tensor:
        return squared_error(outputs, keypoints, visibility) / (keypoints.sum() < 1e9) * math.nan

    with pytest.raises(InputError, match=r"step 0: the loss is not finite; the batch is saved as .*bad_batch"):
        train(Tiny(), objective, batches, PLAN, tmp_path, ONE)
    saved = torch.load(tmp_path / BAD_BATCH, weights_only=True)
    assert saved["crops"].shape == (16, 4, 4, 3)


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    train(Tiny(), squared_error, batches, replace(PLAN, epochs=1, made_with={"--lr": "0.1"}), tmp_path, ONE)
    with pytest.raises(InputError, match=r"with other settings or data: --lr \(was 0.1, now 0.2\); give those again"):
        train(Tiny(), squared_error, batches, replace(PLAN, epochs=1, made_with={"--lr": "0.2"}), tmp_path, ONE)
    (tmp_path / LAST).write_bytes(b"PK\3\4 damaged")
    with pytest.raises(InputError, match="damaged or other file"):
        train(Tiny(), squared_error, batches, replace(PLAN, epochs=1, made_with={"--lr": "0.1"}), tmp_path, ONE)


def test_the_state_of_the_global_random_generator_is_left_alone(tmp_path: Path) -> None:
    network = Tiny()
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    train(network, squared_error, batches, replace(PLAN, epochs=1), tmp_path, ONE)
    assert torch.equal(torch.rand(3), expected)


def test_frozen_parameters_stay_and_slower_ones_move_less(tmp_path: Path) -> None:
    network, before = Tiny(), Tiny()
    optimiser = Optimiser(kind="sgd", lr=0.1, momentum=0.0, lr_factors={"hidden": 0.0})
    train(network, squared_error, batches, replace(PLAN, optimiser=optimiser, epochs=1), tmp_path, ONE)
    assert torch.equal(network.hidden.weight, before.hidden.weight)
    assert not torch.equal(network.out.weight, before.out.weight)
    with pytest.raises(InputError, match="expected the start of parameters"):
        train(Tiny(), squared_error, batches, replace(PLAN, optimiser=Optimiser(lr_factors={"x": 1})), tmp_path, ONE)


_TWO = """
import sys, torch
from pathlib import Path
from dataclasses import replace
from tests.training.test_loop import PLAN, Tiny, batches, squared_error
from training.loop import train
from training.optimisers import Optimiser, make_optimiser, set_train_mode
from training.processes import open_process
network = Tiny()
network.dropout.p = 0.0
plan = replace(PLAN, epochs=1, optimiser=Optimiser(kind="sgd", lr=0.1))
with open_process("cpu") as process:
    train(network, squared_error, batches, plan, Path(sys.argv[1]), process)
    if process.is_first:
        torch.save(network.state_dict(), sys.argv[1] + "/weights.pt")
"""


def test_two_processes_train_as_one(tmp_path: Path) -> None:
    weights = []
    for number in (1, 2):
        folder = tmp_path / str(number)
        folder.mkdir()
        (tmp_path / "program.py").write_text(_TWO)
        here = Path(__file__).parents[2]
        run = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={number}"] if number > 1 else []
        environment = os.environ | {"PYTHONPATH": str(here), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, *run, str(tmp_path / "program.py"), str(folder)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        weights.append(torch.load(folder / "weights.pt", weights_only=True))
    for name, value in weights[0].items():
        torch.testing.assert_close(weights[1][name], value, atol=1e-6, rtol=0)


def test_the_schedule_of_a_shorter_training_falls_at_the_same_places() -> None:
    published = Schedule(drops=(170.0, 200.0), warmup_steps=500)
    short = published.fitted(0.1, steps=300)
    assert short.drops == pytest.approx((17, 20))
    assert short.warmup_steps == 60
    assert published.fitted(1.0, steps=100_000) == published


def test_schedules_follow_their_published_forms() -> None:
    steps = Schedule(drops=(170, 200), warmup_steps=500)
    assert steps.factor(0, 210_000, 1000) == 0.001
    assert steps.factor(250, 210_000, 1000) == pytest.approx(0.5005)
    assert [steps.factor(epoch * 1000, 210_000, 1000) for epoch in (169, 170, 200)] == pytest.approx([1, 0.1, 0.01])
    cosine = Schedule(kind="cosine", flat_epochs=210, last_factor=0.05)
    assert [cosine.factor(epoch * 10, 4200, 10) for epoch in (0, 210, 315, 420)] == pytest.approx([1, 1, 0.525, 0.05])
    linear = Schedule(kind="linear")
    assert [linear.factor(step, 100, 10) for step in (0, 50, 100)] == pytest.approx([1, 0.5, 0])
    with pytest.raises(InputError, match="unknown schedule"):
        Schedule(kind="cosin")  # type: ignore[arg-type]


def test_frozen_parts_keep_their_batch_statistics() -> None:
    network = nn.Sequential(nn.BatchNorm2d(3), nn.BatchNorm2d(3))
    make_optimiser(network, Optimiser(lr_factors={"0": 0.0}))
    set_train_mode(network)
    assert [layer.training for layer in network] == [False, True]
