"""Log odds of matches: what must hold for pairs of a standing person's track and poses nearby."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from posetrail.similarity import median_offsets
from posetrail.skeletons import COCO_17
from tests.worlds import STANDING
from tracker.association.likelihood import Pairs, appearance_log_odds, density_of_others, log_odds

VARIANCES = (2 * np.array(COCO_17.oks_sigmas)) ** 2
SIZE = np.array([40.0, 100.0])
BODY = STANDING * SIZE
BODY_SIZE = float(np.sqrt(SIZE.prod()))
BOX = np.array([0.0, 0.0, *SIZE])


def pairs(offset: tuple[float, float] = (0.0, 0.0), **changes: np.ndarray) -> Pairs:
    """One pair: a track seen in the last frame, and the same person `offset` pixels away."""
    one = Pairs(
        sizes=np.array([BODY_SIZE]),
        position_var=np.array([0.03**2]),
        others=np.array([0.01]),
        unseen_s=np.array([1 / 30]),
        predicted_boxes=BOX[None],
        predicted_keypoints=BODY[None],
        boxes=(BOX + np.tile(offset, 2))[None],
        keypoints=(BODY + np.array(offset))[None],
        joint_scores=np.full((1, 17), 0.9),
    )
    return replace(one, **changes)


def odds(one: Pairs) -> float:
    return float(log_odds(one, VARIANCES)[0])


def without_joints(one: Pairs) -> Pairs:
    return replace(one, keypoints=np.full((1, 17, 2), np.nan))


def test_the_same_pose_in_the_same_place_continues_the_track_a_distant_one_does_not() -> None:
    assert odds(pairs()) > 5
    assert odds(pairs((0.3 * BODY_SIZE, 0))) > 0  # a sprint
    assert odds(pairs((2 * BODY_SIZE, 0))) < 0
    assert odds(without_joints(pairs())) > 0 > odds(without_joints(pairs((2 * BODY_SIZE, 0))))


@given(st.floats(0, 300), st.floats(0, 300), st.floats(1.05, 3))
def test_odds_fall_with_the_distance(x: float, y: float, factor: float) -> None:
    assert odds(pairs((x * factor, y * factor))) <= odds(pairs((x, y))) + 1e-9


@given(st.floats(0.2, 8), st.floats(-500, 500), st.floats(-0.5, 0.5))
def test_neither_resolution_nor_place_matters(zoom: float, shift: float, step: float) -> None:
    one = pairs((step * BODY_SIZE, 0))
    moved = replace(
        one,
        sizes=one.sizes * zoom,
        **{
            name: getattr(one, name) * zoom + shift
            for name in ("predicted_boxes", "predicted_keypoints", "boxes", "keypoints")
        },
    )
    assert odds(moved) == pytest.approx(odds(one), abs=1e-6)


def test_a_track_expected_exactly_there_wins_against_one_that_may_be_anywhere() -> None:
    uncertain = pairs(position_var=np.array([0.8**2]), unseen_s=np.array([1.0]))
    assert odds(uncertain) < odds(pairs((0.1 * BODY_SIZE, 0))) < odds(pairs())


def test_at_some_distance_the_uncertain_track_is_the_better_explanation() -> None:
    offset = (1.2 * BODY_SIZE, 0.0)
    assert odds(pairs(offset, position_var=np.array([0.8**2]))) > odds(pairs(offset))


def test_people_at_the_same_place_are_told_apart_by_their_shape() -> None:
    arms_up = BODY.copy()
    arms_up[[7, 8, 9, 10], 1] -= 60  # elbows and wrists
    other = pairs(keypoints=arms_up[None])
    assert odds(other) < odds(pairs()) - 1


def test_joints_of_a_person_in_front_hardly_count() -> None:
    taken = BODY.copy()
    taken[11:] += [35, 0]  # hips, knees and ankles are those of someone beside
    assert odds(pairs(keypoints=taken[None])) > 0.5 * odds(pairs())


def test_a_missing_joint_does_not_matter_and_few_joints_count_as_none() -> None:
    part = BODY.copy()
    part[:5] = np.nan
    assert odds(pairs(keypoints=part[None])) == pytest.approx(odds(pairs()), abs=0.1)
    part[2:] = np.nan
    assert odds(pairs(keypoints=part[None])) == pytest.approx(odds(without_joints(pairs())))


def test_in_a_crowd_a_match_needs_more() -> None:
    alone = density_of_others(BOX[None], np.array([BODY_SIZE]))
    boxes = BOX + np.array([[0, 0, 0, 0], [30, 0, 30, 0], [900, 0, 900, 0]])
    crowd = density_of_others(boxes, np.full(3, BODY_SIZE))
    assert crowd[0] == crowd[1] > crowd[2] == alone[0]
    assert odds(pairs(others=crowd[:1])) < odds(pairs(others=alone))


@given(st.integers(0, 8), st.integers(0, 2**32 - 1))
def test_the_median_offset_ignores_up_to_half_of_the_joints(wrong: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    offsets = np.tile([3.0, -2.0], (1, 17, 1))
    offsets[0, rng.permutation(17)[:wrong]] = rng.normal(0, 500, (wrong, 2))
    median, enough = median_offsets(offsets)
    assert enough.all()
    assert np.allclose(median, [[3, -2]])


def test_the_median_offset_of_missing_joints_is_unknown() -> None:
    median, enough = median_offsets(np.full((2, 17, 2), np.nan))
    assert np.isnan(median).all()
    assert not enough.any()


def test_appearance_counts_after_some_time_only_and_not_where_it_is_missing() -> None:
    same, other, none = np.array([[1.0, 0]]), np.array([[0.0, 1]]), np.zeros((1, 2))
    soon, late = np.array([0.0]), np.array([2.0])
    assert appearance_log_odds(same, same, soon, 0.3) == 0
    assert appearance_log_odds(same, same, late, 0.3) > 0 > appearance_log_odds(same, other, late, 0.3)
    assert appearance_log_odds(none, same, late, 0.3) == 0
