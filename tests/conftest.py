"""Shared by all tests: where the material lies that is not part of the repository."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Read by torch when it is imported: several threads a test get in each other's way, and cost three times the time.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Tests see no weights that whoever runs them has fetched.
os.environ["POSETRAIL_HOME"] = str(Path(__file__).parent / "no_such_home")

REPOSITORY = Path(__file__).parents[1]
SHARED = REPOSITORY.parent / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of goldens and clips beside the repository; tests that need it skip without."""
    if not SHARED.is_dir():
        pytest.skip("the folder ../shared (goldens, clips) is not here")
    return SHARED


@pytest.fixture(scope="session")
def example_clip() -> Path:
    """The clip that travels with the repository: 100 frames, 1088x1920, 60 fps, two people and one behind."""
    return REPOSITORY / "examples" / "pose2sim_cam01.mp4"
