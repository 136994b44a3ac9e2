"""Ids in invented worlds: one person, one id; then everything that once made two of them."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.people import Poses
from core.skeletons import COCO_17
from tracker.pose_log import Carried, SeenFrame
from tracker.settings import PRESETS, Assignment, FollowSettings, Similarity
from tracker.tracker import Tracker, follow

from .worlds import Walker, World, line


def seen(world: World, shuffle: int | None = None, stride: int = 1) -> list[SeenFrame]:
    """The world as a perfect see stage without flow would log it, people in any order."""
    random = np.random.default_rng(shuffle)
    frames = []
    for index in range(0, world.num_frames, stride):
        time_s = index / world.fps
        there = [w for w in world.walkers if not w.missed(index)]
        keypoints = np.array([w.keypoints(time_s) for w in there]).reshape(-1, 17, 2)
        boxes = np.array([w.box(time_s) for w in there]).reshape(-1, 4)
        scores = np.array([w.box_score(index) for w in there])
        poses = Poses(keypoints, np.full(keypoints.shape[:2], 0.8), boxes, scores, np.zeros(len(there)))
        if shuffle is not None:
            poses = poses[random.permutation(len(poses))]
        frames.append(SeenFrame(index, time_s, f"{index:06d}.jpg", poses, Carried.empty(17)))
    return frames


def who(world: World, frames: list[SeenFrame], settings: FollowSettings) -> list[dict[int, int]]:
    """For every frame, walker -> id."""
    followed = []
    for frame, people in follow(frames, settings, COCO_17):
        walkers = [world.walker_at(frame.index, box) for box in people.poses.boxes]
        followed.append(dict(zip(walkers, people.track_ids.tolist(), strict=True)))
    return followed


DEFAULT = FollowSettings()
CROSSING = World(
    (Walker(line((20, 60), (120, 0))), Walker(line((500, 75), (-120, 0))), Walker(line((300, 10), (0, 60)))),
    num_frames=90,
)


@pytest.mark.parametrize("similarity", get_args(Similarity))
@pytest.mark.parametrize("assignment", get_args(Assignment))
def test_one_person_on_a_straight_line_has_one_id(similarity: Similarity, assignment: Assignment) -> None:
    world = World((Walker(line((20, 60), (120, 0))),), num_frames=60)
    ids = who(world, seen(world), FollowSettings(similarity=similarity, assignment=assignment))
    assert ids == [{0: 1}] * 60


def test_people_who_cross_keep_their_ids() -> None:
    ids = who(CROSSING, seen(CROSSING), DEFAULT)
    assert all(frame == ids[0] for frame in ids)


def test_the_order_of_people_in_a_frame_changes_no_id_that_is_seen() -> None:
    expected = who(CROSSING, seen(CROSSING), DEFAULT)
    for seed in range(5):
        got = who(CROSSING, seen(CROSSING, shuffle=seed), DEFAULT)
        names = {got[0][walker]: expected[0][walker] for walker in got[0]}  # ids of the first frame go by rows
        assert [{walker: names[i] for walker, i in frame.items()} for frame in got] == expected


def test_half_the_frame_rate_keeps_who_is_who() -> None:
    assert who(CROSSING, seen(CROSSING, stride=2), DEFAULT) == who(CROSSING, seen(CROSSING), DEFAULT)[::2]


@pytest.mark.parametrize("missing_frames", [1, 5, 20, 45])
def test_somebody_unseen_for_a_while_comes_back_as_themselves(missing_frames: int) -> None:
    walker = Walker(line((20, 60), (120, 0)), missed=lambda f: 30 <= f < 30 + missing_frames)
    other = Walker(line((600, 200), (-60, 0)))
    world = World((walker, other), num_frames=100)
    ids = who(world, seen(world), DEFAULT)
    assert {frame[0] for frame in ids if 0 in frame} == {1}
    assert {frame[1] for frame in ids} == {2}


def test_somebody_unseen_for_longer_than_the_memory_is_somebody_new() -> None:
    world = World((Walker(line((20, 60), (0, 0)), missed=lambda f: 30 <= f < 70),), num_frames=90)
    ids = who(world, seen(world), FollowSettings(memory_s=1.0))
    assert {i for frame in ids for i in frame.values()} == {1, 2}
    ids = who(world, seen(world), FollowSettings(memory_s=1.5))
    assert {i for frame in ids for i in frame.values()} == {1}


def test_a_low_score_continues_a_person_but_starts_nobody() -> None:
    fading = Walker(line((20, 60), (60, 0)), box_score=lambda f: 0.9 if f < 10 else 0.1)
    faint = Walker(line((400, 60), (0, 0)), box_score=lambda _: 0.1)
    world = World((fading, faint), num_frames=30)
    assert who(world, seen(world), DEFAULT) == [{0: 1}] * 30


def test_a_newcomer_is_confirmed_before_they_get_an_id() -> None:
    late = Walker(line((400, 60), (0, 0)), missed=lambda f: f < 10)
    flicker = Walker(line((200, 200), (0, 0)), missed=lambda f: f != 15)
    world = World((Walker(line((20, 60), (0, 0))), late, flicker), num_frames=30)
    ids = who(world, seen(world), FollowSettings(confirm_s=0.1))
    assert [1 in frame for frame in ids] == [False] * 13 + [True] * 17
    assert not any(2 in frame for frame in ids)
    assert {i for frame in ids for i in frame.values()} == {1, 2}


def test_a_second_pose_of_somebody_starts_nobody() -> None:
    world = World(
        (Walker(line((20, 60), (0, 0))), Walker(line((26, 64), (0, 0)), missed=lambda f: f < 3)), num_frames=30
    )
    assert who(world, seen(world), DEFAULT) == [{0: 1}] * 30


def test_a_carried_pose_continues_but_starts_nobody() -> None:
    world = World((Walker(line((20, 60), (0, 0))),), num_frames=10)
    carried = [True] * 3 + [False] + [True] * 6
    frames = [replace(f, poses=replace(f.poses, carried=[c])) for f, c in zip(seen(world), carried, strict=True)]
    assert who(world, frames, FollowSettings(confirm_s=0)) == [{}] * 3 + [{0: 1}] * 7


def test_people_without_a_sure_joint_are_followed_by_their_boxes() -> None:
    nowhere = np.full((17, 2), np.nan)
    frames = [replace(f, poses=replace(f.poses, keypoints=[nowhere] * len(f.poses))) for f in seen(CROSSING)]
    ids = who(CROSSING, frames[:40], DEFAULT)
    assert all(frame == ids[0] for frame in ids)


def test_flow_is_believed_where_it_carried_somebody() -> None:
    """Somebody jumps farther than any reach between two frames, but flow saw where to."""
    world = World((Walker(lambda t: (20 if t < 1 else 400, 60)),), num_frames=60)
    frames = seen(world)
    assert {i for frame in who(world, frames, DEFAULT) for i in frame.values()} == {1, 2}
    for before, now in pairwise(frames):
        flown = Carried([before.index], [0], now.poses.keypoints)
        frames[now.index] = replace(now, carried=flown)
    assert who(world, frames, DEFAULT) == [{0: 1}] * 60


def test_the_flow_queue_bridges_frames_that_missed_somebody() -> None:
    world = World((Walker(line((20, 60), (0, 0)), missed=lambda f: 5 <= f < 8),), num_frames=20)
    frames = seen(world)
    frames[8] = replace(frames[8], carried=Carried([4], [0], frames[8].poses.keypoints))
    preset = PRESETS["simple-baselines"].follow
    for queue_frames, expected in ((1, {1, 2}), (4, {1})):
        followed = follow(frames, preset, COCO_17, queue_frames=queue_frames)
        assert {int(i) for _, people in followed for i in people.track_ids} == expected


def test_joints_below_the_threshold_are_left_out_of_the_tracks() -> None:
    frame = seen(CROSSING)[0]
    scores = np.linspace(0, 1, 17)
    frame = replace(frame, poses=replace(frame.poses, keypoint_scores=[scores] * 3, scores=np.ones(3)))
    people = Tracker(FollowSettings(keep_joint_score=0.5), COCO_17).update_seen(frame)
    assert (np.isnan(people.poses.keypoints[0, :, 0]) == (scores < 0.5)).all()
    assert (people.poses.keypoint_scores[0] == np.where(scores < 0.5, 0, scores.astype(np.float32))).all()


def test_frames_out_of_order_are_refused() -> None:
    frames = seen(CROSSING)
    tracker = Tracker(DEFAULT, COCO_17)
    tracker.update_seen(frames[5])
    with pytest.raises(ValueError, match="in order"):
        tracker.update_seen(frames[4])


def test_two_trackers_in_one_program_do_not_know_of_each_other() -> None:
    one, other = Tracker(DEFAULT, COCO_17), Tracker(DEFAULT, COCO_17)
    frame = seen(CROSSING)[0]
    assert one.update_seen(frame).track_ids.tolist() == other.update_seen(frame).track_ids.tolist() == [1, 2, 3]


poses_at_random = st.builds(
    lambda seed, n: (np.random.default_rng(seed), n), st.integers(0, 2**32 - 1), st.integers(0, 12)
)


@settings(max_examples=40, deadline=None)
@given(st.lists(poses_at_random, max_size=6), st.sampled_from(sorted(PRESETS)), st.sampled_from(get_args(Similarity)))
def test_whatever_comes_no_id_stands_twice_in_a_frame(
    crowd: list[tuple[np.random.Generator, int]], preset: str, similarity: Similarity
) -> None:
    base = PRESETS[preset].follow
    tracker = Tracker(FollowSettings(**{**vars(base), "similarity": similarity}), COCO_17)
    for index, (random, n) in enumerate(crowd):
        keypoints = random.uniform(-50, 400, (n, 17, 2))
        keypoints[random.random((n, 17)) < 0.3] = np.nan
        boxes = np.sort(random.uniform(0, 400, (n, 2, 2)), axis=1).reshape(n, 4)
        poses = Poses(keypoints, random.random((n, 17)), boxes, random.random(n), random.random(n) < 0.2)
        people = tracker.update(poses, index / 10)  # checks uniqueness
        assert (people.track_ids > 0).all()
