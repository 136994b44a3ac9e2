"""Online association in synthetic worlds: ids through crossings, gaps, camera motion and duplicates."""

from __future__ import annotations

import doctest
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posetrail.poses import Poses
from posetrail.skeletons import COCO_17
from tests.pose_frames import CROSSING, ids_of_walkers, pose_frames
from tests.worlds import Walker, World, line
from tracker.association.follow import follow
from tracker.association.tracker import Tracker, associate_online
from tracker.frames import PoseFrame, PropagatedPoses
from tracker.settings import PRESETS, Assignment, AssociationSettings, Similarity


def ids_online(world: World, frames: list[PoseFrame], settings: AssociationSettings) -> list[dict[int, int]]:
    """For every frame, row of the walker -> track id, associated online."""
    tracked = ((frame.index, each) for frame, each in associate_online(frames, settings, COCO_17))
    return ids_of_walkers(world, tracked)


DEFAULT = AssociationSettings()


@pytest.mark.parametrize("similarity", get_args(Similarity))
@pytest.mark.parametrize("assignment", get_args(Assignment))
def test_one_person_on_a_straight_line_has_one_id(similarity: Similarity, assignment: Assignment) -> None:
    world = World((Walker(line((20, 60), (120, 0))),), num_frames=60)
    ids = ids_online(world, pose_frames(world), AssociationSettings(similarity=similarity, assignment=assignment))
    assert ids == [{0: 1}] * 60


def test_people_who_cross_keep_their_ids() -> None:
    ids = ids_online(CROSSING, pose_frames(CROSSING), DEFAULT)
    assert all(frame == ids[0] for frame in ids)


def test_the_order_of_people_in_a_frame_changes_only_the_numbering() -> None:
    expected = ids_online(CROSSING, pose_frames(CROSSING), DEFAULT)
    for seed in range(5):
        got = ids_online(CROSSING, pose_frames(CROSSING, shuffle=seed), DEFAULT)
        names = {got[0][walker]: expected[0][walker] for walker in got[0]}  # ids of the first frame go by rows
        assert [{walker: names[i] for walker, i in frame.items()} for frame in got] == expected


def test_half_the_frame_rate_gives_the_same_ids() -> None:
    assert (
        ids_online(CROSSING, pose_frames(CROSSING, stride=2), DEFAULT)
        == ids_online(CROSSING, pose_frames(CROSSING), DEFAULT)[::2]
    )


@pytest.mark.parametrize("missing_frames", [1, 5, 20, 45])
def test_a_person_keeps_the_id_across_a_gap(missing_frames: int) -> None:
    walker = Walker(line((20, 60), (120, 0)), missed=lambda f: 30 <= f < 30 + missing_frames)
    other = Walker(line((600, 200), (-60, 0)))
    world = World((walker, other), num_frames=100)
    ids = ids_online(world, pose_frames(world), DEFAULT)
    assert {frame[0] for frame in ids if 0 in frame} == {1}
    assert {frame[1] for frame in ids} == {2}


def test_a_gap_longer_than_the_track_buffer_starts_a_new_track() -> None:
    world = World((Walker(line((20, 60), (0, 0)), missed=lambda f: 30 <= f < 70),), num_frames=90)
    ids = ids_online(world, pose_frames(world), AssociationSettings(track_buffer_s=1.0))
    assert {i for frame in ids for i in frame.values()} == {1, 2}
    ids = ids_online(world, pose_frames(world), AssociationSettings(track_buffer_s=1.5))
    assert {i for frame in ids for i in frame.values()} == {1}


def test_a_low_score_continues_a_track_but_starts_none() -> None:
    fading = Walker(line((20, 60), (60, 0)), box_score=lambda f: 0.9 if f < 10 else 0.1)
    faint = Walker(line((400, 60), (0, 0)), box_score=lambda _: 0.1)
    world = World((fading, faint), num_frames=30)
    assert ids_online(world, pose_frames(world), DEFAULT) == [{0: 1}] * 30


def test_a_track_gets_its_id_when_its_poses_are_evidence_enough() -> None:
    late = Walker(line((400, 60), (0, 0)), missed=lambda f: f < 10)
    flicker = Walker(line((200, 200), (0, 0)), missed=lambda f: f != 15)
    world = World((Walker(line((20, 60), (0, 0))), late, flicker), num_frames=30)
    frames = pose_frames(world)
    settings = AssociationSettings(calibrate_scores=False)
    of_one_pose = float(frames[0].poses.quality[0]) - 0.66 * settings.new_track_score
    ids = ids_online(world, frames, replace(settings, confirmation_evidence=3.5 * of_one_pose))
    assert [0 in frame for frame in ids] == [False] * 3 + [True] * 27
    assert [1 in frame for frame in ids] == [False] * 13 + [True] * 17
    assert not any(2 in frame for frame in ids)
    assert {i for frame in ids for i in frame.values()} == {1, 2}


def test_a_person_seen_clearly_gets_the_id_in_the_first_frame_a_doubtful_one_later() -> None:
    clear = Walker(line((20, 60), (0, 0)), missed=lambda f: f < 5)
    doubtful = Walker(line((400, 60), (0, 0)), missed=lambda f: f < 5, box_score=lambda _: 0.25)
    world = World((clear, doubtful), num_frames=20)
    ids = ids_online(world, pose_frames(world), AssociationSettings(calibrate_scores=False))
    assert [0 in frame for frame in ids] == [False] * 5 + [True] * 15
    first = [1 in frame for frame in ids].index(True)
    assert 5 < first < 15


def test_a_duplicate_pose_starts_no_track() -> None:
    world = World(
        (Walker(line((20, 60), (0, 0))), Walker(line((26, 64), (0, 0)), missed=lambda f: f < 3)), num_frames=30
    )
    assert ids_online(world, pose_frames(world), DEFAULT) == [{0: 1}] * 30


def test_a_propagated_pose_continues_a_track_but_starts_none() -> None:
    world = World((Walker(line((20, 60), (0, 0))),), num_frames=10)
    propagated = [True] * 3 + [False] + [True] * 6
    frames = [
        replace(f, poses=replace(f.poses, propagated=[c])) for f, c in zip(pose_frames(world), propagated, strict=True)
    ]
    assert ids_online(world, frames, AssociationSettings(confirmation_evidence=0)) == [{}] * 3 + [{0: 1}] * 7


def test_people_without_joints_are_tracked_by_their_boxes() -> None:
    nowhere = np.full((17, 2), np.nan)
    frames = [replace(f, poses=replace(f.poses, keypoints=[nowhere] * len(f.poses))) for f in pose_frames(CROSSING)]
    ids = ids_online(CROSSING, frames[:40], DEFAULT)
    assert all(frame == ids[0] for frame in ids)


def test_optical_flow_overrides_the_motion_model() -> None:
    """A person jumps farther than the gate between two frames, but optical flow propagated the pose."""
    world = World((Walker(lambda t: (20 if t < 1 else 400, 60)),), num_frames=60)
    frames = pose_frames(world)
    assert {i for frame in ids_online(world, frames, DEFAULT) for i in frame.values()} == {1, 2}
    for before, now in pairwise(frames):
        flown = PropagatedPoses([before.index], [0], now.poses.keypoints)
        frames[now.index] = replace(now, propagated=flown)
    assert ids_online(world, frames, DEFAULT) == [{0: 1}] * 60


def test_the_queue_of_propagated_poses_bridges_missed_frames() -> None:
    world = World((Walker(line((20, 60), (0, 0)), missed=lambda f: 5 <= f < 8),), num_frames=20)
    frames = pose_frames(world)
    frames[8] = replace(frames[8], propagated=PropagatedPoses([4], [0], frames[8].poses.keypoints))
    preset = PRESETS["simple-baselines"].association
    for queue_frames, expected in ((1, {1, 2}), (4, {1})):
        followed = associate_online(frames, preset, COCO_17, queue_frames=queue_frames)
        assert {int(i) for _, people in followed for i in people.track_ids} == expected


def test_joints_below_the_output_score_are_missing_in_the_tracks() -> None:
    frame = pose_frames(CROSSING)[0]
    scores = np.linspace(0, 1, 17)
    frame = replace(frame, poses=replace(frame.poses, keypoint_scores=[scores] * 3, scores=np.ones(3)))
    people = Tracker(AssociationSettings(min_output_joint_score=0.5), COCO_17).update_frame(frame)
    assert (np.isnan(people.poses.keypoints[0, :, 0]) == (scores < 0.5)).all()
    assert (people.poses.keypoint_scores[0] == np.where(scores < 0.5, 0, scores.astype(np.float32))).all()


def test_frames_out_of_order_are_refused() -> None:
    frames = pose_frames(CROSSING)
    tracker = Tracker(DEFAULT, COCO_17)
    tracker.update_frame(frames[5])
    with pytest.raises(ValueError, match="in order"):
        tracker.update_frame(frames[4])


def test_two_trackers_are_independent() -> None:
    one, other = Tracker(DEFAULT, COCO_17), Tracker(DEFAULT, COCO_17)
    frame = pose_frames(CROSSING)[0]
    assert one.update_frame(frame).track_ids.tolist() == other.update_frame(frame).track_ids.tolist() == [1, 2, 3]


def moved(frame: PoseFrame, shift: tuple[float, float], scale: float) -> PoseFrame:
    """The same people in a shifted and scaled image."""
    poses = frame.poses
    placed = replace(poses, keypoints=poses.keypoints * scale + shift, boxes=poses.boxes * scale + np.tile(shift, 2))
    return replace(frame, poses=placed)


def through_camera(
    world: World, camera: Callable[[float], tuple[float, float, float]], *, known: bool
) -> list[PoseFrame]:
    """The world through a moving camera; `camera` gives its shift x, y in pixels and its zoom at a time in seconds."""
    frames, before = [], None
    for frame in pose_frames(world):
        x, y, zoom = camera(frame.time_s)
        now = np.array([[zoom, 0, x], [0, zoom, y]])
        turn = np.eye(2, 3)
        if before is not None and known:
            ratio = zoom / before[2]
            turn = np.array([[ratio, 0, x - ratio * before[0]], [0, ratio, y - ratio * before[1]]])
        frames.append(replace(moved(frame, (now[0, 2], now[1, 2]), zoom), camera_motion=turn))
        before = (x, y, zoom)
    return frames


CAMERAS = {
    "panning": lambda t: (-150 * t, 20 * t, 1.0),
    "zooming": lambda t: (-160 * (0.3 * t), -90 * (0.3 * t), 1 + 0.3 * t),
    "shaking": lambda t: (12 * np.sin(40 * t), 9 * np.cos(31 * t), 1.0),
}


@pytest.mark.parametrize("name", CAMERAS)
def test_people_keep_their_ids_when_the_camera_moves(name: str) -> None:
    """A person hidden for half a second is expected where the camera's motion leads."""
    hidden = Walker(line((300, 160), (30, 0)), missed=lambda f: 40 <= f < 55)
    world = World((hidden, *CROSSING.walkers), num_frames=80)
    frames = through_camera(world, CAMERAS[name], known=True)
    truth = [len(frame.poses) for frame in frames]
    tracker = Tracker(DEFAULT, COCO_17)
    ids = [set(tracker.update_frame(frame).track_ids.tolist()) for frame in frames]
    assert [len(each) for each in ids] == truth
    assert set.union(*ids) == {1, 2, 3, 4}


def test_common_motion_replaces_an_unknown_camera_motion() -> None:
    jump = {t: 90.0 if t >= 1.5 else 0.0 for t in (i / 30 for i in range(90))}
    hidden = Walker(line((300, 160), (0, 0)), missed=lambda f: 40 <= f < 55)
    others = tuple(Walker(line((60 + 120 * i, 20 + 10 * i), (5, 0))) for i in range(5))
    world = World((hidden, *others), num_frames=80)
    frames = through_camera(world, lambda t: (jump[t], 0.0, 1.0), known=False)
    tracker = Tracker(AssociationSettings(), COCO_17)
    assert set.union(*(set(tracker.update_frame(frame).track_ids.tolist()) for frame in frames)) == set(range(1, 7))


@pytest.mark.parametrize(("shift", "scale"), [((1000.0, -300.0), 1.0), ((0.0, 0.0), 3.0), ((-50.0, 7.0), 0.5)])
def test_shifting_and_scaling_the_image_changes_no_id(shift: tuple[float, float], scale: float) -> None:
    plain = [
        people.track_ids.tolist() for _, people in associate_online(pose_frames(CROSSING, shuffle=1), DEFAULT, COCO_17)
    ]
    there = (moved(frame, shift, scale) for frame in pose_frames(CROSSING, shuffle=1))
    assert [people.track_ids.tolist() for _, people in associate_online(there, DEFAULT, COCO_17)] == plain


def test_ids_are_never_used_again() -> None:
    """All people leave for longer than the track buffer and return to the same places."""
    world = World(tuple(Walker(w.path, missed=lambda f: 20 <= f < 90) for w in CROSSING.walkers[:2]), num_frames=120)
    ids = ids_online(world, pose_frames(world), AssociationSettings(track_buffer_s=2.0))
    before, after = ({i for frame in part for i in frame.values()} for part in (ids[:20], ids[90:]))
    assert before == {1, 2}
    assert after == {3, 4}


def test_three_hundred_people_are_tracked() -> None:
    walkers = tuple(Walker(line((100 * (i % 20), 150 * (i // 20)), (20, 3 * (i % 5)))) for i in range(300))
    ids = ids_online(World(walkers, num_frames=4), pose_frames(World(walkers, num_frames=4), shuffle=3), DEFAULT)
    assert all(len(frame) == 300 and frame == ids[0] for frame in ids)


def test_if_all_scores_are_zero_every_pose_is_tracked() -> None:
    """A file without scores may have zeros in their place; then no pose can be told from a false one by its score."""
    frames = [replace(f, poses=replace(f.poses, scores=np.zeros(3))) for f in pose_frames(CROSSING)]
    ids = ids_online(CROSSING, frames, DEFAULT)
    assert all(len(frame) == 3 and frame == ids[0] for frame in ids)


@pytest.mark.parametrize("score", [0.3, 0.6, 0.97])
def test_thresholds_adapt_to_the_scores_of_the_clip(score: float) -> None:
    """Networks differ in the scores of correct poses; poses far below the others are dropped with any of them."""
    faint = Walker(line((300, 250), (0, 0)), box_score=lambda _: 0.25 * score)
    world = World((*(Walker(w.path, box_score=lambda _: score) for w in CROSSING.walkers), faint), num_frames=60)
    ids = ids_online(world, pose_frames(world), DEFAULT)
    assert all(set(frame) == {0, 1, 2} for frame in ids)


def test_a_pose_with_joints_of_two_people_starts_no_track() -> None:
    """Its left side is of one person, its right side of the other: only both together explain it."""
    world = World((Walker(line((100, 60), (10, 0))), Walker(line((150, 60), (10, 0)))), num_frames=20)
    frames = pose_frames(world)
    for index in range(8, 20):
        poses = frames[index].poses
        left = np.array([name.startswith("left") for name in COCO_17.joints])
        box = [*poses.boxes[:, :2].min(axis=0), *poses.boxes[:, 2:].max(axis=0)]
        both = Poses(
            np.where(left[:, None], poses.keypoints[0], poses.keypoints[1])[None],
            poses.keypoint_scores[:1],
            [box],
            poses.scores[:1],
            [False],
        )
        frames[index] = replace(frames[index], poses=Poses.concatenate([poses, both]))
    tracker = Tracker(DEFAULT, COCO_17)
    assert set.union(*(set(tracker.update_frame(frame).track_ids.tolist()) for frame in frames)) == {1, 2}


def test_a_hidden_person_does_not_move_with_the_one_in_front() -> None:
    """One person stands still behind another who walks by, and is missed meanwhile."""
    standing = Walker(line((300, 60), (0, 0)), missed=lambda f: 30 <= f < 42)
    passing = Walker(line((20, 64), (240, 0)))
    world = World((standing, passing), num_frames=80)
    ids = ids_online(world, pose_frames(world), DEFAULT)
    assert {frame[0] for frame in ids if 0 in frame} == {1}
    assert {frame[1] for frame in ids} == {2}


def test_appearance_identifies_people_after_a_gap() -> None:
    """Two people leave and return with exchanged places: only their appearance identifies them."""
    away = lambda f: 30 <= f < 60  # noqa: E731
    one = Walker(lambda t: (100 if t < 1.5 else 150, 60), missed=away)
    other = Walker(lambda t: (150 if t < 1.5 else 100, 60), missed=away)
    world = World((one, other), num_frames=90)
    embeddings = np.eye(2, 8, dtype=np.float32)
    frames = [replace(frame, appearance=embeddings[: len(frame.poses)]) for frame in pose_frames(world)]
    frames = [replace(frame, appearance=np.zeros((0, 8))) if not len(frame.poses) else frame for frame in frames]
    ids = ids_online(world, frames, AssociationSettings(appearance_share=0.8))
    assert ids[0] == ids[-1] == {0: 1, 1: 2}
    without = [replace(frame, appearance=np.zeros((0, 0))) for frame in frames]
    assert ids_online(world, without, AssociationSettings(appearance_share=0.8))[-1] == {0: 2, 1: 1}


poses_at_random = st.builds(
    lambda seed, n: (np.random.default_rng(seed), n), st.integers(0, 2**32 - 1), st.integers(0, 12)
)


@settings(max_examples=40, deadline=None)
@given(st.lists(poses_at_random, max_size=6), st.sampled_from(sorted(PRESETS)), st.sampled_from(get_args(Similarity)))
def test_ids_are_unique_in_every_frame_of_random_poses(
    crowd: list[tuple[np.random.Generator, int]], preset: str, similarity: Similarity
) -> None:
    base = PRESETS[preset].association
    tracker = Tracker(AssociationSettings(**{**vars(base), "similarity": similarity}), COCO_17)
    for index, (random, n) in enumerate(crowd):
        keypoints = random.uniform(-50, 400, (n, 17, 2))
        keypoints[random.random((n, 17)) < 0.3] = np.nan
        boxes = np.sort(random.uniform(0, 400, (n, 2, 2)), axis=1).reshape(n, 4)
        poses = Poses(keypoints, random.random((n, 17)), boxes, random.random(n), random.random(n) < 0.2)
        people = tracker.update(poses, index / 10)  # checks uniqueness
        assert (people.track_ids > 0).all()


def test_poses_without_boxes_are_tracked_by_joints_and_empty_poses_are_dropped() -> None:
    frames = [replace(f, poses=replace(f.poses, boxes=np.full((3, 4), np.nan))) for f in pose_frames(CROSSING)]
    people = [people.track_ids for _, people in associate_online(frames, DEFAULT, COCO_17)]
    assert all(sorted(ids.tolist()) == [1, 2, 3] for ids in people)
    nothing = [replace(f, poses=replace(f.poses, keypoints=np.full((3, 17, 2), np.nan))) for f in frames]
    assert not any(len(people) for _, people in associate_online(nothing, DEFAULT, COCO_17))
    unscored = [replace(f, poses=replace(f.poses, scores=np.full(3, np.nan))) for f in pose_frames(CROSSING)]
    assert all(len(people) in (0, 3) for _, people in associate_online(unscored, DEFAULT, COCO_17))


def test_the_example_in_the_docstring_works() -> None:
    (example,) = doctest.DocTestFinder(recurse=False).find(Tracker, "Tracker")
    assert doctest.DocTestRunner().run(example) == (0, 4)  # failed, attempted


def test_update_may_follow_update_frame() -> None:
    tracker, frames = Tracker(), pose_frames(CROSSING)
    assert tracker.update_frame(frames[0]).track_ids.tolist() == [1, 2, 3]
    assert tracker.update(frames[1].poses, frames[1].time_s).track_ids.tolist() == [1, 2, 3]


def test_poses_that_do_not_fit_the_earlier_ones_are_refused() -> None:
    tracker, (frame, later, *_) = Tracker(), pose_frames(CROSSING)
    tracker.update_frame(frame)
    with pytest.raises(ValueError, match="poses: expected 17 joints, got 15"):
        tracker.update(Poses.empty(15), later.time_s)
    with pytest.raises(ValueError, match="appearance: expected embeddings of 0 numbers as in the first frame, got 8"):
        tracker.update_frame(replace(later, appearance=np.zeros((3, 8))))
    with pytest.raises(ValueError, match="time_s: expected the frame's time in seconds, got nan"):
        tracker.update(later.poses, float("nan"))
    assert tracker.update_frame(later).track_ids.tolist() == [1, 2, 3]
    with pytest.raises(ValueError, match="queue_frames: expected 1 or more, got 0"):
        Tracker(queue_frames=0)
    for wrong in (Tracker, lambda settings: follow([], settings)):
        with pytest.raises(ValueError, match="settings: expected AssociationSettings or Settings, got 'bytetrack'"):
            wrong("bytetrack")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"frames\[1\]: expected a pair \(Poses, time in seconds\), got Poses"):
        follow([(frame.poses, 0.0), later.poses])  # type: ignore[list-item]


TUMBLER = Walker(
    lambda t: (200.0, 60.0 + (35.0 if 0.5 <= t < 0.6 else 0.0))
)  # half a body size down, and up again, in a frame


@pytest.mark.parametrize(("similarity", "num_ids"), [("likelihood", 1), ("oks", 2)])
def test_a_sudden_move_without_a_rival_keeps_the_id_by_log_odds_only(similarity: Similarity, num_ids: int) -> None:
    world = World((TUMBLER,), num_frames=30)
    settings = AssociationSettings(similarity=similarity, box_iou_share=0.0)
    ids = ids_online(world, pose_frames(world), settings)
    assert len({frame[0] for frame in ids if 0 in frame}) == num_ids


def test_a_pose_far_away_continues_no_track_whatever_the_similarity() -> None:
    jump = Walker(lambda t: (100.0 if t < 0.5 else 900.0, 60.0))
    for similarity in get_args(Similarity):
        world = World((jump,), num_frames=30)
        ids = ids_online(world, pose_frames(world), AssociationSettings(similarity=similarity))
        assert ids[0] == {0: 1}
        assert ids[-1] == {0: 2}, similarity
