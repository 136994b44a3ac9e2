"""Tracked poses of a clip in flat arrays."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest

from posetrail.poses import Poses, TrackedPoses
from tracker.frames import TrackedFrame
from tracker.tracked_clip import tracked_clip


def frame(index: int, *ids: int) -> TrackedFrame:
    n = len(ids)
    keypoints = index + np.arange(n * 17 * 2, dtype=float).reshape(n, 17, 2)
    poses = Poses(keypoints, np.ones((n, 17)), np.zeros((n, 4)), np.ones(n), np.zeros(n))
    people = TrackedPoses(poses, ids, pose_rows=np.arange(n)[::-1])
    return TrackedFrame(index, index / 25, f"{index}.jpg", people)


def test_frames_come_back_as_they_were_gathered() -> None:
    given = [frame(4, 1, 2), frame(6), frame(8, 2, 3, 7)]
    clip = tracked_clip(iter(given), 17)
    assert len(clip) == 3
    assert clip.positions.tolist() == [0, 0, 2, 2, 2]
    for before, after in zip(given, clip.frames(), strict=True):
        assert (before.index, before.time_s, before.name) == (after.index, after.time_s, after.name)
        assert before.people.track_ids.tolist() == after.people.track_ids.tolist()
        assert before.people.pose_rows.tolist() == after.people.pose_rows.tolist()
        np.testing.assert_array_equal(before.people.poses.keypoints, after.people.poses.keypoints)


def test_a_clip_may_have_no_frames_and_no_people() -> None:
    assert len(tracked_clip([], 17)) == 0
    assert len(tracked_clip([frame(0)], 17).poses) == 0


@pytest.mark.parametrize("names", [{}, {1: "Ada"}])
def test_frames_and_clips_can_be_sent_to_another_process(names: dict[int, str]) -> None:
    clip = tracked_clip([frame(0, 1)], 17)
    clip = replace(clip, names=names) if names else clip
    assert pickle.loads(pickle.dumps(frame(0, 1))).people.track_ids.tolist() == [1]
    for each in pickle.loads(pickle.dumps([clip, *clip.frames()])):
        assert each.names == names


def test_rows_that_do_not_divide_the_poses_are_refused() -> None:
    clip = tracked_clip([frame(0, 1), frame(1, 1)], 17)
    with pytest.raises(ValueError, match="begins: expected 3 ascending rows from 0 to 2"):
        replace(clip, begins=np.array([0, 1, 3]))
