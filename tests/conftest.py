"""Shared by all tests: where the material lies that is not part of the repository."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Read by torch when it is imported: several threads a test get in each other's way, and cost three times the time.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Tests see no weights that whoever runs them has fetched.
os.environ["POSETRAIL_HOME"] = str(Path(__file__).parent / "no_such_home")

# Modules whose tests are marked `fast`: some of every package, about a minute in all. Others carry the mark themselves.
FAST = frozenset(
    [
        "test_association",
        "test_clip_list",
        "test_crops",
        "test_decode",
        "test_eval_metrics",
        "test_eval_oks_ap",
        "test_files",
        "test_movenet",
        "test_nanodet",
        "test_options",
        "test_people",
        "test_pose_log",
        "test_posetrack_files",
        "test_run",
        "test_runtime",
        "test_scores",
        "test_similarity",
        "test_skeletons",
        "test_suppression",
        "test_video",
        "test_video_out",
        "test_weights",
        "test_writers",
    ]
)

REPOSITORY = Path(__file__).parents[1]
SHARED = REPOSITORY.parent / "shared"


@pytest.hookimpl(tryfirst=True)  # before pytest selects by marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.stem in FAST:
            item.add_marker("fast")


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
