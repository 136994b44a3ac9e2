"""Interpolation of short gaps in tracks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tests.pose_frames import missed_in, pose_frames, tracked_offline
from tests.worlds import Walker, World, line

FPS = 30
STROLL = line((20, 60), (120, 0))


def test_a_short_gap_is_interpolated_along_a_straight_line() -> None:
    world = World((Walker(STROLL, missed=missed_in((30, 40))),), num_frames=60)
    people = tracked_offline(pose_frames(world))
    assert [frame.track_ids.tolist() for frame in people] == [[1]] * 60
    assert [frame.interpolated.tolist() for frame in people] == [[30 <= t < 40] for t in range(60)]
    for t in range(30, 40):
        walker, poses = world.walkers[0], people[t].poses
        assert np.allclose(poses.keypoints[0], walker.keypoints(t / FPS), atol=1e-2)
        assert np.allclose(poses.boxes[0], walker.box(t / FPS), atol=1e-2)
        assert (poses.keypoint_scores < 0.8).all()
        assert (poses.scores < 0.9).all()


def test_a_gap_longer_than_the_limit_is_not_interpolated() -> None:
    world = World((Walker(STROLL, missed=missed_in((30, 45))),), num_frames=60)
    assert [len(frame) for frame in tracked_offline(pose_frames(world))] == [1] * 30 + [0] * 15 + [1] * 15
    assert [len(frame) for frame in tracked_offline(pose_frames(world), max_interpolation_gap_s=0.6)] == [1] * 60
    assert [len(frame) for frame in tracked_offline(pose_frames(world), max_interpolation_gap_s=0)] == [1] * 30 + [
        0
    ] * 15 + [1] * 15


def test_no_pose_is_interpolated_where_another_person_hides_it() -> None:
    pillar = Walker(line((90, 20), (0, 0)), size=(150, 300))
    walker = Walker(STROLL, missed=missed_in((20, 30), (60, 70)))
    world = World((walker, pillar), num_frames=90)
    people = tracked_offline(pose_frames(world))
    assert [sum(p.interpolated) for p in people[20:30]] == [0] * 10
    assert [sum(p.interpolated) for p in people[60:70]] == [1] * 10


def test_a_joint_is_interpolated_only_between_two_poses_that_have_it() -> None:
    world = World((Walker(STROLL, missed=missed_in((30, 34))),), num_frames=60)
    frames = pose_frames(world)
    scores = frames[29].poses.keypoint_scores.copy()
    scores[:, 9] = 0
    keypoints = np.where(scores[..., None] > 0, frames[29].poses.keypoints, np.nan)
    frames[29] = replace(frames[29], poses=replace(frames[29].poses, keypoints=keypoints, keypoint_scores=scores))
    people = tracked_offline(frames)[31]
    assert people.interpolated.tolist() == [True]
    assert np.flatnonzero(np.isnan(people.poses.keypoints[0, :, 0])).tolist() == [9]
    assert people.poses.keypoint_scores[0, 9] == 0


def test_interpolated_poses_move_with_the_camera() -> None:
    """A person stands still while the camera jolts up and down during the gap."""
    jolt = 40 * np.sin(np.arange(60))
    walker = Walker(line((200, 100), (0, 0)), missed=missed_in((30, 40)))
    frames = pose_frames(World((walker,), 60))
    for t, frame in enumerate(frames):
        poses = replace(
            frame.poses,
            keypoints=frame.poses.keypoints + np.array([0, jolt[t]]),
            boxes=frame.poses.boxes + np.array([0, jolt[t], 0, jolt[t]]),
        )
        camera = np.array([[1, 0, 0], [0, 1, jolt[t] - jolt[t - 1] if t else 0]])
        frames[t] = replace(frame, poses=poses, camera_motion=camera)
    people = tracked_offline(frames)
    for t in range(60):
        assert people[t].track_ids.tolist() == [1]
        assert np.allclose(people[t].poses.keypoints[0], walker.keypoints(0) + np.array([0, jolt[t]]), atol=1e-2)
