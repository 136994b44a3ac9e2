"""Suppression, greedy and by merging: examples worked out by hand, properties, and results of published code."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from posetrail.nms import merge_poses, nms
from posetrail.similarity import box_iou, keypoint_boxes, oks
from posetrail.skeletons import COCO_17
from tests.functions import recorded

distinct_scores = st.permutations(range(6)).map(lambda ranks: (np.array(ranks) + 1) / 7)
similarities = arrays(np.float64, (6, 6), elements=st.floats(0, 1)).map(
    lambda a: np.maximum(a, a.T) * (1 - np.eye(6)) + np.eye(6)
)
orders = st.permutations(range(6)).map(np.array)


def crowd(seed: int, people: int = 3, finds: int = 4) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Keypoints, scores and boxes of well separated people, each found several times within a pixel."""
    rng = np.random.default_rng(seed)
    bodies = rng.uniform(0, 200, (people, 1, 17, 2)) + np.arange(people)[:, None, None, None] * 400
    keypoints = (bodies + rng.uniform(-0.5, 0.5, (people, finds, 17, 2))).reshape(-1, 17, 2)
    return keypoints, rng.uniform(0.35, 1, keypoints.shape[:2]), keypoint_boxes(keypoints)


def test_suppression_keeps_the_best_of_each_cluster() -> None:
    similarity = np.array([[1, 0.9, 0], [0.9, 1, 0.6], [0, 0.6, 1]])
    assert nms(similarity, np.array([0.5, 0.9, 0.8]), 0.55).tolist() == [1]
    assert nms(similarity, np.array([0.9, 0.5, 0.8]), 0.55).tolist() == [0, 2]
    assert nms(np.zeros((0, 0)), np.zeros(0), 0.5).tolist() == []


def test_merging_replaces_a_hidden_joint_by_a_confident_one() -> None:
    joints = np.arange(34.0).reshape(17, 2) * 10
    keypoints, scores = np.stack([joints, joints]), np.full((2, 17), 0.8)
    keypoints[0, 3] += 4  # a little off, and known to be unsure
    scores[0] = 0.9
    scores[0, 3] = 0.01
    rows, merged, merged_scores = merge_poses(keypoints, scores, keypoint_boxes(keypoints))
    assert rows.tolist() == [0]
    np.testing.assert_allclose(merged[0, 3], joints[3], atol=0.6)
    assert merged_scores[0, 3] > 0.7


def test_merging_drops_people_without_a_confident_joint() -> None:
    keypoints, scores, boxes = crowd(seed=0)
    scores[8:] = 0.2
    rows, merged, merged_scores = merge_poses(keypoints, scores, boxes)
    assert sorted(rows // 4) == [0, 1]
    np.testing.assert_allclose(merged, keypoints[rows], atol=1)
    assert ((merged_scores > 0.35) & (merged_scores < 1)).all()
    nobody = merge_poses(keypoints[:0], scores[:0], boxes[:0])
    assert [part.shape for part in nobody] == [(0,), (0, 17, 2), (0, 17)]


def test_merging_does_not_add_joints_that_the_best_pose_lacks() -> None:
    keypoints, scores, boxes = crowd(seed=1, people=1)
    best = scores.mean(axis=1).argmax()
    keypoints[best, 5], scores[best, 5] = np.nan, 0
    scores[best, :5] = 1
    _, merged, merged_scores = merge_poses(keypoints, scores, boxes)
    assert np.isnan(merged[0, 5]).all()
    assert merged_scores[0, 5] == 0
    assert np.isfinite(np.delete(merged[0], 5, axis=0)).all()


@given(similarity=similarities, scores=distinct_scores, threshold=st.floats(0, 1), order=orders)
def test_suppression_is_idempotent_and_independent_of_order(
    similarity: np.ndarray, scores: np.ndarray, threshold: float, order: np.ndarray
) -> None:
    kept = nms(similarity, scores, threshold)
    assert (np.diff(scores[kept]) < 0).all()
    among = similarity[np.ix_(kept, kept)]
    assert (among[~np.eye(len(kept), dtype=bool)] <= threshold).all()
    assert (similarity[:, kept].max(axis=1) >= np.where(np.isin(range(6), kept), 0, threshold)).all()
    assert nms(among, scores[kept], threshold).tolist() == list(range(len(kept)))
    shuffled = nms(similarity[np.ix_(order, order)], scores[order], threshold)
    assert order[shuffled].tolist() == kept.tolist()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000))
def test_merging_returns_each_person_once_in_any_order(seed: int) -> None:
    keypoints, scores, boxes = crowd(seed)
    rows, merged, _ = merge_poses(keypoints, scores, boxes)
    assert sorted(rows // 4) == [0, 1, 2]
    order = np.random.default_rng(seed).permutation(len(keypoints))
    other_rows, other_merged, _ = merge_poses(keypoints[order], scores[order], boxes[order])
    assert order[other_rows].tolist() == rows.tolist()
    np.testing.assert_allclose(other_merged, merged)
    again, unchanged, _ = merge_poses(merged, scores[rows], boxes[rows])
    assert len(again) == len(rows)
    np.testing.assert_allclose(unchanged, merged[again])


# Published code's answers


def hrnet_similarity(golden: dict[str, np.ndarray], min_visibility: float | None = None) -> np.ndarray:
    """HRNet's OKS: by the mean of both areas; where asked, over the joints that are visible in the second person."""
    places, visibility, areas = golden["keypoints"][..., :2], golden["keypoints"][..., 2], golden["areas"]
    seen = places if min_visibility is None else np.where((visibility > min_visibility)[..., None], places, np.nan)
    return oks(places, seen, (areas[:, None] + areas) / 2, COCO_17.oks_sigmas)


def test_oks_as_hrnet_published_it() -> None:
    golden = recorded("oks_nms")
    np.testing.assert_allclose(hrnet_similarity(golden), golden["oks_matrix"], atol=1e-12)
    np.testing.assert_allclose(hrnet_similarity(golden, 0.2), golden["oks_matrix_vis0.2"], atol=1e-12)


@pytest.mark.parametrize("threshold", ["0.3", "0.5", "0.9"])
def test_oks_nms_as_hrnet_published_it(threshold: str) -> None:
    golden = recorded("oks_nms")
    # Of equal scores it takes the last first: in reverse, ours does.
    similarity, scores = hrnet_similarity(golden)[::-1, ::-1], golden["scores"][::-1]
    last = len(scores) - 1
    assert (last - nms(similarity, scores, float(threshold))).tolist() == golden[f"keep_{threshold}"].tolist()


@pytest.mark.parametrize("threshold", ["0.3", "0.5"])
def test_box_nms_as_hrnet_published_it(threshold: str) -> None:
    golden = recorded("oks_nms")
    boxes = golden["boxes"][:, :4] + [0, 0, 1, 1]  # its boxes include their last pixels
    kept = nms(box_iou(boxes, boxes), golden["boxes"][:, 4], float(threshold))
    assert kept.tolist() == golden[f"boxkeep_{threshold}"].tolist()


def test_pose_nms_as_alphapose_published_it() -> None:
    golden = recorded("alphapose_pose_nms")
    cases = sorted({key.split("_")[0] for key in golden})
    for case in cases:
        inputs = {name: golden[f"{case}_{name}"] for name in ("poses", "pose_scores", "boxes")}
        rows, merged, scores = merge_poses(inputs["poses"], inputs["pose_scores"][..., 0], inputs["boxes"])
        assert rows.tolist() == golden[f"{case}_out_pick"].tolist()
        np.testing.assert_allclose(merged, golden[f"{case}_out_poses"], atol=1e-3)
        np.testing.assert_allclose(scores, golden[f"{case}_out_scores"][..., 0], atol=1e-5)
