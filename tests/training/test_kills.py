"""A training that is killed and started again ends with the bytes of one that was not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from estimators.trained import Training
from posetrail.skeletons import COCO_17
from tests.conftest import REPOSITORY
from tests.training.killed_training import MOMENTS
from tests.training.test_loader import figures
from training.fit import BEST
from training.log import LOG, RECORD
from training.plan import Plan
from training.recipes import RECIPES
from training.record import made_with


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")
def test_a_training_that_was_killed_ends_with_the_same_bytes(tmp_path: Path) -> None:
    program = Path(__file__).with_name("killed_training.py")
    done = subprocess.run(
        [sys.executable, str(program), str(tmp_path)],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    for name in ("last.pt", BEST, LOG, RECORD):
        whole = (tmp_path / "whole" / name).read_bytes()
        for moment in MOMENTS:
            assert (tmp_path / moment / name).read_bytes() == whole, (moment, name)
    for moment in MOMENTS:
        assert not list((tmp_path / moment).glob(".*"))  # temporary files and locks
        assert (tmp_path / moment / "report.html").is_file()


@pytest.mark.parametrize("name", RECIPES)
def test_what_a_checkpoint_was_made_with_is_the_same_text_in_every_process(name: str, tmp_path: Path) -> None:
    samples = figures(tmp_path, 2)
    recipe = RECIPES[name]
    training = Training(network=recipe.network, skeleton=COCO_17, input_size=(96, 128))
    plan = Plan(epochs=1, samples=2, batch_size=2, optimiser=recipe.optimiser)
    known = made_with(plan, recipe, training, samples, samples, {})
    assert not [text for text in known.values() if " at 0x" in text]
