"""Recorded targets, losses and augmentation of published training code, from any folder of the same layout."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from .conftest import SHARED, TESTS

VARIABLE = "POSETRAIL_TRAINING_GOLDENS"


def recorded_training(name: str) -> dict[str, np.ndarray]:
    """The arrays of a golden; the test that asks is skipped where it is not found.

    Looked up in the folder that the environment variable names, or, where it is not set, in ../shared/goldens/training
    and among the small copies in tests/golden/training.
    """
    given = os.environ.get(VARIABLE)
    folders = [Path(given)] if given else [SHARED / "goldens" / "training", TESTS / "golden" / "training"]
    for folder in folders:
        if (folder / f"{name}.npz").is_file():
            with np.load(folder / f"{name}.npz") as arrays:
                return dict(arrays)
    pytest.skip(f"the golden {name}.npz is not in {' or '.join(map(str, folders))}; see {VARIABLE}")
