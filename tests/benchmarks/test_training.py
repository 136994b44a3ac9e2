"""The benchmark of training runs, and its tables have every row."""

from __future__ import annotations

import sys

import pytest

from benchmarks.training import main, table


def test_the_benchmark_measures_crops_and_steps(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = "--recipes mobilenetv2_simple --height 128 --crops 2 --steps 1 --batch 2 --rounds 1"
    monkeypatch.setattr(sys, "argv", ["training", *arguments.split()])
    main()
    rows = [line.split("|")[1].strip() for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert [row for row in rows if row not in ("", "---")] == [
        "crops", "warp", "warp, normalise", "loop", "forward and backward",
    ]  # fmt: skip


def test_ratios_are_to_the_last_row_within_the_rounds() -> None:
    lines = table({"a": [2.0, 30.0, 4.0], "b": [1.0, 10.0, 4.0]}, "crops/s").splitlines()
    assert lines[2:] == ["| a | 4 | 2.00 |", "| b | 4 | 1.00 |"]
