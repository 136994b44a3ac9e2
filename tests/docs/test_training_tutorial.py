"""The training tutorial's commands run in their order, with fewer figures, frames and epochs."""

from __future__ import annotations

import json
import re
import runpy
import shlex
import sys
from pathlib import Path

import pytest

from tests.command_line import succeeds
from tests.conftest import REPOSITORY

PAGE = REPOSITORY / "docs" / "tutorial-training.md"
LESS = {
    "stick_figures.py": "--images 10 --frames 6",
    "correct_figures.py": "--every 3",
    "train": "--input-height 128 --epochs 4 --workers 0 --batch-size 4 --validate-every 4",
}


def commands() -> list[list[str]]:
    """The commands of the page's blocks."""
    lines = re.findall(r"^ {4}((?:posetrail|python) .*)$", PAGE.read_text(), re.MULTILINE)
    return [shlex.split(line) for line in lines]


def test_the_commands_of_the_tutorial_run_in_their_order(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = []
    for program, first, *arguments in commands():
        name = Path(first).name
        names.append(name)
        arguments += shlex.split(LESS.get(name, ""))
        if program == "python":
            monkeypatch.setattr(sys, "argv", [first, *arguments])
            monkeypatch.syspath_prepend(str(REPOSITORY / "examples"))
            runpy.run_path(str(REPOSITORY / first), run_name="__main__")
        elif name != "view":  # runs until it is ended
            succeeds(capsys, first, *_without_repeated(arguments))
    assert names.count("train") == names.count("eval") == 2
    assert "view" in names
    truth = json.loads(Path("tracks/walk/ground_truth.coco.json").read_text())
    assert len(truth["images"]) == 2
    assert all(Path("tracks/walk/images", each["file_name"]).is_file() for each in truth["images"])
    record = json.loads(Path("second/training.json").read_text())
    assert record["samples"]["people"] + record["samples"]["validation"] == 10 + len(truth["annotations"])
    assert record["started"]["fresh"] == []


def _without_repeated(arguments: list[str]) -> list[str]:
    """Of a flag that is given twice, such as the number of epochs, the last value; --data may be repeated."""
    kept = list(arguments)
    for flag in ("--epochs", "--input-height"):
        while kept.count(flag) > 1:
            at = kept.index(flag)
            del kept[at : at + 2]
    return kept
