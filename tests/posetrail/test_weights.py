"""The weight files that travel with the package: whole, lossless, described; and what is said of a damaged one."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from detectors import BUILT_IN as DETECTORS
from estimators import BUILT_IN as ESTIMATORS
from posetrail.errors import InputError
from posetrail.weights import Weights
from tests.conftest import REPOSITORY

BUILT_IN = [model.network.weights for model in (*DETECTORS.values(), *ESTIMATORS.values())]


@pytest.mark.parametrize("weights", BUILT_IN, ids=lambda w: w.name)
def test_packaged_weights_are_float16_and_load_as_float32(weights: Weights) -> None:
    stored = load_file(weights.path)
    loaded = weights.load()
    assert {value.dtype for value in stored.values()} == {np.dtype(np.float16)}
    assert {value.dtype for value in loaded.values()} == {np.dtype(np.float32)}
    assert all(np.array_equal(loaded[key], stored[key].astype(np.float32)) for key in stored)
    assert all(np.isfinite(value).all() for value in loaded.values())


@pytest.mark.parametrize("weights", BUILT_IN, ids=lambda w: w.name)
def test_every_file_has_a_source_and_a_licence(weights: Weights) -> None:
    assert weights.licence == "Apache-2.0"
    assert weights.source
    assert weights.about
    assert weights.size_bytes == weights.path.stat().st_size > 1_000_000


def test_missing_truncated_and_wrong_files_are_refused_in_one_line(tmp_path: Path) -> None:
    whole = BUILT_IN[0]
    missing = replace(whole, path=tmp_path / "gone.safetensors")
    assert missing.size_bytes == 0
    cut_off = replace(whole, path=tmp_path / "cut.safetensors")
    cut_off.path.write_bytes(whole.path.read_bytes()[:1000])
    wrong = replace(BUILT_IN[1], sha256=whole.sha256)
    for weights, said in ((missing, "cannot read"), (cut_off, "1000 bytes"), (wrong, "expected sha256")):
        with pytest.raises(InputError, match=said) as told:
            weights.load()
        assert "\n" not in str(told.value)
        assert "reinstall" in str(told.value)


def test_models_can_be_listed_without_importing_torch() -> None:
    program = (
        "import sys; from detectors import BUILT_IN as DETECTORS; from estimators import BUILT_IN as ESTIMATORS; "
        "print([m.network.weights.sha256 for m in [*DETECTORS.values(), *ESTIMATORS.values()]]); "
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=REPOSITORY, capture_output=True)
