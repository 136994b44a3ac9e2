"""Events of a training for TensorBoard."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from posetrail.errors import InputError
from training.tensorboard import FOLDER, TensorBoard, opened

STEP = {"event": "step", "step": 20, "steps": 40, "epoch": 1.0, "loss": 0.5, "lr": 1e-3, "seconds": 2.0}
VALIDATION = {"event": "validation", "step": 40, "epoch": 2.0, "AP": 12.5, "PCK": 60.0}


def test_losses_rates_and_scores_are_curves_by_step(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    with opened(tmp_path, True) as board:
        for event in ({"event": "start", "people": 3}, STEP, VALIDATION):
            board(event)
    curves = accumulator.EventAccumulator(str(tmp_path / FOLDER))
    curves.Reload()
    read = {name: [(each.step, each.value) for each in curves.Scalars(name)] for name in curves.Tags()["scalars"]}
    assert read == {
        "training/loss": [(20, 0.5)],
        "training/learning_rate": [(20, pytest.approx(1e-3))],
        "validation/AP": [(40, 12.5)],
        "validation/PCK": [(40, 60.0)],
    }


def test_without_tensorboard_one_line_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(InputError, match="expected the package tensorboard, got none; install it with") as raised:
        TensorBoard(tmp_path / FOLDER)
    assert "\n" not in str(raised.value)


def test_nothing_is_written_unless_asked_for(tmp_path: Path) -> None:
    with opened(tmp_path, False) as board:
        board(STEP)
    assert not (tmp_path / FOLDER).exists()
