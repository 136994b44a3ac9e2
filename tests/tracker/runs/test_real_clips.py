"""Real videos, the real networks: people keep their ids. Every second frame, to save time."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from posetrail.poses import TrackedPoses
from posetrail.similarity import box_area, oks
from posetrail.skeletons import COCO_17
from tracker.runs.track import track


def tracked_people(clip: Path, **options: float) -> list[tuple[float, TrackedPoses]]:
    if not clip.is_file():
        pytest.skip(f"{clip.name} is not here")
    return [(frame.time_s, frame.people) for frame in track(clip, stride=2, **options)]  # type: ignore[arg-type]


def centres(people: TrackedPoses) -> np.ndarray:
    boxes = people.poses.boxes
    return (boxes[:, :2] + boxes[:, 2:]) / 2


def test_two_people_and_one_behind_keep_their_ids_through_the_occlusion(example_clip: Path) -> None:
    """The man (starts at the left, steps behind the woman at the right), the woman, and a third person by the table."""
    frames = tracked_people(example_clip)
    frames_of_id = Counter(int(i) for _, people in frames for i in people.track_ids)
    assert set(frames_of_id) == {1, 2, 3}
    assert min(frames_of_id.values()) >= 48
    _, first = frames[0]
    woman, man = first.track_ids[np.argsort(-first.poses.boxes[:, 3])[:2]]
    for _, people in frames:
        x = dict(zip(people.track_ids.tolist(), centres(people)[:, 0], strict=True))
        y = dict(zip(people.track_ids.tolist(), people.poses.boxes[:, 3], strict=True))
        if man in x and woman in x:
            assert y[man] < y[woman]  # she stands nearer to the camera, throughout


def test_the_walker_keeps_one_id_from_the_tree_to_the_edge(shared: Path) -> None:
    frames = tracked_people(shared / "data" / "clips" / "sports2d_demo.mp4", start_s=1.0)
    walkers: Counter[int] = Counter()
    for time_s, people in frames:
        middle = centres(people)
        low = (middle[:, 1] > 650) & (time_s < 6)  # the acrobat stands on the roof until he jumps
        walkers.update(people.track_ids[low].tolist())
    assert len(walkers) == 1
    assert walkers.total() >= 60


def test_a_person_behind_another_has_joints_of_their_own(shared: Path) -> None:
    """Without second estimates, the athlete has joints of the woman in front of him, or no pose, in most frames."""
    frames = tracked_people(shared / "data" / "clips" / "pose2sim_cam03.mp4", start_s=0.9)
    assert len(frames) == 23
    for _, people in frames:
        poses = people.poses[np.sort(np.argsort(box_area(people.poses.boxes))[-2:])]
        assert len(poses) == 2
        same = oks(
            poses.keypoints[:1], poses.keypoints[1:], box_area(poses.boxes).min(keepdims=True), COCO_17.oks_sigmas
        )
        assert same[0, 0] < 0.35
