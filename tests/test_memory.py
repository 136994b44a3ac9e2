"""Memory: what an hour may not gather, asked of a few hundred frames."""

from __future__ import annotations

import re
import tracemalloc
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from core.people import Poses, TrackedPoses
from core.skeletons import COCO_17
from tracker import writers
from tracker.pieces import PieceRecorder
from tracker.pose_log import Carried, SeenFrame
from tracker.settings import FollowSettings
from tracker.smoothing import OneEuro
from tracker.steady import steady_live
from tracker.writers import Clip, TrackedFrame, open_writer

from .worlds import STANDING

STATUS = Path("/proc/self/status")


def standing(num_people: int = 1) -> Poses:
    """People side by side, each 40 x 100 pixels."""
    corners = np.column_stack([50 * np.arange(num_people), np.full(num_people, 20)])
    size = np.array([40, 100])
    keypoints = corners[:, None] + STANDING * size
    scores = np.full(keypoints.shape[:2], 0.8)
    return Poses(keypoints, scores, np.hstack([corners, corners + size]), scores[:, 0], scores[:, 0] == 0)


def seen(index: int, poses: Poses) -> SeenFrame:
    return SeenFrame(index, index / 30, f"{index:06d}.jpg", poses, Carried.empty(17))


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


def test_pieces_are_kept_flat() -> None:
    def record(num_pieces: int) -> None:
        recorder = PieceRecorder(match_joint_score=0.1)
        for i in range(num_pieces):
            recorder.add(seen(i, standing()), np.array([i + 1]), np.array([i + 1]), np.ones(1))
        assert len(recorder.pieces()) == num_pieces

    assert grown(record, 100, 500) < 3500  # twice its 1360 while they are put in order


def test_the_filters_of_people_who_are_long_gone_are_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    filters = weakref.WeakSet[OneEuro]()

    def counted() -> OneEuro:
        filters.add(one := OneEuro())
        return one

    monkeypatch.setattr("tracker.steady.OneEuro", counted)
    poses = standing()
    people = ((seen(i, poses), TrackedPoses(poses, [i + 1])) for i in range(100))  # somebody new in each frame
    alive = [len(filters) for _ in steady_live(people, FollowSettings(offline=False, smooth="one_euro"))]
    assert max(alive) == 16  # half a second's


@pytest.mark.skipif(not STATUS.exists(), reason="the system does not tell how much of a file is in memory")
@pytest.mark.parametrize("name", ["posetrack18", "posetrack17"])
def test_records_that_were_written_out_leave_memory(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of_files = []

    def watched(lines: Callable[..., Iterator[bytes]]) -> Callable[..., Iterator[bytes]]:
        def write(*arguments: object) -> Iterator[bytes]:
            for line in lines(*arguments):
                of_files.append(_mapped_kb() if len(of_files) % 100 == 0 else of_files[-1])
                yield line

        return write

    monkeypatch.setattr(writers, "_LINES_AT_A_TIME", 100)
    monkeypatch.setattr(writers, "lines_2017", watched(writers.lines_2017))
    monkeypatch.setattr(writers, "lines_2018", watched(writers.lines_2018))
    people = TrackedPoses(standing(20), np.arange(20))
    with open_writer(name, tmp_path, Clip(name="walk", skeleton=COCO_17, fps=30, width=640, height=480)) as writer:
        for index in range(400):
            writer.add(TrackedFrame(index, index / 30, f"{index:06d}.jpg", people))
    assert max(of_files) - of_files[0] < 1500  # kilobytes; all records are 3100


def _mapped_kb() -> int:
    """How much of the files that this process has mapped is in memory."""
    return sum(map(int, re.findall(r"Rss(?:File|Shmem):\s*(\d+)", STATUS.read_text())))
