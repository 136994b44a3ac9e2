"""The example programs run as their docstrings say."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY, TESTS

EXAMPLES = REPOSITORY / "examples"
SYNTHETIC = TESTS / "golden" / "posetrack" / "synth"


def output(program: str, *arguments: object) -> list[str]:
    """The lines that an example prints."""
    command = [sys.executable, EXAMPLES / program, *map(str, arguments)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, example_clip: Path) -> Path:
    folder = tmp_path_factory.mktemp("examples")
    command = [Path(sys.executable).parent / "posetrail", "track", example_clip, "--end", "0.1", "-o", folder]
    subprocess.run(command, check=True, capture_output=True)
    return folder / example_clip.stem


def test_track_video_prints_every_track_of_every_frame(example_clip: Path) -> None:
    lines = output("track_video.py", example_clip, "--end", 0.1)
    assert {line.split("  ")[0] for line in lines} == {"0.00 s", "0.02 s", "0.03 s", "0.05 s", "0.07 s", "0.08 s"}
    assert {line.split("  ")[1] for line in lines} >= {"track 1", "track 2"}


def test_retrack_compares_settings_without_inference(run: Path) -> None:
    title, *rows = output("retrack.py", run)
    assert title.split() == ["settings", "tracks", "poses"]
    assert len(rows) == 4
    assert all(int(row.split()[-2]) >= 2 for row in rows)


def test_own_estimator_keeps_both_bars_apart() -> None:
    assert output("own_estimator.py") == [
        "track 1: 40 frames, x from 25 to 259",
        "track 2: 40 frames, x from 295 to 61",
    ]


def test_evaluate_runs_compares_two_predictions() -> None:
    lines = output("evaluate_runs.py", SYNTHETIC / "gt18", SYNTHETIC / "gt18", SYNTHETIC / "pred18")
    figures = {line.split()[0]: line.split()[1:] for line in lines if "%" not in line}
    assert list(figures) == ["AP", "MOTA", "IDF1", "HOTA"]
    for perfect, other in figures.values():
        assert float(perfect) > float(other)
    assert any(line.startswith("MOTA") and "95 %" in line for line in lines)


def test_read_results_prints_one_line_per_track(run: Path) -> None:
    lines = output("read_results.py", run)
    assert len(lines) >= 2
    assert all(re.fullmatch(r"track \d: 0\.\d\d s to 0\.\d\d s, wrists at \d+ pixels/s .*", line) for line in lines)
