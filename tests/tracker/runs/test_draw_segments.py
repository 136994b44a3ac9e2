"""A video drawn by several processes shows what one drawn in one piece shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from posetrail.errors import InputError
from posetrail.poses import Poses, TrackedPoses
from posetrail.skeletons import COCO_17
from tests.media import numbered_image, numbers, write_video
from tests.worlds import STANDING
from tracker.frames import TrackedFrame
from tracker.io.video import Source, open_source
from tracker.io.video_writer import VideoWriter, join_videos
from tracker.runs.draw import draw_run
from tracker.runs.draw_segments import _segments, draw_in_segments
from tracker.runs.draw_tracks import draw_tracks

COUNT = 50


def walker(index: int, time_s: float) -> TrackedFrame:
    """A person who walks to the right."""
    box = np.array([[10 + 3 * index, 20, 40 + 3 * index, 110]], float)
    keypoints = box[:, None, :2] + STANDING * (box[:, None, 2:] - box[:, None, :2])
    poses = Poses(keypoints, np.ones((1, 17)), box, np.ones(1), np.zeros(1))
    return TrackedFrame(index, time_s, "", TrackedPoses(poses, np.array([1]), np.zeros(1)))


def tracked(source: Source, stride: int = 1) -> list[TrackedFrame]:
    times = source.frame_index
    return [walker(index, times.time_s(index)) for index in range(12, COUNT, stride)]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    images = [numbered_image(number, 2) for number in range(COUNT)]
    ticks = [33 * n + 200 * (n > 30) for n in range(COUNT)]
    return write_video(tmp_path_factory.mktemp("clip") / "clip.mp4", images, ticks=ticks, options={"g": "10"})


@pytest.mark.parametrize("stride", [1, 3])
def test_segments_show_what_one_piece_shows(tmp_path: Path, clip: Path, stride: int) -> None:
    source = open_source(clip, stride=stride)
    frames = tracked(source, stride)
    one = VideoWriter(tmp_path / "one.mp4", source.width, source.height, source.fps)
    assert draw_tracks(lambda: iter(frames), COCO_17, source, one, lambda _: None, lambda: False) == "whole"
    people: list[int] = []
    drawn, notes = draw_in_segments(
        lambda: iter(frames), COCO_17, source, tmp_path / "many.mp4", 2, people.append, lambda: False, segment_frames=7
    )
    assert (drawn, notes, people) == ("whole", (), [1] * len(frames))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["many.mp4", "one.mp4"]
    a, b = (list(open_source(tmp_path / name).frames()) for name in ("one.mp4", "many.mp4"))
    assert [frame.time_s for frame in b] == [frame.time_s for frame in a]
    assert len(b) == len(frames)
    if stride == 1:
        points = open_source(tmp_path / "many.mp4").frame_index.seek_points[:, 0]
        assert points.tolist() == list(range(0, len(b), 7))
    for x, y in zip(a, b, strict=True):
        difference = np.abs(x.image.astype(int) - y.image)
        assert difference.mean() < 3
        assert (difference.max(axis=2) > 100).mean() < 0.005


def test_an_end_on_request_leaves_a_whole_beginning(tmp_path: Path, clip: Path) -> None:
    source = open_source(clip)
    frames = tracked(source)
    drawn, _ = draw_in_segments(
        lambda: iter(frames), COCO_17, source, tmp_path / "v.mp4", 1, lambda _: None, lambda: True, segment_frames=10
    )
    assert drawn == "part"
    assert len(list(open_source(tmp_path / "v.mp4").frames())) == 10


def test_a_segment_begins_with_the_second_before_it() -> None:
    frames = [walker(n, n / 10) for n in range(30)]
    segments = list(_segments(frames, 12))
    assert [[frame.index for frame in segment.frames] for segment in segments] == [
        list(range(12)), list(range(12, 24)), list(range(24, 30))
    ]  # fmt: skip
    assert [segment.lead[0].index if segment.lead else None for segment in segments] == [None, 2, 14]
    assert all(segment.lead[-1].index + 1 == segment.frames[0].index for segment in segments[1:])


def test_frames_of_the_same_time_and_what_follows_a_long_gap_are_not_cut_apart() -> None:
    still = [walker(n, max(n, 5) / 10) for n in range(10)]
    assert [len(segment.frames) for segment in _segments(still, 3)] == [6, 3, 1]
    gap = [walker(n, n + 5000 * (n > 4)) for n in range(10)]
    assert [len(segment.frames) for segment in _segments(gap, 3)] == [3, 7]


def test_videos_are_joined_without_encoding_them_again(tmp_path: Path) -> None:
    for part in range(3):
        with VideoWriter(tmp_path / f"{part}.mp4", 128, 64, 30) as video:
            for n in range(5 * part, 5 * part + 5):
                video.add(numbered_image(n), n / 30)
    join_videos([tmp_path / f"{part}.mp4" for part in range(3)], tmp_path / "joined.mp4")
    parts = [list(open_source(tmp_path / f"{part}.mp4").frames()) for part in range(3)]
    joined = list(open_source(tmp_path / "joined.mp4").frames())
    assert numbers(joined) == list(range(15))
    assert [frame.time_s for frame in joined] == pytest.approx([n / 30 for n in range(15)], abs=1e-5)
    for frame, before in zip(joined, [frame for part in parts for frame in part], strict=True):
        assert (frame.image == before.image).all()
    assert open_source(tmp_path / "joined.mp4").notes == ()


def test_no_jobs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="jobs: expected 1 or more, got 0"):
        draw_run(tmp_path, jobs=0)
