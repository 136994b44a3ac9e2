"""Arrays of people: selection, joining, and what a wrong shape is told."""

from __future__ import annotations

import numpy as np
import pytest

from posetrail.poses import Detections, Poses, TrackedPoses


def poses(n: int, joints: int = 3) -> Poses:
    keypoints = np.arange(n * joints * 2, dtype=np.float32).reshape(n, joints, 2)
    return Poses(keypoints, np.ones((n, joints)), np.zeros((n, 4)), np.linspace(1, 0, n), np.zeros(n))


def test_rows_select_people_in_every_field() -> None:
    people = TrackedPoses(poses(3), [7, 8, 9])
    one = people[people.track_ids == 8]
    assert len(one) == 1
    assert one.track_ids.tolist() == [8]
    assert one.poses.keypoints[0, 0].tolist() == [6, 7]
    assert people[[2, 0]].track_ids.tolist() == [9, 7]
    assert len(people[1:]) == 2
    assert len(people[[]]) == 0


def test_parts_join_in_order() -> None:
    joined = Poses.concatenate([poses(2), Poses.empty(3), poses(1)])
    assert len(joined) == 3
    people = TrackedPoses.concatenate([TrackedPoses(poses(1), [4]), TrackedPoses(poses(1), [2])])
    assert people.track_ids.tolist() == [4, 2]


def test_no_people_have_length_zero() -> None:
    assert len(Detections.empty()) == len(Poses.empty(17)) == len(TrackedPoses.empty(17)) == 0
    assert Poses.empty(17).keypoints.shape == (0, 17, 2)


def test_the_error_for_a_wrong_shape_names_field_and_both_shapes() -> None:
    with pytest.raises(ValueError, match=r"Detections.boxes: expected shape \(N, 4\), got \(2, 5\)"):
        Detections(np.zeros((2, 5)), np.zeros(2))
    with pytest.raises(ValueError, match="boxes 2, scores 3"):
        Detections(np.zeros((2, 4)), np.zeros(3))
    with pytest.raises(ValueError, match="expected each id once in a frame"):
        TrackedPoses(poses(2), [5, 5])
    with pytest.raises(TypeError, match="single row"):
        poses(2)[0]
