"""The selection of frames, joints and people that are scored."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval_posetrack.metrics.clean import clean, inside
from posetrail.errors import InputError
from tests.poses import POSE, clip_of

SQUARE = np.array([[0, 0], [10, 0], [10, 10], [0, 10]], float)
BOW_TIE = np.array([[0, 0], [10, 10], [10, 0], [0, 10]], float)


@pytest.mark.parametrize("turn", [1, -1])
def test_inside_is_strict_on_every_side_and_corner(turn: int) -> None:
    points = np.array([[5, 5], [0, 5], [10, 5], [5, 0], [5, 10], [0, 0], [10, 10], [-1, 0], [11, 10], [np.nan, 5]])
    assert inside(points, SQUARE[::turn]).tolist() == [True] + [False] * 9


def test_a_polygon_that_crosses_itself_follows_the_even_odd_rule() -> None:
    assert inside(np.array([[5.0, 1.0], [1.0, 5.0], [5.0, 5.0], [9.0, 5.0]]), BOW_TIE).tolist() == [
        False,
        True,
        False,
        True,
    ]


@given(
    corners=st.lists(st.tuples(st.integers(-20, 20), st.integers(-20, 20)), min_size=3, max_size=8),
    shift=st.integers(0, 7),
)
def test_start_and_direction_of_a_polygon_do_not_matter(corners: list[tuple[int, int]], shift: int) -> None:
    points = np.stack(np.meshgrid(np.arange(-21, 22, 3), np.arange(-21, 22, 3)), axis=-1).reshape(-1, 2).astype(float)
    polygon = np.array(corners, float)
    answer = inside(points, polygon)
    assert (inside(points, np.roll(polygon, shift, axis=0)) == answer).all()
    assert (inside(points, polygon[::-1]) == answer).all()
    assert (inside(-points, -polygon) == answer).all()


def test_frames_without_ground_truth_and_people_in_ignore_regions_are_dropped() -> None:
    ground_truth = clip_of([POSE, POSE + 500], frames=[1, 1], ids=[3, 4], num_frames=3)
    around = np.array([[400, 300], [700, 300], [700, 700], [400, 700]], float)
    ground_truth = replace(ground_truth, ignore_regions=((), (around,), ()))
    predictions = clip_of([POSE, POSE, POSE + 500, POSE], frames=[0, 1, 1, 2], ids=[1, 1, 2, 1])
    scene = clean(ground_truth, predictions)
    assert scene.frames.tolist() == [1]
    assert scene.ground_truth.ids.tolist() == [3]
    assert scene.predictions.ids.tolist() == [1]
    assert scene.ground_truth.head_sizes.tolist() == [30]


def test_only_the_joints_inside_an_ignore_region_are_dropped() -> None:
    region = np.array([[-200, 50], [200, 50], [200, 300], [-200, 300]], float)  # knees and ankles
    ground_truth = replace(clip_of([POSE]), ignore_regions=((region,),))
    scene = clean(ground_truth, clip_of([POSE]))
    assert (
        np.isfinite(scene.ground_truth.keypoints[0, :, 0]).sum()
        == np.isfinite(scene.predictions.keypoints[0, :, 0]).sum()
        == 11
    )


def test_a_2021_file_scores_labelled_frames_with_and_without_people() -> None:
    ground_truth = clip_of([POSE, POSE], frames=[0, 2], num_frames=4)
    ground_truth = replace(ground_truth, version=2021, labeled=np.array([True, True, False, False]))
    assert clean(ground_truth, clip_of([POSE], num_frames=4)).frames.tolist() == [0, 1]


def test_clips_that_do_not_fit_are_refused() -> None:
    ground_truth = clip_of([POSE, POSE + 500], num_frames=2)
    with pytest.raises(InputError, match="expected 2 predicted frames as in the ground truth, got 1"):
        clean(ground_truth, clip_of([POSE]))
    with pytest.raises(InputError, match=r"frame 0 \('000000.jpg'\): track_id 7 is there twice"):
        clean(ground_truth, clip_of([POSE, POSE], ids=[7, 7], num_frames=2))
    with pytest.raises(InputError, match="expected head boxes in the ground truth"):
        clean(replace(ground_truth, head_boxes=np.full((2, 4), np.nan)), ground_truth)
    with pytest.raises(InputError, match="stops at a track_id above 9999"):
        clean(ground_truth, replace(ground_truth, track_ids=ground_truth.track_ids + 10000), official=True)
