"""Skeletons and the one way from COCO to PoseTrack."""

from __future__ import annotations

import numpy as np
import pytest

from core.skeletons import COCO_17, POSETRACK_15, SKELETONS, Skeleton, coco_to_posetrack


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=SKELETONS)
def test_mirroring_twice_is_no_change(skeleton: Skeleton) -> None:
    assert (skeleton.mirror[skeleton.mirror] == np.arange(len(skeleton))).all()
    assert skeleton.joints[skeleton.mirror[skeleton.index("left_knee")]] == "right_knee"


def test_thirteen_joints_are_the_same_and_two_lie_on_the_line_from_shoulders_to_face() -> None:
    keypoints, scores = np.zeros((1, 17, 2)), np.full((1, 17), 0.8)
    keypoints[0, :, 0] = np.arange(17)
    for joint in ("left_shoulder", "right_shoulder"):
        keypoints[0, COCO_17.index(joint)] = 10, 100
    for joint in ("nose", "left_eye", "right_eye", "left_ear", "right_ear"):
        keypoints[0, COCO_17.index(joint)] = 10, 80
    out, out_scores = coco_to_posetrack(keypoints, scores)
    assert out[0, POSETRACK_15.index("neck")] == pytest.approx([10, 94])
    assert out[0, POSETRACK_15.index("head_top")] == pytest.approx([10, 68])
    assert out[0, POSETRACK_15.index("left_knee")].tolist() == keypoints[0, COCO_17.index("left_knee")].tolist()
    assert out_scores == pytest.approx(0.8)


def test_without_a_shoulder_there_is_no_neck() -> None:
    keypoints, scores = np.ones((1, 17, 2)), np.ones((1, 17))
    keypoints[0, COCO_17.index("left_shoulder")], scores[0, COCO_17.index("left_shoulder")] = np.nan, 0
    out, out_scores = coco_to_posetrack(keypoints, scores)
    assert np.isnan(out[0, POSETRACK_15.index("neck")]).all()
    assert out_scores[0, POSETRACK_15.index("neck")] == 0


def test_an_unknown_joint_is_told_the_known_ones() -> None:
    with pytest.raises(ValueError, match="coco_17 has no joint 'tail'"):
        COCO_17.index("tail")
