"""Joints of other skeletons as Human3.6M's, against recorded numbers of the published mappings."""

from __future__ import annotations

import numpy as np
import pytest

from posetrail.h36m_joints import to_h36m
from posetrail.joint_mapping import mapped
from posetrail.skeletons import AIC_14, COCO_17, CROWDPOSE_14, H36M_17, HALPE_26, POSETRACK_18, Skeleton
from tests.functions import recorded


@pytest.mark.parametrize("skeleton", [COCO_17, AIC_14, CROWDPOSE_14, HALPE_26], ids=lambda each: each.name)
def test_joints_equal_those_of_the_published_mappings(skeleton: Skeleton) -> None:
    name, numbers = skeleton.name.partition("_")[0], recorded("lift3d_joints")
    given, expected = numbers[name], numbers[f"{name}_to_h36m"]
    scores = given[..., 2] if given.shape[2] == 3 else np.ones(given.shape[:2])
    joints, joint_scores = to_h36m(given[..., :2], scores, skeleton, head_from_eyes=skeleton == COCO_17)
    np.testing.assert_allclose(joints, expected[..., :2], atol=1e-9)
    if given.shape[2] == 3:
        np.testing.assert_allclose(joint_scores, expected[..., 2], atol=1e-9)


def test_posetrack_joints_are_mapped_by_name() -> None:
    keypoints = np.random.default_rng(0).uniform(0, 100, (2, 18 - 1, 2))
    joints, _ = to_h36m(keypoints, np.ones((2, 17)), POSETRACK_18)
    for joint in ("nose", "head_top", "left_hip", "right_wrist"):
        np.testing.assert_array_equal(joints[:, H36M_17.index(joint)], keypoints[:, POSETRACK_18.index(joint)])
    shoulders = [POSETRACK_18.index("left_shoulder"), POSETRACK_18.index("right_shoulder")]
    np.testing.assert_allclose(joints[:, H36M_17.index("thorax")], keypoints[:, shoulders].mean(axis=1))


def test_a_mean_is_missing_if_one_side_is() -> None:
    keypoints, scores = np.ones((1, 17, 2)), np.ones((1, 17))
    keypoints[0, COCO_17.index("left_hip")], scores[0, COCO_17.index("left_hip")] = np.nan, 0
    joints, joint_scores = to_h36m(keypoints, scores, COCO_17)
    for joint in ("pelvis", "spine", "left_hip"):
        assert np.isnan(joints[0, H36M_17.index(joint)]).all()
        assert joint_scores[0, H36M_17.index(joint)] == 0
    np.testing.assert_array_equal(joints, mapped(keypoints, scores, COCO_17, H36M_17)[0])
