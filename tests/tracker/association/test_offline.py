"""Offline association: tracks over a whole clip, evidence for people, blocks and memory."""

from __future__ import annotations

import weakref
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posetrail.poses import Poses
from posetrail.skeletons import COCO_17, Skeleton
from tests.pose_frames import CROSSING, OFFLINE, ids_of_walkers, missed_in, pose_frames, tracked_offline
from tests.worlds import Walker, World, line
from tracker.association import offline
from tracker.association.offline import associate_offline
from tracker.association.preparation import Preparation
from tracker.association.stabilisation import inverted, transformed
from tracker.association.tracker import associate_online
from tracker.frames import PoseFrame, PropagatedPoses
from tracker.settings import AssociationSettings

STROLL = line((20, 60), (120, 0))


def ids_offline(
    world: World, association_settings: AssociationSettings = OFFLINE, **changes: float
) -> list[dict[int, int]]:
    """For every frame, row of the walker -> track id, associated offline."""
    return ids_of_walkers(world, enumerate(tracked_offline(pose_frames(world), association_settings, **changes)))


def test_one_person_on_a_straight_line_has_one_id() -> None:
    world = World((Walker(STROLL),), num_frames=60)
    assert ids_offline(world) == [{0: 1}] * 60


def test_people_who_cross_keep_their_ids() -> None:
    ids = ids_offline(CROSSING)
    assert all(frame == ids[0] for frame in ids)


def test_poses_before_confirmation_belong_to_the_track() -> None:
    world = World((Walker(line((20, 60), (0, 0))), Walker(line((400, 60), (0, 0)), missed=lambda f: f < 10)), 40)
    settings = AssociationSettings(confirmation_evidence=5.0)
    assert ids_offline(world, settings) == [{0: 1}] * 10 + [{0: 1, 1: 2}] * 30


def test_ids_count_from_one_in_the_order_of_appearance() -> None:
    late = [Walker(line((20 + 80 * i, 60), (0, 0)), missed=lambda f, i=i: f < 12 * (6 - i)) for i in range(7)]
    world = World(tuple(late), num_frames=100)
    ids = ids_offline(world)
    assert ids[-1] == {6: 1, 5: 2, 4: 3, 3: 4, 2: 5, 1: 6, 0: 7}
    assert all(frame[walker] == ids[-1][walker] for frame in ids for walker in frame)


@pytest.mark.parametrize("missed_frames", [1, 5, 20, 45])
def test_a_person_keeps_the_id_across_a_gap(missed_frames: int) -> None:
    walker = Walker(STROLL, missed=missed_in((30, 30 + missed_frames)))
    world = World((walker, Walker(line((600, 200), (-60, 0)))), num_frames=110)
    assert [{1: frame[1]} | {0: frame.get(0, 1)} for frame in ids_offline(world)] == [{0: 1, 1: 2}] * 110


def test_a_gap_longer_than_the_limit_starts_a_new_track() -> None:
    world = World((Walker(line((20, 60), (0, 0)), missed=missed_in((30, 70))),), num_frames=100)
    ids = ids_offline(world, max_link_gap_s=1.0)
    assert {i for frame in ids for i in frame.values()} == {1, 2}
    ids = ids_offline(world, max_link_gap_s=1.5)
    assert {i for frame in ids for i in frame.values()} == {1}


def test_two_people_keep_their_ids_when_one_hides_the_other() -> None:
    """While they meet, the visible one may be either; their motion afterwards decides."""
    for meeting in range(6, 14, 2):
        hidden = missed_in((45 - meeting // 2, 45 + meeting // 2))
        world = World((Walker(line((20, 60), (160, 0))), Walker(line((500, 64), (-160, 0)), missed=hidden)), 90)
        ids = ids_offline(world)
        assert ids[0] == ids[-1] == {0: 1, 1: 2}


def test_the_order_of_people_in_a_frame_changes_only_the_numbering() -> None:
    expected = ids_offline(CROSSING)
    for seed in range(4):
        got = ids_of_walkers(CROSSING, enumerate(tracked_offline(pose_frames(CROSSING, shuffle=seed))))
        names = {got[0][walker]: expected[0][walker] for walker in got[0]}
        assert [{walker: names[i] for walker, i in frame.items()} for frame in got] == expected


def test_people_without_joints_are_tracked_by_their_boxes() -> None:
    world = World((*CROSSING.walkers[:2], Walker(STROLL, size=(60, 160), missed=missed_in((20, 26)))), 60)
    people = tracked_offline(pose_frames(world, joints=False))
    assert all(len(frame) == 3 for frame in people)
    assert [frame.interpolated.sum() for frame in people] == [0] * 20 + [1] * 6 + [0] * 34
    assert ids_of_walkers(world, enumerate(people))[0] == ids_of_walkers(world, enumerate(people))[-1]


def test_poses_of_an_unknown_skeleton_are_tracked() -> None:
    skeleton = Skeleton(name="three", joints=("a", "b", "c"), limbs=(), oks_sigmas=(0.08,) * 3)
    frames = [
        replace(f, poses=replace(f.poses, keypoints=f.poses.keypoints[:, :3], keypoint_scores=np.ones((3, 3))))
        for f in pose_frames(CROSSING)
    ]
    frames = [replace(f, propagated=PropagatedPoses.empty(3)) for f in frames]
    people = [p for _, p in associate_offline(lambda: frames, OFFLINE, skeleton)()]
    assert {len(p) for p in people} == {3}


def test_a_detection_of_two_frames_is_dropped() -> None:
    flicker = Walker(line((300, 60), (0, 0)), missed=lambda f: f not in (20, 21), box_score=lambda _: 0.5)
    world = World((Walker(line((20, 60), (0, 0))), flicker), num_frames=60)
    assert ids_offline(world) == [{0: 1}] * 60
    assert len(tracked_offline(pose_frames(world), min_track_evidence=-9)[20]) == 2


def test_persistent_weak_poses_are_dropped_and_confident_ones_kept() -> None:
    faint = Walker(line((300, 60), (0, 0)), missed=lambda f: f < 10, box_score=lambda _: 0.25)
    sure = Walker(line((450, 60), (0, 0)), missed=lambda f: not 20 <= f < 30)
    world = World((Walker(line((20, 60), (0, 0))), faint, sure), num_frames=60)
    assert {walker for frame in ids_offline(world) for walker in frame} == {0, 2}


@pytest.mark.parametrize("num_frames", [1, 2, 5])
def test_a_clip_too_short_for_evidence_keeps_its_people(num_frames: int) -> None:
    world = World(CROSSING.walkers, num_frames)
    assert [len(frame) for frame in tracked_offline(pose_frames(world))] == [3] * num_frames


def test_people_are_kept_if_all_scores_are_zero() -> None:
    frames = [replace(f, poses=replace(f.poses, scores=np.zeros(3))) for f in pose_frames(CROSSING)]
    online = associate_online(frames, replace(OFFLINE, new_track_score=0.0), COCO_17)
    assert [len(p) for p in tracked_offline(frames, replace(OFFLINE, new_track_score=0.0))] == [
        len(p) for _, p in online
    ]


def test_joints_below_the_output_score_are_missing_in_the_tracks() -> None:
    frames = [
        replace(f, poses=replace(f.poses, keypoint_scores=np.tile(np.linspace(0.2, 1, 17), (3, 1))))
        for f in pose_frames(CROSSING)[:20]
    ]
    people = tracked_offline(frames, AssociationSettings(min_output_joint_score=0.5))
    assert (np.isnan(people[0].poses.keypoints[:, :, 0]) == (np.linspace(0.2, 1, 17) < 0.5)).all()


def test_tracks_do_not_depend_on_the_length_of_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    walkers = (*CROSSING.walkers, Walker(line((100, 200), (60, 0)), missed=missed_in((33, 40), (70, 90))))
    frames = pose_frames(World(walkers, 150))
    whole = tracked_offline(frames)
    monkeypatch.setattr(offline, "_BLOCK_FRAMES", 20)
    monkeypatch.setattr(offline, "_LEAD_FRAMES", 15)
    for one, other in zip(whole, tracked_offline(frames), strict=True):
        assert one.track_ids.tolist() == other.track_ids.tolist()
        assert one.poses.keypoints.tolist() == other.poses.keypoints.tolist()


def test_a_track_across_blocks_keeps_its_serial_in_the_backward_tracker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offline, "_BLOCK_FRAMES", 20)
    monkeypatch.setattr(offline, "_LEAD_FRAMES", 15)
    world = World((CROSSING.walkers[0], CROSSING.walkers[2]), 90)
    both_ways = offline._both_directions(pose_frames(world), OFFLINE, COCO_17, 1)
    serials = [sorted(backward.tolist()) for _, _, backward in both_ways]
    assert serials == [serials[0]] * 90
    assert len(set(serials[0])) == 2


def test_time_reversed_frames_have_the_inverse_camera_motion() -> None:
    def view(frame: int) -> np.ndarray:  # of the scene, by a camera that pans and zooms
        zoom = 1.03**frame
        return np.array([[zoom, 0, 5.0 * frame], [0, zoom, -3.0 * frame]])

    scene = np.array([[0.0, 0.0], [300.0, 20.0]])
    frames = []
    for index, frame in enumerate(pose_frames(World(CROSSING.walkers, 8))):
        back = inverted(view(index - 1)) if index else np.eye(2, 3)
        turn = view(index)[:, :2] @ back[:, :2]
        frames.append(replace(frame, camera_motion=np.column_stack([turn, transformed(back[:, 2], view(index))])))
    for earlier, later in pairwise(frames):
        place = transformed(transformed(scene, view(earlier.index)), later.camera_motion)
        assert np.allclose(place, transformed(scene, view(later.index)))
    prepare = Preparation(AssociationSettings(), COCO_17)
    backwards = [each.frame for each in offline._time_reversed([prepare(frame) for frame in frames])]
    assert [frame.name for frame in backwards] == [frame.name for frame in frames[::-1]]
    for i, (later, earlier) in enumerate(pairwise(backwards)):
        assert later.time_s < earlier.time_s
        now = transformed(transformed(scene, view(7 - i)), earlier.camera_motion)
        assert np.allclose(now, transformed(scene, view(6 - i)))


def test_at_most_a_block_and_its_lead_are_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offline, "_BLOCK_FRAMES", 20)
    monkeypatch.setattr(offline, "_LEAD_FRAMES", 10)
    frames = pose_frames(World(CROSSING.walkers, 200))
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

    assert sum(1 for _ in associate_offline(read, OFFLINE, COCO_17)()) == 200
    assert most <= 20 + 10 + 2


def test_frames_are_read_twice_and_returned_unchanged() -> None:
    frames = pose_frames(CROSSING)
    reads = []

    def read() -> list[PoseFrame]:
        reads.append(1)
        return frames

    assert [frame for frame, _ in associate_offline(read, OFFLINE, COCO_17)()] == frames
    assert len(reads) == 2


def test_clips_without_frames_or_people_give_no_tracks() -> None:
    assert tracked_offline([]) == []
    world = World((Walker(STROLL, missed=lambda _: True),), num_frames=12)
    assert [len(frame) for frame in tracked_offline(pose_frames(world))] == [0] * 12


def test_three_hundred_people_are_tracked() -> None:
    rows = [
        Walker(line((50 * (i % 30), 110 * (i // 30)), (20, 0)), missed=missed_in((i % 9, i % 9 + 2)))
        for i in range(300)
    ]
    world = World(tuple(rows), num_frames=12, textures=[])
    people = tracked_offline(pose_frames(world))
    assert max(int(frame.track_ids.max()) for frame in people) == 300


crowds = st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 9)), max_size=14)


@settings(max_examples=40, deadline=None)
@given(crowds, st.integers(1, 3))
def test_tracked_poses_are_input_poses_or_lie_in_short_gaps_between_them(
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
    people = tracked_offline(frames, min_track_evidence=0.2)

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
            assert any(a < t < b and (b - a) / 10 <= OFFLINE.max_interpolation_gap_s + 1e-9 for a, b in gaps)


@pytest.mark.parametrize("associate", [associate_online, lambda *each: associate_offline(lambda: each[0], *each[1:])()])
def test_tracked_poses_name_their_rows_among_the_poses_of_the_frame(associate: object) -> None:
    people = Walker(STROLL, missed=missed_in((20, 24))), Walker(line((20, 160), (120, 0)))
    frames = pose_frames(World(people, num_frames=60))
    settings = replace(OFFLINE, smooth="none", max_interpolation_gap_s=1.0)
    for frame, tracked in associate(frames, settings, COCO_17):  # type: ignore[operator]
        seen = tracked[~tracked.interpolated]
        np.testing.assert_array_equal(seen.poses.keypoints, frame.poses[seen.pose_rows].keypoints)
        assert (tracked.pose_rows[tracked.interpolated] == -1).all()
