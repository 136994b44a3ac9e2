"""IoU and OKS: cases worked out by hand, then what must always hold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from posetrail.similarity import box_iou, joint_similarity, keypoint_boxes, mean_joint_similarity, oks

coordinates = st.floats(-1000, 1000, width=32)


def test_two_boxes_that_share_a_quarter() -> None:
    a, b = np.array([[0.0, 0, 2, 2]]), np.array([[1.0, 1, 3, 3], [5, 5, 6, 6]])
    assert box_iou(a, b) == pytest.approx(np.array([[1 / 7, 0]]))


def test_iou_of_boxes_without_area_is_0() -> None:
    point = np.array([[1.0, 1, 1, 1]])
    assert box_iou(point, point) == 0


def test_oks_of_a_joint_one_sigma_off_is_exp_minus_one_half() -> None:
    # d^2 / (2 area (2 sigma)^2) with d = 2, area = 100, sigma = 0.1 is 4 / 8
    a, b = np.array([[[2.0, 0]]]), np.array([[[0.0, 0]]])
    assert oks(a, b, np.array([100.0]), (0.1,)) == pytest.approx(np.exp(-0.5))


def test_oks_counts_only_joints_both_have() -> None:
    a = np.array([[[0.0, 0], [np.nan, np.nan]]])
    b = np.array([[[0.0, 0], [9.0, 9.0]]])
    assert oks(a, b, np.array([100.0]), (0.1, 0.1)) == 1
    nothing_shared = np.array([[[np.nan, np.nan], [1.0, 1.0]]])
    assert oks(a, nothing_shared, np.array([100.0]), (0.1, 0.1)) == 0
    assert np.isnan(oks(a, nothing_shared, np.array([100.0]), (0.1, 0.1), none_shared=np.nan))


def test_areas_below_the_least_area_count_as_the_least_area() -> None:
    a, b, sigmas = np.array([[[2.0, 0]]]), np.array([[[0.0, 0]]]), (0.5,)
    assert oks(a, b, np.zeros(1), sigmas) == oks(a, b, np.ones(1), sigmas) == pytest.approx(np.exp(-2))
    assert oks(a, b, np.zeros(1), sigmas, min_area_px=4.0) == pytest.approx(np.exp(-0.5))
    # COCO's rule for people without area: only a perfect joint is similar
    coco = np.zeros(1) + np.spacing(1)
    assert oks(a, b, coco, sigmas, min_area_px=0.0) == 0
    assert oks(b, b, coco, sigmas, min_area_px=0.0) == 1


def test_oks_of_chosen_pairs_is_that_of_all_pairs() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.uniform(0, 50, (2, 4, 5, 2))
    a[rng.random((4, 5)) < 0.3] = np.nan
    areas, sigmas = rng.uniform(100, 1000, 4), np.full(5, 0.08)
    pairs = mean_joint_similarity(joint_similarity(a - b, areas, (2 * sigmas) ** 2), none_shared=0.0)
    assert pairs.tolist() == np.diag(oks(a, b, areas, sigmas)).tolist()


def test_joints_count_by_their_weights() -> None:
    similarity = np.array([[1.0, 0.5, np.nan], [1.0, 0.5, np.nan], [np.nan] * 3])
    weights = np.array([[3.0, 1.0, 7.0], [0.0, 0.0, 1.0], [1.0, 1.0, 1.0]])
    assert mean_joint_similarity(similarity, weights, none_shared=-1.0).tolist() == [0.875, -1, -1]
    assert mean_joint_similarity(similarity, none_shared=-1.0).tolist() == [0.75, 0.75, -1]


def test_missing_joints_do_not_change_the_box_around_keypoints() -> None:
    joints = np.array([[[1.0, 2], [3, 1], [np.nan, np.nan]], [[np.nan, np.nan]] * 3])
    boxes = keypoint_boxes(joints)
    assert boxes[0].tolist() == [1, 1, 3, 2]
    assert np.isnan(boxes[1]).all()


@given(arrays(np.float64, (4, 4), elements=coordinates), arrays(np.float64, (3, 4), elements=coordinates))
def test_iou_is_symmetric_and_within_bounds(a: np.ndarray, b: np.ndarray) -> None:
    iou = box_iou(a, b)
    assert ((iou >= 0) & (iou <= 1 + 1e-9)).all()
    assert iou == pytest.approx(box_iou(b, a).T)


@given(arrays(np.float64, (3, 5, 2), elements=coordinates), coordinates, st.floats(0.1, 10))
def test_oks_does_not_change_when_the_image_is_moved_and_scaled(people: np.ndarray, shift: float, scale: float) -> None:
    areas, sigmas = np.array([50.0, 100, 5000]), np.full(5, 0.08)
    before = oks(people, people[::-1], areas, sigmas)
    after = oks(people * scale + shift, people[::-1] * scale + shift, areas * scale**2, sigmas)
    if scale**2 * areas.min() >= 1:
        assert after == pytest.approx(before, abs=1e-6)
    assert np.diag(oks(people, people, areas, sigmas)) == pytest.approx(1)
