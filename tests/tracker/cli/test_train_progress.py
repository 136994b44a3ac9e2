"""What `posetrail train` shows while it trains."""

from __future__ import annotations

import io
import json

import pytest

from tracker.cli import train_progress
from tracker.cli.train_progress import duration, training_progress
from tracker.progress import ProgressStyle

START = {
    "event": "start", "network": "hrnet_w32", "joints": 17, "people": 80, "validation": 9, "steps": 20, "batch_size": 8,
    "device": "cpu", "processes": 1, "joints_taken_over": [], "joints_fresh": [], "steps_done": 10,
}  # fmt: skip
VALIDATION = {"event": "validation", "step": 20, "epoch": 2.0, "AP": 41.25, "PCK": 80.0}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(style: ProgressStyle, stream: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> str:
    now = iter(float(second) for second in range(100))
    monkeypatch.setattr(train_progress.time, "monotonic", lambda: next(now))
    with training_progress(style, stream) as progress:
        progress.on_event(START)
        for step in range(11, 21):
            progress.on_step(step, 0.5, 1e-3)
        progress.on_event(VALIDATION)
    return stream.getvalue()


def test_lines_say_epoch_loss_rate_speed_and_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    start, *steps, validation = shown("auto", io.StringIO(), monkeypatch).splitlines()
    assert start == (
        "hrnet_w32: 17 joints; 80 people to train on, 9 to validate on; 20 steps of 8 people on cpu; "
        "10 steps were done before"
    )
    assert 2 <= len(steps) < 10
    assert steps[-1].startswith("step 20/20, epoch 2.00: loss 0.5, lr 0.001, ")
    assert steps[-1].endswith(" people/s, 0 s left")
    assert validation == "validation, epoch 2.00: AP 41.2, PCK 80.0"


def test_a_terminal_gets_a_bar_below_the_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown("auto", Terminal(), monkeypatch)
    assert "20/20" in text
    assert "validation, epoch 2.00: AP 41.2, PCK 80.0" in text


def test_events_are_json_lines_for_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    start, validation = map(json.loads, shown("json", io.StringIO(), monkeypatch).splitlines())
    assert start["event"] == "start"
    assert validation["AP"] == 41.25


def test_durations_have_the_unit_that_suits_them() -> None:
    assert [duration(seconds) for seconds in (4.2, 600, 20_000)] == ["4 s", "10 min", "5.6 h"]
