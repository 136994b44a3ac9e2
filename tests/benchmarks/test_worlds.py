"""The worlds of the association benchmark are reproducible and consistent, and their noise has the stated rates."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.mot15 import count as count_boxes
from benchmarks.noise import HARD, LONGEST_BURST, Noise, observe_with_owners
from benchmarks.scoring import perfect, score
from benchmarks.sequence_trackers import Greedy, Posetrail
from benchmarks.sequences import Sequence, sequence
from benchmarks.worlds import KINDS, World, fitted_similarity, make_world
from posetrail.poses import Poses, TrackedPoses
from posetrail.similarity import keypoint_boxes
from tracker.settings import AssociationSettings

NO_NOISE = replace(
    HARD, missing=0, jitter=0, lost_joints=0, swapped=0, duplicates=0, merged=0, false=0, box_jitter=0
)  # fmt: skip


def world(kind: str = "walk", seed: int = 5, people: int = 6, frames: int = 40) -> World:
    return make_world(kind, np.random.default_rng(seed), people=people, frames=frames)


def seen(kind: str = "walk", seed: int = 5, noise: Noise = HARD) -> Sequence:
    return sequence(kind, world(kind, seed), noise, "usual", np.random.default_rng(seed))


@pytest.fixture(scope="module")
def crowd() -> World:
    return world("crowd", people=30, frames=60)


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_determines_the_world(kind: str) -> None:
    a, b, other = (world(kind, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(a.people.keypoints, b.people.keypoints)
    assert (
        a.people.keypoints.shape != other.people.keypoints.shape or (a.people.keypoints != other.people.keypoints).any()
    )
    first, second = (seen(kind, 1).joints for _ in range(2))
    for x, y in zip(first, second, strict=True):
        np.testing.assert_array_equal(x.keypoints, y.keypoints)


def test_ground_truth_scored_against_itself_is_100() -> None:
    made = seen("dance")
    clip = made.ground_truth
    ground_truth = {(t, i): row for row, (t, i) in enumerate(zip(clip.frames, clip.track_ids, strict=True))}
    assert len(ground_truth) == len(clip)  # nobody stands twice in a frame

    own = world("dance").people
    frames = [
        Poses(own[rows].keypoints, own[rows].annotated, own[rows].boxes, np.ones(rows.sum()), np.zeros(rows.sum()))
        for t in range(40)
        for rows in [(own.frames == t) & own.annotated.any(axis=1)]
    ]
    frames = [replace(p, keypoints=np.where(p.keypoint_scores[..., None] > 0, p.keypoints, np.nan)) for p in frames]
    ids = [own.ids[(own.frames == t) & own.annotated.any(axis=1)] for t in range(40)]
    row = score([made], lambda _: [TrackedPoses(p, i) for p, i in zip(frames, ids, strict=True)])
    assert row.idf1_people == 100
    assert row.switches == row.switches_people == 0
    # Head top and neck may fall just outside the picture, where nothing is annotated.
    assert min(row.mota, row.idf1, row.hota) > 99


def test_people_have_their_stated_height_and_are_inside_their_box() -> None:
    people = world("walk").people
    whole = people[people.in_view.all(axis=1)]
    box = keypoint_boxes(whole.keypoints)
    tall = (box[:, 3] - box[:, 1]) / whole.heights
    assert 0.75 < np.median(tall) < 1.0  # COCO's joints end at the eyes and ankles
    assert (whole.boxes[:, :2] <= box[:, :2]).all()
    assert (whole.boxes[:, 2:] >= box[:, 2:]).all()


def test_nearer_people_hide_farther_ones() -> None:
    people = world("crowd", people=30).people
    hidden = people.hidden.any(axis=1)
    assert 0.1 < hidden.mean() < 0.9
    nearest = np.array([people.heights[people.frames == t].argmax() for t in range(40)])
    rows = [np.flatnonzero(people.frames == t)[n] for t, n in enumerate(nearest)]
    assert people.hidden[rows].mean() < people.hidden.mean() / 2


def test_the_camera_matrix_moves_the_background_as_the_image_does() -> None:
    still = make_world(replace(KINDS["walk"], camera=("static",)), np.random.default_rng(0), people=2, frames=10)
    moving = make_world(replace(KINDS["walk"], camera=("pan",)), np.random.default_rng(0), people=2, frames=10)
    if np.abs(still.camera - np.eye(2, 3)).max() > 1e-6:
        pytest.fail("a camera that stands still moves the background")
    assert np.abs(moving.camera[1:, 0, 2]).max() > 1
    points = np.random.default_rng(0).uniform(0, 500, (9, 2))
    matrix = np.array([[0.9, -0.2, 5.0], [0.2, 0.9, -3.0]])
    np.testing.assert_allclose(fitted_similarity(points, points @ matrix[:, :2].T + matrix[:, 2]), matrix)


def test_of_the_annotated_16_percent_are_missing_in_bursts_of_at_most_15_frames(crowd: World) -> None:
    noise = replace(HARD, merged=0)
    found = observe_with_owners(crowd, noise, "usual", np.random.default_rng(0))
    there = {(t, i) for t, (_, owners) in enumerate(found) for i in owners.tolist()}
    people = crowd.people[crowd.people.annotated.any(axis=1)]
    keys = list(zip(people.frames.tolist(), people.ids.tolist(), strict=True))
    missing = [key not in there for key in keys]
    assert np.mean(missing) == pytest.approx(0.16, abs=0.02)
    gone = {key for key, lost in zip(keys, missing, strict=True) if lost}
    shows = crowd.people.visible.mean(axis=1)
    hardly = {(t, i) for t, i, s in zip(crowd.people.frames, crowd.people.ids, shows, strict=True) if s < 0.5}
    for t, i in gone:
        run = {(t + k, i) for k in range(LONGEST_BURST + 1)}
        assert not run <= gone or run & hardly  # longer only for who is hidden anyway


def test_false_and_duplicate_people_have_the_given_rates(crowd: World) -> None:
    found = observe_with_owners(crowd, HARD, "usual", np.random.default_rng(0))
    nobodys = sum((owners < 0).sum() for _, owners in found)
    annotated = crowd.people.annotated.any(axis=1).sum()
    assert nobodys / annotated == pytest.approx(HARD.false + HARD.duplicates, abs=0.015)


def test_the_order_of_rows_does_not_reveal_identities(crowd: World) -> None:
    found = observe_with_owners(crowd, HARD, "usual", np.random.default_rng(0))
    sorted_pairs = [np.mean(np.diff(owners[owners >= 0]) > 0) for _, owners in found]
    assert np.mean(sorted_pairs) == pytest.approx(0.5, abs=0.06)


def test_true_people_score_higher_but_not_always(crowd: World) -> None:
    for profile in ("usual", "sure", "shy"):
        found = observe_with_owners(crowd, HARD, profile, np.random.default_rng(0))
        true = np.concatenate([poses.quality[owners >= 0] for poses, owners in found])
        false = np.concatenate([poses.quality[owners < 0] for poses, owners in found])
        better = (true[:, None] > false[None]).mean()
        assert 0.75 < better < 0.98, profile


def test_without_noise_all_visible_joints_are_observed_exactly() -> None:
    made = world("stand")
    for t, (poses, owners) in enumerate(observe_with_owners(made, NO_NOISE, "usual", np.random.default_rng(0))):
        people = made.people[made.people.frames == t]
        for keypoints, owner in zip(poses.keypoints, owners, strict=True):
            true = people.keypoints[people.ids == owner][0]
            assert np.nanmax(np.abs(keypoints - true)) < 1e-2


def test_perfect_ids_score_highest_and_boxes_are_scored_by_their_joints() -> None:
    made = [seen("crowd"), seen("sport")]
    best, ours, greedy = (
        score(made, f) for f in (perfect, Posetrail(AssociationSettings(offline=False)), Greedy("iou", 1, 0.3))
    )
    assert best.idf1_people > ours.idf1_people > greedy.idf1_people
    assert best.switches_people == 0
    boxes = [sequence("boxes", world("sport"), HARD, "usual", np.random.default_rng(5), boxes_only=True)]
    joints = [sequence("boxes", world("sport"), HARD, "usual", np.random.default_rng(5))]
    assert np.isnan(boxes[0].frames[3][0].keypoints).all()
    assert score(boxes, Greedy("iou", 1, 0.3)).mota == score(joints, Greedy("iou", 1, 0.3)).mota


def test_counts_of_boxes_are_those_computed_by_hand() -> None:
    """Two people whose ids are exchanged in the end; one of them is missed once, and one box is false."""
    left, right, nowhere = ([0.0, 0, 10, 10], [100.0, 0, 110, 10], [500.0, 0, 510, 10])
    ground_truth = [(np.array([1, 2]), np.array([left, right]))] * 4

    def tracked(ids: list[int], boxes: list[list[float]]) -> TrackedPoses:
        n = len(ids)
        return TrackedPoses(Poses(np.full((n, 1, 2), np.nan), np.zeros((n, 1)), boxes, np.ones(n), np.zeros(n)), ids)

    found = [
        tracked([7, 8], [left, right]),
        tracked([7, 8], [left, right]),
        tracked([7, 9], [left, nowhere]),
        tracked([8, 7], [left, right]),
    ]
    annotated, predicted, matched, switches, identified = count_boxes(ground_truth, found)
    assert (annotated, predicted, matched, switches) == (8, 8, 7, 2)
    assert identified == 5
