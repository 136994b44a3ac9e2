"""Following with associate_offline: tracklets are linked to people, false people go, missed ones are put back."""

from __future__ import annotations

import weakref
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posetrail.poses import Poses, TrackedPoses
from posetrail.skeletons import COCO_17, Skeleton
from tests.worlds import STANDING, Walker, World, line
from tracker.association import offline
from tracker.association.linking import link
from tracker.association.offline import associate_offline
from tracker.association.stabilisation import Stabiliser, inverted, transformed
from tracker.association.tracker import associate_online
from tracker.association.tracklets import ENDS, Tracklets
from tracker.frames import PoseFrame, PropagatedPoses
from tracker.settings import AssociationSettings

FPS = 30
DEFAULT = AssociationSettings(
    smooth="none", max_interpolation_gap_s=0.5
)  # what smoothing does to them is told elsewhere
SIGMAS = np.array(COCO_17.oks_sigmas)


def seen(world: World, shuffle: int | None = None, *, joints: bool = True) -> list[PoseFrame]:
    """The world as a perfect see stage without flow would log it, people in any order."""
    random = np.random.default_rng(shuffle)
    frames = []
    for index in range(world.num_frames):
        time_s = index / world.fps
        there = [w for w in world.walkers if not w.missed(index)]
        keypoints = np.array([w.keypoints(time_s) for w in there]).reshape(-1, 17, 2)
        boxes = np.array([w.box(time_s) for w in there]).reshape(-1, 4)
        scores = np.array([w.box_score(index) for w in there])
        poses = Poses(keypoints, np.full(keypoints.shape[:2], 0.8), boxes, scores, np.zeros(len(there)))
        if not joints:
            poses = replace(
                poses, keypoints=np.full(keypoints.shape, np.nan), keypoint_scores=np.zeros((len(there), 17))
            )
        if shuffle is not None:
            poses = poses[random.permutation(len(poses))]
        frames.append(PoseFrame(index, time_s, f"{index:06d}.jpg", poses, PropagatedPoses.empty(17)))
    return frames


def followed(
    frames: list[PoseFrame], association_settings: AssociationSettings = DEFAULT, **more: float
) -> list[TrackedPoses]:
    association_settings = replace(association_settings, **more)
    return [people for _, people in associate_offline(lambda: frames, association_settings, COCO_17)()]


def who(world: World, people: list[TrackedPoses]) -> list[dict[int, int]]:
    """For every frame, walker -> id; people put back left out."""
    ids = []
    for index, frame in enumerate(people):
        frame = frame[~frame.interpolated]
        walkers = [world.walker_at(index, box) for box in frame.poses.boxes]
        ids.append(dict(zip(walkers, frame.track_ids.tolist(), strict=True)))
    return ids


def missed_in(*spans: tuple[int, int]) -> Callable[[int], bool]:
    return lambda frame: any(first <= frame < end for first, end in spans)


STROLL = line((20, 60), (120, 0))
CROSSING = World((Walker(STROLL), Walker(line((500, 75), (-120, 0))), Walker(line((300, 10), (0, 60)))), num_frames=90)


# Who is who.


def test_one_person_on_a_straight_line_has_one_id() -> None:
    world = World((Walker(STROLL),), num_frames=60)
    assert who(world, followed(seen(world))) == [{0: 1}] * 60


def test_people_who_cross_keep_their_ids() -> None:
    ids = who(CROSSING, followed(seen(CROSSING)))
    assert all(frame == ids[0] for frame in ids)


def test_the_poses_before_the_id_was_told_are_given_back() -> None:
    world = World((Walker(line((20, 60), (0, 0))), Walker(line((400, 60), (0, 0)), missed=lambda f: f < 10)), 40)
    settings = AssociationSettings(confirmation_s=0.5)
    assert who(world, followed(seen(world), settings)) == [{0: 1}] * 10 + [{0: 1, 1: 2}] * 30


def test_ids_count_from_one_in_the_order_of_appearance() -> None:
    late = [Walker(line((20 + 80 * i, 60), (0, 0)), missed=lambda f, i=i: f < 12 * (6 - i)) for i in range(7)]
    world = World(tuple(late), num_frames=100)
    ids = who(world, followed(seen(world)))
    assert ids[-1] == {6: 1, 5: 2, 4: 3, 3: 4, 2: 5, 1: 6, 0: 7}
    assert all(frame[walker] == ids[-1][walker] for frame in ids for walker in frame)


@pytest.mark.parametrize("missed_frames", [1, 5, 20, 45])
def test_somebody_unseen_for_a_while_comes_back_as_themselves(missed_frames: int) -> None:
    walker = Walker(STROLL, missed=missed_in((30, 30 + missed_frames)))
    world = World((walker, Walker(line((600, 200), (-60, 0)))), num_frames=110)
    assert [{1: frame[1]} | {0: frame.get(0, 1)} for frame in who(world, followed(seen(world)))] == [{0: 1, 1: 2}] * 110


def test_somebody_unseen_for_longer_than_the_limit_is_somebody_new() -> None:
    world = World((Walker(line((20, 60), (0, 0)), missed=missed_in((30, 70))),), num_frames=100)
    ids = who(world, followed(seen(world), max_link_gap_s=1.0))
    assert {i for frame in ids for i in frame.values()} == {1, 2}
    ids = who(world, followed(seen(world), max_link_gap_s=1.5))
    assert {i for frame in ids for i in frame.values()} == {1}


def test_two_who_meet_where_one_hides_the_other_part_as_themselves() -> None:
    """Online, who is seen while they meet may be either; their ways afterwards tell."""
    for meeting in range(6, 14, 2):
        hidden = missed_in((45 - meeting // 2, 45 + meeting // 2))
        world = World((Walker(line((20, 60), (160, 0))), Walker(line((500, 64), (-160, 0)), missed=hidden)), 90)
        ids = who(world, followed(seen(world)))
        assert ids[0] == ids[-1] == {0: 1, 1: 2}


def test_the_order_of_people_in_a_frame_changes_nothing_but_names() -> None:
    expected = who(CROSSING, followed(seen(CROSSING)))
    for seed in range(4):
        got = who(CROSSING, followed(seen(CROSSING, shuffle=seed)))
        names = {got[0][walker]: expected[0][walker] for walker in got[0]}
        assert [{walker: names[i] for walker, i in frame.items()} for frame in got] == expected


def test_people_without_joints_are_followed_by_their_boxes() -> None:
    world = World((*CROSSING.walkers[:2], Walker(STROLL, size=(60, 160), missed=missed_in((20, 26)))), 60)
    people = followed(seen(world, joints=False))
    assert all(len(frame) == 3 for frame in people)
    assert [frame.interpolated.sum() for frame in people] == [0] * 20 + [1] * 6 + [0] * 34
    assert who(world, people)[0] == who(world, people)[-1]


def test_a_skeleton_that_nobody_knows_is_followed() -> None:
    skeleton = Skeleton(name="three", joints=("a", "b", "c"), limbs=(), oks_sigmas=(0.08,) * 3)
    frames = [
        replace(f, poses=replace(f.poses, keypoints=f.poses.keypoints[:, :3], keypoint_scores=np.ones((3, 3))))
        for f in seen(CROSSING)
    ]
    frames = [replace(f, propagated=PropagatedPoses.empty(3)) for f in frames]
    people = [p for _, p in associate_offline(lambda: frames, DEFAULT, skeleton)()]
    assert {len(p) for p in people} == {3}


# Who was nobody.


def test_a_flicker_was_nobody() -> None:
    flicker = Walker(line((300, 60), (0, 0)), missed=lambda f: f not in (20, 21), box_score=lambda _: 0.5)
    world = World((Walker(line((20, 60), (0, 0))), flicker), num_frames=60)
    assert who(world, followed(seen(world))) == [{0: 1}] * 60
    assert len(followed(seen(world), min_track_evidence=-9)[20]) == 2


def test_a_weak_pose_that_stays_was_nobody_and_a_sure_one_was_somebody() -> None:
    faint = Walker(line((300, 60), (0, 0)), missed=lambda f: f < 10, box_score=lambda _: 0.25)
    sure = Walker(line((450, 60), (0, 0)), missed=lambda f: not 20 <= f < 30)
    world = World((Walker(line((20, 60), (0, 0))), faint, sure), num_frames=60)
    assert {walker for frame in who(world, followed(seen(world))) for walker in frame} == {0, 2}


@pytest.mark.parametrize("num_frames", [1, 2, 5])
def test_a_clip_too_short_for_evidence_keeps_its_people(num_frames: int) -> None:
    world = World(CROSSING.walkers, num_frames)
    assert [len(frame) for frame in followed(seen(world))] == [3] * num_frames


def test_people_stay_where_all_scores_are_zero() -> None:
    frames = [replace(f, poses=replace(f.poses, scores=np.zeros(3))) for f in seen(CROSSING)]
    online = associate_online(frames, replace(DEFAULT, new_track_score=0.0), COCO_17)
    assert [len(p) for p in followed(frames, replace(DEFAULT, new_track_score=0.0))] == [len(p) for _, p in online]


# Who was missed.


def test_somebody_missed_for_a_moment_is_put_back_between() -> None:
    world = World((Walker(STROLL, missed=missed_in((30, 40))),), num_frames=60)
    people = followed(seen(world))
    assert [frame.track_ids.tolist() for frame in people] == [[1]] * 60
    assert [frame.interpolated.tolist() for frame in people] == [[30 <= t < 40] for t in range(60)]
    for t in range(30, 40):
        walker, put = world.walkers[0], people[t].poses
        assert np.allclose(put.keypoints[0], walker.keypoints(t / FPS), atol=1e-2)
        assert np.allclose(put.boxes[0], walker.box(t / FPS), atol=1e-2)
        assert (put.keypoint_scores < 0.8).all()
        assert (put.scores < 0.9).all()


def test_somebody_missed_for_longer_is_not_put_back() -> None:
    world = World((Walker(STROLL, missed=missed_in((30, 45))),), num_frames=60)
    assert [len(frame) for frame in followed(seen(world))] == [1] * 30 + [0] * 15 + [1] * 15
    assert [len(frame) for frame in followed(seen(world), max_interpolation_gap_s=0.6)] == [1] * 60
    assert [len(frame) for frame in followed(seen(world), max_interpolation_gap_s=0)] == [1] * 30 + [0] * 15 + [1] * 15


def test_nobody_is_put_where_somebody_hides_them() -> None:
    pillar = Walker(line((90, 20), (0, 0)), size=(150, 300))
    walker = Walker(STROLL, missed=missed_in((20, 30), (60, 70)))
    world = World((walker, pillar), num_frames=90)
    people = followed(seen(world))
    assert [sum(p.interpolated) for p in people[20:30]] == [0] * 10
    assert [sum(p.interpolated) for p in people[60:70]] == [1] * 10


def test_a_joint_is_put_back_only_between_two_poses_that_have_it() -> None:
    world = World((Walker(STROLL, missed=missed_in((30, 34))),), num_frames=60)
    frames = seen(world)
    scores = frames[29].poses.keypoint_scores.copy()
    scores[:, 9] = 0
    keypoints = np.where(scores[..., None] > 0, frames[29].poses.keypoints, np.nan)
    frames[29] = replace(frames[29], poses=replace(frames[29].poses, keypoints=keypoints, keypoint_scores=scores))
    people = followed(frames)[31]
    assert people.interpolated.tolist() == [True]
    assert np.flatnonzero(np.isnan(people.poses.keypoints[0, :, 0])).tolist() == [9]
    assert people.poses.keypoint_scores[0, 9] == 0


def test_a_moving_camera_moves_who_is_put_back() -> None:
    """Somebody stands still while the camera jolts up and down in the frames that missed them."""
    jolt = 40 * np.sin(np.arange(60))
    walker = Walker(line((200, 100), (0, 0)), missed=missed_in((30, 40)))
    frames = seen(World((walker,), 60))
    for t, frame in enumerate(frames):
        poses = replace(
            frame.poses,
            keypoints=frame.poses.keypoints + np.array([0, jolt[t]]),
            boxes=frame.poses.boxes + np.array([0, jolt[t], 0, jolt[t]]),
        )
        camera = np.array([[1, 0, 0], [0, 1, jolt[t] - jolt[t - 1] if t else 0]])
        frames[t] = replace(frame, poses=poses, camera_motion=camera)
    people = followed(frames)
    for t in range(60):
        assert people[t].track_ids.tolist() == [1]
        assert np.allclose(people[t].poses.keypoints[0], walker.keypoints(0) + np.array([0, jolt[t]]), atol=1e-2)


def test_unsure_joints_are_left_out_of_the_people() -> None:
    frames = [
        replace(f, poses=replace(f.poses, keypoint_scores=np.tile(np.linspace(0.2, 1, 17), (3, 1))))
        for f in seen(CROSSING)[:20]
    ]
    people = followed(frames, AssociationSettings(min_output_joint_score=0.5))
    assert (np.isnan(people[0].poses.keypoints[:, :, 0]) == (np.linspace(0.2, 1, 17) < 0.5)).all()


# Links, by themselves.


def tracklet(first: int, places: list[tuple[float, float]], *, size: float = 60.0, **more: object) -> dict[str, object]:
    """A tracklet that begins in this frame, one place (x, y) for each of its frames."""
    seen = np.array([[(first + t) / FPS, x, y, size] for t, (x, y) in enumerate(places)])
    starts, ends = np.full((2, ENDS, 4), np.nan)
    starts[: len(places)], ends[ENDS - len(places) :] = seen[:ENDS], seen[-ENDS:]
    shape = size * (STANDING - STANDING.mean(axis=0))
    return {
        "forward": 0,
        "backward": 0,
        "first": first,
        "last": first + len(places) - 1,
        "starts": starts,
        "ends": ends,
        "first_joints": shape,
        "last_joints": shape,
        "appearance": np.zeros(0),
        "evidence": 1.0,
        **more,
    }


def linked(*all_pieces: dict[str, object], max_gap_s: float = 3.0) -> list[int]:
    columns = {name: np.array([each[name] for each in all_pieces]) for name in all_pieces[0]}
    return link(Tracklets(**columns), SIGMAS, max_gap_s).tolist()


def walk(start: float, speed: float, y: float = 0.0) -> list[tuple[float, float]]:
    """Ten frames, `speed` in pixels per frame."""
    return [(start + speed * t, y) for t in range(10)]


def test_motion_tells_who_is_who_after_a_crossing() -> None:
    assert linked(
        tracklet(0, walk(0, 8)), tracklet(0, walk(200, -8)), tracklet(16, walk(128, 8)), tracklet(16, walk(72, -8))
    ) == [
        0,
        1,
        0,
        1,
    ]


def test_votes_tell_where_motion_says_nothing() -> None:
    here, there = [(0.0, 0.0)], [(40.0, 0.0)]
    between = [(20.0, 0.0)]
    one, other = {"forward": 1, "backward": 3}, {"forward": 2, "backward": 4}
    assert linked(tracklet(0, here, **one), tracklet(0, there, **other), tracklet(9, between, **one)) == [0, 1, 0]
    assert linked(tracklet(0, here, **one), tracklet(0, there, **other), tracklet(9, between, **other)) == [0, 1, 1]


def test_looks_tell_where_motion_says_nothing() -> None:
    red, blue = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    before = tracklet(0, [(0, 0)], appearance=red), tracklet(0, [(40, 0)], appearance=blue)
    for looks, person in ((red, 0), (blue, 1)):
        assert linked(*before, tracklet(9, [(20, 0)], appearance=looks)) == [0, 1, person]


def test_shape_tells_where_motion_says_nothing() -> None:
    shape = 60 * (STANDING - STANDING.mean(axis=0))
    lying = shape[:, ::-1]
    before = tracklet(0, [(0, 0)]), tracklet(0, [(40, 0)], last_joints=lying)
    assert linked(*before, tracklet(9, [(20, 0)])) == [0, 1, 0]
    assert linked(*before, tracklet(9, [(20, 0)], first_joints=lying)) == [0, 1, 1]


def test_somebody_far_away_is_somebody_else() -> None:
    assert linked(tracklet(0, walk(0, 2)), tracklet(12, walk(400, 2))) == [0, 1]


def test_pieces_that_overlap_in_time_are_never_one_person() -> None:
    one = {"forward": 1, "backward": 1}
    assert linked(tracklet(0, walk(0, 2), **one), tracklet(9, walk(18, 2), **one)) == [0, 1]


def test_no_pieces_are_nobody() -> None:
    columns = {name: np.array([value]) for name, value in tracklet(0, [(0, 0)]).items()}
    nobody = Tracklets(**{name: column[:0] for name, column in columns.items()})
    assert link(nobody, SIGMAS, 3.0).tolist() == []


def test_pairs_are_weighed_a_few_at_a_time_or_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    tracklets = [tracklet(12 * i, walk(x, v)) for i in range(20) for x, v in random.uniform(-9, 9, (4, 2)).tolist()]
    at_once = linked(*tracklets)
    monkeypatch.setattr("tracker.association.linking._PAIRS_AT_A_TIME", 7)
    assert linked(*tracklets) == at_once
    assert 4 < len(set(at_once)) < 80


# The stream.


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    walkers = (*CROSSING.walkers, Walker(line((100, 200), (60, 0)), missed=missed_in((33, 40), (70, 90))))
    frames = seen(World(walkers, 150))
    whole = followed(frames)
    monkeypatch.setattr(offline, "_BLOCK_FRAMES", 20)
    monkeypatch.setattr(offline, "_LEAD_FRAMES", 15)
    for one, other in zip(whole, followed(frames), strict=True):
        assert one.track_ids.tolist() == other.track_ids.tolist()
        assert one.poses.keypoints.tolist() == other.poses.keypoints.tolist()


def test_a_track_that_runs_over_blocks_is_one_to_the_backward_tracker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offline, "_BLOCK_FRAMES", 20)
    monkeypatch.setattr(offline, "_LEAD_FRAMES", 15)
    world = World((CROSSING.walkers[0], CROSSING.walkers[2]), 90)
    both_ways = offline._both_directions(seen(world), DEFAULT, COCO_17, 1)
    serials = [sorted(backward.tolist()) for _, _, backward in both_ways]
    assert serials == [serials[0]] * 90
    assert len(set(serials[0])) == 2


def test_reversed_frames_tell_of_the_camera_as_if_filmed_so() -> None:
    def view(frame: int) -> np.ndarray:  # of the scene, by a camera that pans and zooms
        zoom = 1.03**frame
        return np.array([[zoom, 0, 5.0 * frame], [0, zoom, -3.0 * frame]])

    scene = np.array([[0.0, 0.0], [300.0, 20.0]])
    frames = []
    for index, frame in enumerate(seen(World(CROSSING.walkers, 8))):
        back = inverted(view(index - 1)) if index else np.eye(2, 3)
        turn = view(index)[:, :2] @ back[:, :2]
        frames.append(replace(frame, camera_motion=np.column_stack([turn, transformed(back[:, 2], view(index))])))
    for earlier, later in pairwise(frames):
        place = transformed(transformed(scene, view(earlier.index)), later.camera_motion)
        assert np.allclose(place, transformed(scene, view(later.index)))
    backwards = list(offline._time_reversed(frames))
    assert [frame.name for frame in backwards] == [frame.name for frame in frames[::-1]]
    for i, (later, earlier) in enumerate(pairwise(backwards)):
        assert later.time_s < earlier.time_s
        now = transformed(transformed(scene, view(7 - i)), earlier.camera_motion)
        assert np.allclose(now, transformed(scene, view(6 - i)))


def test_no_more_frames_are_held_than_a_block_and_its_lead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offline, "_BLOCK_FRAMES", 20)
    monkeypatch.setattr(offline, "_LEAD_FRAMES", 10)
    frames = seen(World(CROSSING.walkers, 200))
    alive: set[int] = set()
    most = 0

    def read() -> Iterator[PoseFrame]:
        nonlocal most
        for frame in frames:
            copy = replace(frame)
            alive.add(copy.index)
            weakref.finalize(copy, alive.discard, copy.index)
            most = max(most, len(alive))
            yield copy

    assert sum(1 for _ in associate_offline(read, DEFAULT, COCO_17)()) == 200
    assert most <= 20 + 10 + 2


def test_the_frames_are_read_twice_and_come_back_as_they_were() -> None:
    frames = seen(CROSSING)
    reads = []

    def read() -> list[PoseFrame]:
        reads.append(1)
        return frames

    assert [frame for frame, _ in associate_offline(read, DEFAULT, COCO_17)()] == frames
    assert len(reads) == 2


def test_an_empty_clip_and_one_without_people_survive() -> None:
    assert followed([]) == []
    world = World((Walker(STROLL, missed=lambda _: True),), num_frames=12)
    assert [len(frame) for frame in followed(seen(world))] == [0] * 12


def test_a_crowd_of_three_hundred_is_followed() -> None:
    rows = [
        Walker(line((50 * (i % 30), 110 * (i // 30)), (20, 0)), missed=missed_in((i % 9, i % 9 + 2)))
        for i in range(300)
    ]
    world = World(tuple(rows), num_frames=12, textures=[])
    people = followed(seen(world))
    assert max(int(frame.track_ids.max()) for frame in people) == 300


crowds = st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 9)), max_size=14)


@settings(max_examples=40, deadline=None)
@given(crowds, st.integers(1, 3))
def test_whatever_comes_people_are_poses_that_were_seen_or_lie_between_two_of_them(
    crowd: list[tuple[int, int]], places: int
) -> None:
    frames = []
    for index, (seed, n) in enumerate(crowd):
        random = np.random.default_rng(seed)
        middle = 150 * random.integers(places, size=(n, 1, 1))
        keypoints = middle + random.uniform(-40, 40, (n, 17, 2))
        keypoints[random.random((n, 17)) < 0.3] = np.nan
        keypoints[random.random(n) < 0.2] = np.nan
        boxes = np.sort(middle + random.uniform(-40, 40, (n, 2, 2)), axis=1).reshape(n, 4)
        poses = Poses(keypoints, random.random((n, 17)), boxes, random.random(n), random.random(n) < 0.2)
        camera = np.eye(2, 3) + random.normal(0, 0.03, (2, 3)) * [1, 1, 50]
        frames.append(PoseFrame(index, index / 10, "", poses, PropagatedPoses.empty(17), camera))
    people = followed(frames, min_track_evidence=0.2)

    appearances = defaultdict(list)
    for frame, there in zip(frames, people, strict=True):
        seen_boxes = there.poses.boxes[~there.interpolated].tolist()
        assert all(box in frame.poses.boxes.tolist() for box in seen_boxes)
        for person, interpolated in zip(there.track_ids.tolist(), there.interpolated.tolist(), strict=True):
            appearances[person].append((frame.index, interpolated))
    assert sorted(appearances) == list(range(1, len(appearances) + 1))
    for times in appearances.values():
        assert not times[0][1]
        assert not times[-1][1]
        unfilled = [t for t, interpolated in times if not interpolated]
        gaps = [(a, b) for a, b in pairwise(unfilled) if b > a + 1]
        for t in (t for t, interpolated in times if interpolated):
            assert any(a < t < b and (b - a) / 10 <= DEFAULT.max_interpolation_gap_s + 1e-9 for a, b in gaps)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.floats(-3, 3), st.floats(0.5, 2), st.floats(-99, 99), st.floats(-99, 99)), max_size=8))
def test_what_stands_still_stays_in_the_still_picture(motions: list[tuple[float, float, float, float]]) -> None:
    points = np.array([[0.0, 0.0], [300.0, 20.0], [50.0, 400.0]])
    still = Stabiliser()
    now = points
    assert np.array_equal(still.add(np.ones((2, 3))), np.eye(2, 3))
    for angle, scale, x, y in motions:
        cos, sin = scale * np.cos(angle), scale * np.sin(angle)
        camera = np.array([[cos, -sin, x], [sin, cos, y]])
        now = transformed(now, camera)
        to_still = still.add(camera)
        assert np.allclose(transformed(now, to_still), points, atol=1e-6 * np.abs(now).max() + 1e-6)
        assert np.allclose(transformed(points, inverted(to_still)), now, rtol=1e-6, atol=1e-5)


def test_a_camera_that_zooms_without_end_is_not_believed() -> None:
    still = Stabiliser()
    for _ in range(3000):
        to_still = still.add(np.array([[1.01, 0, 0], [0, 1.01, 0]]))
    assert np.isfinite(to_still).all()
    assert np.linalg.det(to_still[:, :2]) > 1e-7
    assert np.array_equal(still.add(np.zeros((2, 3))), to_still)
