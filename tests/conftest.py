"""Shared by all tests: environment variables, the mark `fast`, and paths of clips."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    import numpy as np

    from posetrail.runtime import Runtime

# No example is too slow on a loaded machine, and each run tries the same ones.
settings.register_profile("posetrail", deadline=None, derandomize=True)
settings.load_profile("posetrail")
# Read by torch when it is imported: with several threads in each test worker, tests take three times as long.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Tests do not use downloaded weights of the user who runs them.
os.environ["POSETRAIL_HOME"] = str(Path(__file__).parent / "no_such_home")

# Modules whose tests are marked `fast`: some of every package, about a minute in all. Others carry the mark themselves.
FAST = frozenset(
    [
        "detectors/test_nanodet",
        "estimators/test_crops",
        "estimators/test_decode",
        "estimators/test_movenet",
        "eval_posetrack/test_metrics",
        "eval_posetrack/test_oks_ap",
        "eval_posetrack/test_posetrack_files",
        "posetrail/test_files",
        "posetrail/test_nms",
        "posetrail/test_options",
        "posetrail/test_poses",
        "posetrail/test_runtime",
        "posetrail/test_similarity",
        "posetrail/test_skeletons",
        "posetrail/test_weights",
        "posetrail/test_assignment",
        "tracker/association/test_score_scale",
        "tracker/batch/test_clip_list",
        "tracker/io/test_pose_log",
        "tracker/io/test_video",
        "tracker/io/test_video_writer",
        "tracker/io/test_writers",
        "tracker/runs/test_run",
        "training/test_losses",
        "training/test_targets",
    ]
)

TESTS = Path(__file__).parent
REPOSITORY = TESTS.parent
SHARED = REPOSITORY.parent / "shared"


@pytest.hookimpl(tryfirst=True)  # before pytest selects by marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.relative_to(TESTS).with_suffix("").as_posix() in FAST:
            item.add_marker("fast")
    # Files go to the workers in this order: a long one at the end would keep one of them busy alone.
    items.sort(key=lambda item: item.path.relative_to(TESTS).parts[0] != "training")


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


@pytest.fixture(scope="module")
def first_frame(example_clip: Path) -> np.ndarray:
    """The first frame of the example clip, (1920, 1088, 3) uint8 RGB."""
    import av

    with av.open(str(example_clip)) as clip:
        return next(clip.decode(video=0)).to_ndarray(format="rgb24")


@pytest.fixture(scope="module")
def runtime() -> Iterator[Runtime]:
    """Runs networks on the CPU, in two threads."""
    from posetrail.runtime import Runtime

    with Runtime(device="cpu", threads=2) as runtime:
        yield runtime


@pytest.fixture(scope="module", params=["onnx", "torch"])
def each_backend(request: pytest.FixtureRequest) -> Iterator[Runtime]:
    """Runs networks on the CPU by ONNX Runtime, then by torch."""
    from posetrail.runtime import Runtime

    with Runtime(device="cpu", backend=request.param, precision="float32") as runtime:
        yield runtime
