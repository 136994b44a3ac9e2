"""Memory: what an hour may not gather, asked of a few hundred frames."""

from __future__ import annotations

import tracemalloc
import weakref
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from posetrail.poses import Poses, TrackedPoses
from posetrail.skeletons import COCO_17
from tests.worlds import STANDING
from tracker.association.filters import OneEuro
from tracker.association.preparation import Preparation
from tracker.association.smoothing import OnlineSmoothing
from tracker.association.tracklets import TrackletRecorder
from tracker.frames import PoseFrame, PropagatedPoses, TrackedFrame
from tracker.io.writers import WRITERS, ClipInfo, open_writer
from tracker.settings import AssociationSettings

OPEN_FILES = Path("/proc/self/fd")


def standing(num_people: int = 1) -> Poses:
    """People side by side, each 40 x 100 pixels."""
    corners = np.column_stack([50 * np.arange(num_people), np.full(num_people, 20)])
    size = np.array([40, 100])
    keypoints = corners[:, None] + STANDING * size
    scores = np.full(keypoints.shape[:2], 0.8)
    return Poses(keypoints, scores, np.hstack([corners, corners + size]), scores[:, 0], scores[:, 0] == 0)


def seen(index: int, poses: Poses) -> PoseFrame:
    return PoseFrame(index, index / 30, f"{index:06d}.jpg", poses, PropagatedPoses.empty(17))


def grown(use: Callable[[int], None], short: int, long: int) -> float:
    """Bytes by which the greatest memory of a long use is above that of a short one, for each step more."""

    def peak(steps: int) -> int:
        tracemalloc.start()
        use(steps)
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    use(short)  # imports and caches
    return (peak(long) - peak(short)) / (long - short)


def test_memory_of_tracklets_is_flat() -> None:
    def record(num_pieces: int) -> None:
        recorder, prepare = TrackletRecorder(), Preparation(AssociationSettings(), COCO_17)
        for i in range(num_pieces):
            recorder.add(prepare(seen(i, standing())), np.array([i + 1]), np.array([i + 1]))
        assert len(recorder.tracklets()) == num_pieces

    assert grown(record, 100, 500) < 3500  # twice its 1360 while they are put in order


def test_filters_of_ended_tracks_are_freed(monkeypatch: pytest.MonkeyPatch) -> None:
    filters = weakref.WeakSet[OneEuro]()

    def counted() -> OneEuro:
        filters.add(one := OneEuro())
        return one

    monkeypatch.setattr("tracker.association.smoothing.OneEuro", counted)
    poses = standing()
    smooth, alive = OnlineSmoothing(), []
    for i in range(100):  # somebody new in each frame
        smooth(TrackedPoses(poses, [i + 1]), seen(i, poses).time_s)
        alive.append(len(filters))
    assert max(alive) == 16  # half a second's


def unnamed_files() -> set[str]:
    """Open in this process."""
    names = {str(each.readlink()) for each in OPEN_FILES.iterdir() if each.is_symlink()}
    return {name for name in names if name.endswith("(deleted)")}


@pytest.mark.skipif(not OPEN_FILES.exists(), reason="the system does not tell which files are open")
def test_nothing_but_the_results_is_written(tmp_path: Path) -> None:
    people = TrackedPoses(standing(20), np.arange(20))
    clip = ClipInfo(name="walk", skeleton=COCO_17, fps=30, width=640, height=480)
    before = unnamed_files()
    with ExitStack() as files:
        opened = [files.enter_context(open_writer(name, tmp_path, clip)) for name in WRITERS]
        for index in range(100):
            for writer in opened:
                writer.add(TrackedFrame(index, index / 30, f"{index:06d}.jpg", people))
        assert unnamed_files() <= before
        assert {path.name for path in tmp_path.iterdir()} == {f".{kind.file_name}.part" for kind in WRITERS.values()}
