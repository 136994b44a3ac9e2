"""Suspects: a planted error is the most doubtful place of its kind, and a clip without errors has none."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from posetrail.skeletons import COCO_17
from tests.pose_frames import CROSSING, missed_in, pose_frames
from tests.worlds import Walker, World, line
from tracker.association.offline import OfflineTracks, offline_tracks
from tracker.association.suspect_poses import logged_poses
from tracker.association.suspects import Suspect, suspects
from tracker.frames import PoseFrame
from tracker.settings import AssociationSettings

SIZE = (640, 360)
TWO = World((Walker(line((100, 60), (60, 0))), Walker(line((300, 75), (-40, 0)))), num_frames=60)


def noisy(frames: list[PoseFrame], seed: int = 0, std_px: float = 0.7) -> list[PoseFrame]:
    """The frames with joints that move a little, as those of networks do."""
    rng = np.random.default_rng(seed)
    return [
        replace(f, poses=replace(f.poses, keypoints=f.poses.keypoints + rng.normal(0, std_px, f.poses.keypoints.shape)))
        for f in frames
    ]


def found(frames: list[PoseFrame], tracks: np.ndarray | None = None) -> list[Suspect]:
    """The suspects of frames; of these tracks (M,), or of those that offline association gives."""
    evidence = offline_tracks(frames, AssociationSettings(), COCO_17)
    ids = evidence.tracks if tracks is None else tracks
    return suspects(logged_poses(frames, 17, 0.1), ids, evidence.forward, evidence.backward, COCO_17, SIZE)


def of_kind(kind: str, every: list[Suspect]) -> list[Suspect]:
    return [each for each in every if each.kind == kind]


def rows_of(frames: list[PoseFrame]) -> tuple[np.ndarray, np.ndarray]:
    """The frame and the row of each pose."""
    counts = [len(frame.poses) for frame in frames]
    return np.repeat(np.arange(len(frames)), counts), np.concatenate([np.arange(n) for n in counts])


def moved(frames: list[PoseFrame], where: dict[int, np.ndarray]) -> list[PoseFrame]:
    """The frames with other keypoints (N, K, 2) in some of them."""
    return [replace(f, poses=replace(f.poses, keypoints=where[k])) if (k := f.index) in where else f for f in frames]


def test_people_who_walk_undisturbed_have_no_suspects() -> None:
    assert found(noisy(pose_frames(TWO))) == []


def test_a_clip_without_people_has_no_suspects() -> None:
    nothing = World((Walker(line((0, 0), (0, 0)), missed=lambda _: True),), num_frames=5)
    assert found(pose_frames(nothing)) == []


@pytest.mark.parametrize("at", [5, 30, 50])
def test_a_planted_exchange_of_ids_is_the_most_doubtful_place(at: int) -> None:
    frames = noisy(pose_frames(CROSSING))
    frame, row = rows_of(frames)
    exchanged = np.where((frame >= at) & (row < 2), 1 - row, row)
    worst, *others = found(frames, exchanged)
    assert worst.kind == "link"
    assert worst.frame <= at - 1 < at <= worst.last_frame
    assert worst.doubt > 0.5
    assert all(other.doubt < worst.doubt / 2 for other in others)
    assert worst.poses in (((at - 1, 0), (at, 1)), ((at - 1, 1), (at, 0)))
    assert worst.candidates == ((at, 1 - worst.poses[1][1]),)  # both tracks are one place
    assert worst.suspect_id == "link:" + "-".join(f"{f}.{r}" for f, r in worst.poses)
    assert "over to another person" in worst.reason or "exchange" in worst.reason


def test_a_track_broken_in_the_middle_is_a_birth_with_its_first_half_as_candidate() -> None:
    frames = noisy(pose_frames(TWO))
    frame, row = rows_of(frames)
    (worst, *_) = found(frames, np.where((frame >= 30) & (row == 0), 5, row))
    assert worst.kind in ("birth", "end")
    assert {worst.poses[0], worst.candidates[0]} == {(29, 0), (30, 0)}
    assert worst.doubt > 0.3


def test_a_birth_at_the_border_is_less_doubtful_than_one_away_from_it() -> None:
    def birth(x: float) -> float:
        other = Walker(line((x + 50, 60), (30, 0)), missed=missed_in((15, 50)))
        late = World((Walker(line((x, 60), (30, 0)), missed=missed_in((0, 20))), other), num_frames=50)
        frames = noisy(pose_frames(late))
        births = of_kind("birth", found(frames, (rows_of(frames)[0] >= 20).astype(int)))
        return births[0].doubt if births else 0.0

    assert birth(-25) < birth(250)


def test_a_joint_that_jumps_for_one_frame_is_found_with_its_name() -> None:
    frames = noisy(pose_frames(TWO))
    wrong = frames[30].poses.keypoints.copy()
    wrong[1, COCO_17.index("left_knee")] += 40
    (place,) = found(moved(frames, {30: wrong}))
    assert (place.kind, place.frame, place.last_frame, place.poses) == ("joint", 30, 30, ((30, 1),))
    assert "left knee" in place.reason
    assert place.parts["left_knee"] == 1


@pytest.mark.parametrize(("number", "end"), [(3, ""), (4, " and 1 other joint"), (5, " and 2 other joints")])
def test_of_many_joints_out_of_place_the_reason_names_three_and_counts_the_others(number: int, end: str) -> None:
    frames = noisy(pose_frames(TWO))
    wrong = frames[30].poses.keypoints.copy()
    joints = [COCO_17.index(f"left_{name}") for name in ("ankle", "elbow", "eye", "knee", "wrist")[:number]]
    wrong[1, joints] += 40
    (place,) = of_kind("joint", found(moved(frames, {30: wrong})))
    assert place.reason.endswith(f"out of place: left ankle 1, left elbow 1, left eye 1{end}.")


def test_left_and_right_legs_exchanged_over_a_stretch_are_one_flip() -> None:
    frames = noisy(pose_frames(TWO))
    legs = [k for k, name in enumerate(COCO_17.joints) if name.endswith(("hip", "knee", "ankle"))]
    where = {}
    for k in range(20, 28):
        where[k] = frames[k].poses.keypoints.copy()
        where[k][0, legs] = where[k][0, COCO_17.mirror[legs]]
    (flip,) = of_kind("flip", found(moved(frames, where)))
    assert (flip.frame, flip.last_frame, flip.poses) == (20, 27, ((20, 0), (27, 0)))
    assert "legs" in flip.reason


def test_two_tracks_on_one_person_are_a_duplicate() -> None:
    twins = World((Walker(line((100, 60), (60, 0))), Walker(line((103, 62), (60, 0)))), num_frames=40)
    frames = noisy(pose_frames(twins))
    duplicates = of_kind("duplicate", found(frames, rows_of(frames)[1]))
    assert len(duplicates) == 1
    assert (duplicates[0].frame, duplicates[0].last_frame) == (0, 39)


def test_a_gap_in_a_track_is_a_place() -> None:
    gap = World((Walker(line((100, 60), (60, 0)), missed=missed_in((20, 26))),), num_frames=60)
    places = found(noisy(pose_frames(gap)))
    assert [(each.frame, each.last_frame) for each in places] == [(19, 26)]


def test_frames_are_those_of_the_video_and_rows_those_of_the_log() -> None:
    frames = noisy(pose_frames(CROSSING))
    frame, row = rows_of(frames)
    exchanged = np.where((frame >= 30) & (row < 2), 1 - row, row)
    later = [replace(each, index=1000 + 2 * each.index) for each in frames]
    (worst, *_), (shifted, *_) = found(frames, exchanged), found(later, exchanged)
    assert [(1000 + 2 * f, r) for f, r in worst.poses] == list(shifted.poses)
    assert (shifted.frame, shifted.last_frame) == (1058, 1060)


def test_suspects_do_not_depend_on_the_numbers_of_the_tracks() -> None:
    frames = noisy(pose_frames(CROSSING))
    frame, row = rows_of(frames)
    exchanged = np.where((frame >= 30) & (row < 2), 1 - row, row)
    assert found(frames, exchanged) == found(frames, np.array([7, 3, 5])[exchanged])


def test_suspects_are_deterministic_and_worst_first() -> None:
    frames = noisy(pose_frames(CROSSING), std_px=4.0)
    every = found(frames)
    assert every == found(frames)
    assert [each.doubt for each in every] == sorted((each.doubt for each in every), reverse=True)
    assert len({each.suspect_id for each in every}) == len(every)
    assert all(0 <= each.doubt <= 1 and each.reason.endswith(".") for each in every)


def test_poses_without_joints_are_judged_by_their_boxes() -> None:
    frames = pose_frames(CROSSING, joints=False)
    frame, row = rows_of(frames)
    exchanged = np.where((frame >= 60) & (row < 2), 1 - row, row)
    (worst, *_) = found(frames, exchanged)
    assert worst.kind == "link"
    assert worst.frame <= 59 < 60 <= worst.last_frame


def test_finding_suspects_takes_less_time_than_association() -> None:
    frames = noisy(pose_frames(replace(CROSSING, num_frames=400)), std_px=2.0)
    begun = time.process_time()
    evidence = offline_tracks(frames, AssociationSettings(), COCO_17)
    associated = time.process_time()
    suspects(logged_poses(frames, 17, 0.1), *vars(evidence).values(), COCO_17, SIZE)
    assert time.process_time() - associated < associated - begun


def test_tracks_of_an_empty_log_have_no_evidence() -> None:
    empty = OfflineTracks(*np.zeros((3, 0), np.int32))
    nothing = logged_poses([], 17, 0.1)
    assert suspects(nothing, empty.tracks, empty.forward, empty.backward, COCO_17, SIZE) == []
