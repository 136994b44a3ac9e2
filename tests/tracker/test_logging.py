"""What the package logs: silent by default, one record for each main step, tracebacks of internal errors."""

from __future__ import annotations

import logging
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.batch_worlds import WORLD, task, truth, write_clips
from tests.conftest import REPOSITORY
from tests.worlds import PowerCut, TruthDetector, power_cut_after
from tracker.batch.clip import track_listed_clip
from tracker.batch.clip_list import find_clips
from tracker.io.video import open_source
from tracker.runs.folder import run_clip
from tracker.runs.networks import open_networks
from tracker.settings import Settings


def logged(caplog: pytest.LogCaptureFixture, module: str) -> str:
    return "\n".join(record.getMessage() for record in caplog.records if record.name == f"tracker.{module}")


def test_the_main_steps_of_a_run_are_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="tracker")
    clip = write_clips(tmp_path / "clips", 1) / "clip 0"
    folder = tmp_path / "out"
    with truth(Settings()) as networks:
        with pytest.raises(PowerCut):
            run_clip(open_source(clip), folder, networks, Settings(), on_frame=power_cut_after(10))
        run_clip(open_source(clip), folder, networks, Settings())
        run_clip(open_source(clip), folder, networks, Settings())
    assert f"{clip}: opened, 22 frames of 200x160 pixels at 30 fps" in logged(caplog, "io.video")
    assert "inferred 22 frames" in logged(caplog, "runs.infer")
    assert "continued after the first 8 frames of an earlier run" in logged(caplog, "runs.resume")
    assert "nothing to do" in logged(caplog, "runs.resume")
    assert f"{folder}: wrote poses.arrow, tracks.json, tracks.csv, run.json" in logged(caplog, "runs.results")


def test_loaded_networks_are_logged_with_their_device(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="tracker")
    with open_networks(Settings()):
        pass
    assert "on cpu" in logged(caplog, "runs.networks") or "on cuda" in logged(caplog, "runs.networks")


def test_an_internal_error_in_a_clip_is_logged_with_its_traceback(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Faulty(TruthDetector):
        def _detect(self, index: int) -> Any:
            raise ZeroDivisionError("out of the blue")

    (clip,) = find_clips([write_clips(tmp_path / "clips", 1)], tmp_path)
    (tmp_path / "out").mkdir()
    with truth(Settings()) as networks:
        track_listed_clip(clip, replace(networks, detector=Faulty(WORLD)), task(tmp_path / "out"))
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.getMessage() == "clip 0: internal error: ZeroDivisionError: out of the blue"
    assert record.exc_info


def test_nothing_is_shown_unless_logging_is_configured() -> None:
    program = "import logging, tracker; logging.getLogger('tracker.runs').error('a message')"
    done = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
