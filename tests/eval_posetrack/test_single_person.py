"""PCK curves with their area, PDJ, PCP and the crowd index: tables by hand, and what must hold of any poses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval_posetrack.metrics.crowd import crowd_index, crowd_levels
from eval_posetrack.metrics.single_person import (
    PCKH_RANGE,
    area_under,
    pck_curve,
    pcp,
    relative_distances,
    single_person_figures,
    torso_lengths,
)
from posetrail.skeletons import COCO_17, LSP_14, MPII_16

K = len(LSP_14)


def standing() -> np.ndarray:
    """(1, 14, 2): an upright person; thighs, shanks, upper arms and forearms are 40 px long, head and neck 20."""
    places = {"neck": (50, 20), "head_top": (50, 0)}
    for side, x in (("left", 70), ("right", 30)):
        places |= {f"{side}_shoulder": (x, 20), f"{side}_elbow": (x, 60), f"{side}_wrist": (x, 100)}
        places |= {f"{side}_hip": (x, 80), f"{side}_knee": (x, 120), f"{side}_ankle": (x, 160)}
    return np.array([[places[joint] for joint in LSP_14.joints]], float)


def moved(joint: str, x: float, y: float = 0.0) -> np.ndarray:
    keypoints = standing()
    keypoints[0, LSP_14.index(joint)] += (x, y)
    return keypoints


def test_the_curve_and_its_area_by_hand() -> None:
    distances = np.array([[0.0, 0.1, 0.3], [np.nan, np.inf, 0.5]])
    thresholds = np.array([0, 0.1, 0.2, 0.3, 0.4, 0.5])
    curve = pck_curve(distances, thresholds)
    assert curve.tolist() == [20, 40, 40, 60, 60, 80]
    assert area_under(thresholds, curve) == pytest.approx((20 / 2 + 40 + 40 + 60 + 60 + 80 / 2) / 5)
    assert np.isnan(pck_curve(np.full((2, 2), np.nan), thresholds)).all()


def test_distances_are_in_sizes_of_the_body() -> None:
    truth, found = standing(), moved("left_wrist", 30, 40)
    truth[0, LSP_14.index("right_wrist")] = np.nan
    found[0, LSP_14.index("right_knee")] = np.nan
    distances = relative_distances(found, truth, np.array([25.0]))
    assert distances[0, LSP_14.index("left_wrist")] == 2
    assert np.isnan(distances[0, LSP_14.index("right_wrist")])
    assert distances[0, LSP_14.index("right_knee")] == np.inf
    assert (distances[0] == 0).sum() == K - 3
    for size in (0.0, np.nan):
        assert np.isnan(relative_distances(found, truth, np.array([size]))).all()
    assert torso_lengths(standing(), LSP_14).tolist() == [np.hypot(40, 60)]


@pytest.mark.parametrize(
    ("found", "part", "strict", "loose"),
    [
        (standing(), "forearm", 100, 100),
        (moved("left_wrist", 19), "forearm", 100, 100),
        (moved("left_wrist", 21), "forearm", 50, 100),  # mean of 21 and 0 px is within 20 px
        (moved("left_wrist", 41), "forearm", 50, 50),
        (moved("left_elbow", 21), "upper_arm", 50, 100),
        (moved("left_elbow", np.nan), "forearm", 50, 50),
        (moved("head_top", 0, 11), "head", 0, 100),
        (moved("left_hip", 0, 59), "torso", 100, 100),  # the middle of the hips moves by half of it
        (moved("left_hip", 0, 61), "torso", 0, 100),
    ],
)
def test_parts_by_hand(found: np.ndarray, part: str, strict: float, loose: float) -> None:
    assert pcp(found, standing(), LSP_14)[part] == strict
    assert pcp(found, standing(), LSP_14, strict=False)[part] == loose


def test_parts_that_are_not_labelled_do_not_count() -> None:
    truth = np.concatenate([standing(), moved("left_wrist", np.nan)])
    found = np.concatenate([moved("left_wrist", 50)] * 2)
    table = pcp(found, truth, LSP_14)
    assert table["forearm"] == pytest.approx(200 / 3)
    assert table["all"] == pytest.approx(100 * 18 / 19)
    assert "head" not in pcp(np.zeros((1, 17, 2)), np.ones((1, 17, 2)), COCO_17)
    assert pcp(np.zeros((0, K, 2)), np.zeros((0, K, 2)), LSP_14) == {}


def test_figures_by_hand() -> None:
    found = moved("left_wrist", 11)
    figures = single_person_figures(found, standing(), LSP_14, np.array([20.0]))
    share = 100 * (K - 1) / K
    assert figures["PCKh@0.5"] == figures["PCKh@0.1"] == pytest.approx(share)  # 0.55 of the head
    assert figures["PDJ@0.1"] == pytest.approx(share)  # 0.15 of the torso
    assert figures["PDJ@0.2"] == 100
    assert figures["PCKh_AUC"] == pytest.approx(share)
    assert figures["PCP"] == figures["PCP_torso"] == figures["PCP_forearm"] == 100
    assert "PCKh@0.5" not in single_person_figures(found, standing(), LSP_14)
    assert "PDJ@0.2" in single_person_figures(np.ones((1, 16, 2)), np.random.default_rng(0).random((1, 16, 2)), MPII_16)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 999), noise=st.floats(0, 40), scale=st.floats(0.1, 10), missing=st.floats(0, 0.5))
def test_figures_of_any_poses(seed: int, noise: float, scale: float, missing: float) -> None:
    random = np.random.default_rng(seed)
    truth = standing() + random.normal(0, 5, (6, K, 2))
    truth[random.random((6, K)) < missing] = np.nan
    found = truth + random.normal(0, noise, truth.shape)
    found[random.random((6, K)) < missing / 2] = np.nan
    heads = random.uniform(10, 30, 6)
    figures = single_person_figures(found, truth, LSP_14, heads)
    assert all(0 <= value <= 100 for value in figures.values())
    for name in figures:  # a larger threshold never counts less, and the area lies below the end of its curve
        if name.endswith("_AUC"):
            assert figures[name] <= figures[f"{name[:-4]}@{0.5 if name.startswith('PCKh') else 0.2}"] + 1e-9
    assert figures.get("PCP", 0) <= figures.get("PCP_loose", 0)
    scaled = single_person_figures(scale * found, scale * truth, LSP_14, scale * heads)
    assert scaled.keys() == figures.keys()
    assert scaled == pytest.approx(figures, abs=3)  # rounding may move a joint across a threshold
    exact = single_person_figures(truth, truth, LSP_14, heads)
    assert [*exact.values()] == pytest.approx([100] * len(exact))
    curve = pck_curve(relative_distances(found, truth, heads), PCKH_RANGE)
    assert (np.diff(curve) >= 0).all()


def test_crowd_index_by_hand() -> None:
    boxes = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [100, 100, 110, 110]], float)
    keypoints = np.array(
        [
            [[1, 1], [2, 2], [6, 6], [np.nan, np.nan]],  # one of three is in the second box
            [[7, 7], [12, 1], [13, 2], [14, 3]],  # one of four is in the first box
            [[105, 105], [300, 300], [106, 106], [107, 107]],
        ]
    )
    assert crowd_index(boxes, keypoints) == pytest.approx((1 / 3 + 1 / 4 + 0) / 3)
    assert crowd_index(boxes[2:], keypoints[2:]) == 0
    assert crowd_index(boxes[:0], keypoints[:0]) == 0
    assert crowd_index(np.tile(boxes[:1], (5, 1)), np.tile(keypoints[:1], (5, 1, 1))) == 1  # at most
    assert crowd_levels(np.array([0, 0.09, 0.1, 0.5, 0.79, 0.8, 1])).tolist() == [0, 0, 1, 1, 1, 2, 2]
