"""Sequences of one person's joints: shapes and which joints are present."""

from __future__ import annotations

import numpy as np
import pytest

from posetrail.poses3d import PoseSequence


def test_a_joint_is_present_with_a_position_and_a_score() -> None:
    keypoints = np.zeros((1, 3, 2))
    keypoints[0, 1, 0] = np.nan
    sequence = PoseSequence(keypoints, [[0.5, 0.5, 0.0]], (640, 360))
    assert len(sequence) == 1
    assert sequence.present.tolist() == [[True, False, False]]


def test_a_sequence_may_be_empty() -> None:
    assert len(PoseSequence(np.zeros((0, 17, 2)), np.zeros((0, 17)), (640, 360))) == 0


def test_the_error_for_a_wrong_field_names_it() -> None:
    with pytest.raises(ValueError, match=r"PoseSequence.keypoints: expected shape \(T, K, 2\), got \(4, 17, 3\)"):
        PoseSequence(np.zeros((4, 17, 3)), np.zeros((4, 17)), (640, 360))
    with pytest.raises(ValueError, match=r"expected keypoint_scores of shape \(4, 17\)"):
        PoseSequence(np.zeros((4, 17, 2)), np.zeros((3, 17)), (640, 360))
    with pytest.raises(ValueError, match="expected a width and a height in pixels"):
        PoseSequence(np.zeros((4, 17, 2)), np.zeros((4, 17)), (640, 0))
