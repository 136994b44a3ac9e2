"""Hands and faces: where their boxes lie, and that their joints are added to those of the body."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from estimators.parts import Parts, face_boxes, hand_boxes
from posetrail.errors import InputError
from posetrail.frame import Frame
from posetrail.poses import Poses
from posetrail.skeletons import COCO_17, COCO_WHOLEBODY_133, FACE_68, HAND_21, LSP_14, Skeleton
from tests.frames import frames_of
from tests.worlds import STANDING

BOX = np.array([100.0, 50, 300, 550])


@dataclass
class Middle:
    """Puts all joints of a part into the middle of its box, and records the boxes."""

    skeleton: Skeleton
    boxes: list[np.ndarray] = field(default_factory=list)

    def __call__(self, frames: Sequence[Frame], boxes: Sequence[np.ndarray]) -> list[Poses]:
        self.boxes += boxes
        K = len(self.skeleton)
        answers = []
        for each in boxes:
            middles = np.repeat((each[:, None, :2] + each[:, None, 2:]) / 2, K, axis=1)
            scores = np.where(np.isnan(middles[:, :, 0]), 0, 0.7)
            answers.append(Poses(middles, scores, each, np.ones(len(each)), np.zeros(len(each))))
        return answers


def standing(*, hidden: tuple[str, ...] = (), scale: float = 1.0) -> Poses:
    keypoints = (BOX[:2] + STANDING * (BOX[2:] - BOX[:2]))[None] * scale
    scores = np.full((1, 17), 0.9)
    scores[0, [COCO_17.index(joint) for joint in hidden]] = 0.1
    return Poses(keypoints, scores, BOX[None] * scale, np.ones(1), np.zeros(1))


def joint(poses: Poses, name: str) -> np.ndarray:
    return poses.keypoints[0, COCO_17.index(name)].astype(float)


def test_a_hand_lies_beyond_the_wrist_and_is_as_large_as_the_forearm() -> None:
    poses = standing()
    elbow, wrist = joint(poses, "left_elbow"), joint(poses, "left_wrist")
    forearm = np.linalg.norm(wrist - elbow)
    upper_arm = np.linalg.norm(elbow - joint(poses, "left_shoulder"))
    x1, y1, x2, y2 = hand_boxes(poses, COCO_17)[0, 0]
    assert np.allclose([(x1 + x2) / 2, (y1 + y2) / 2], wrist + (wrist - elbow) / 3)
    assert x2 - x1 == pytest.approx(y2 - y1) == pytest.approx(max(forearm, 0.9 * upper_arm))


def test_a_forearm_that_points_at_the_camera_does_not_make_the_hand_small() -> None:
    poses = standing()
    poses.keypoints[0, COCO_17.index("left_wrist")] = joint(poses, "left_elbow") + np.array([1, 0])
    x1, _, x2, _ = hand_boxes(poses, COCO_17)[0, 0]
    assert x2 - x1 == pytest.approx(0.9 * np.linalg.norm(joint(poses, "left_elbow") - joint(poses, "left_shoulder")))


def test_parts_need_confident_joints_of_the_body() -> None:
    left, right = hand_boxes(standing(hidden=("left_elbow",)), COCO_17)[0]
    assert np.isnan(left).all()
    assert np.isfinite(right).all()
    assert np.isnan(face_boxes(standing(hidden=("nose", "left_eye", "right_eye")), COCO_17)).all()  # from behind
    assert np.isnan(face_boxes(standing(hidden=COCO_17.joints[1:5]), COCO_17)).all()
    assert np.isnan(hand_boxes(standing(scale=0.1), COCO_17)).all()  # too small to be made out


def test_a_face_is_two_and_a_half_ear_distances_large_from_the_front_and_keeps_its_size_from_the_side() -> None:
    poses = standing()
    ears = np.linalg.norm(joint(poses, "left_ear") - joint(poses, "right_ear"))
    x1, _, x2, _ = face_boxes(poses, COCO_17)[0]
    assert 1.25 * (x2 - x1) == pytest.approx(2.5 * ears, rel=0.15)
    assert (x1 + x2) / 2 == pytest.approx(200)
    side = standing(hidden=("right_eye", "right_ear"))
    side.keypoints[0, COCO_17.index("nose")] = joint(side, "left_ear") + np.array([0.85 * ears, 10])
    x1, _, x2, _ = face_boxes(side, COCO_17)[0]
    assert x2 - x1 == pytest.approx(2 * ears, rel=0.1)
    assert x1 < joint(side, "left_ear")[0] < joint(side, "nose")[0] < x2


def test_boxes_of_a_mirrored_person_are_mirrored() -> None:
    poses = standing()
    poses.keypoints[0] += np.random.default_rng(0).normal(0, 9, (17, 2)).astype(np.float32)
    flipped = Poses(
        poses.keypoints[:, COCO_17.mirror] * [-1, 1], poses.keypoint_scores, poses.boxes, np.ones(1), np.zeros(1)
    )
    turned = [-1, 1, -1, 1] * hand_boxes(flipped, COCO_17)[:, ::-1][:, :, [2, 1, 0, 3]]
    assert np.allclose(turned, hand_boxes(poses, COCO_17))
    assert np.allclose([-1, 1, -1, 1] * face_boxes(flipped, COCO_17)[:, [2, 1, 0, 3]], face_boxes(poses, COCO_17))


def test_joints_of_parts_follow_those_of_the_body_under_the_names_of_whole_bodies() -> None:
    parts = Parts(COCO_17, hands=Middle(HAND_21), faces=Middle(FACE_68))
    poses = standing(hidden=("right_wrist",))
    (whole, none) = parts(frames_of([np.zeros((9, 9, 3), np.uint8)] * 2), [poses, Poses.empty(17)])
    skeleton = parts.skeleton
    assert len(skeleton) == 17 + 42 + 68
    assert set(skeleton.joints) < set(COCO_WHOLEBODY_133.joints)
    assert set(skeleton.limbs) <= set(COCO_WHOLEBODY_133.limbs)
    assert skeleton.body.tolist() == list(range(17))
    assert np.array_equal(whole.keypoints[:, :17], poses.keypoints)
    left, right = (skeleton.index(f"{side}_thumb_1") for side in ("left", "right"))
    assert whole.keypoints[0, left] == pytest.approx(hand_boxes(poses, COCO_17)[0, 0].reshape(2, 2).mean(axis=0))
    assert np.isnan(whole.keypoints[0, right]).all()
    assert whole.keypoint_scores[0, [left, right]].tolist() == pytest.approx([0.7, 0])
    assert np.isfinite(whole.keypoints[0, skeleton.index("chin")]).all()
    assert none.keypoints.shape == (0, 127, 2)


def test_networks_and_bodies_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match="hands: expected a network for hand_21, got one for face_68"):
        Parts(COCO_17, hands=Middle(FACE_68))
    with pytest.raises(InputError, match=r"faces: expected an estimator of bodies with .*, got one without left_ear"):
        Parts(LSP_14, faces=Middle(FACE_68))
    with pytest.raises(InputError, match="bodies without their joints, got one for coco_wholebody_133"):
        Parts(COCO_WHOLEBODY_133, hands=Middle(HAND_21))


class LeftHands(Middle):
    """Knows left hands only: puts all joints on the right edge of its box."""

    only_left_hands = True

    def __call__(self, frames: Sequence[Frame], boxes: Sequence[np.ndarray]) -> list[Poses]:
        answers = super().__call__(frames, boxes)
        for poses, each in zip(answers, boxes, strict=True):
            poses.keypoints[..., 0] = each[:, 2:3]
        return answers


def test_right_hands_are_mirrored_for_a_network_that_knows_left_hands() -> None:
    hands = LeftHands(HAND_21)
    poses = standing()
    [with_hands] = Parts(COCO_17, hands=hands)(frames_of([np.zeros((600, 400, 3), np.uint8)]), [poses])
    left, right = hand_boxes(poses, COCO_17)[0]
    np.testing.assert_allclose(with_hands.keypoints[0, 17:38, 0], left[2], atol=1e-3)
    np.testing.assert_allclose(with_hands.keypoints[0, 38:59, 0], right[0], atol=1e-3)
    np.testing.assert_allclose(hands.boxes[1][0, ::2], [399 - right[2], 399 - right[0]], atol=1e-3)
