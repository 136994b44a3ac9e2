"""Whole bodies: hands and faces estimated beside a body, and associations that do not depend on their points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from estimators.parts import Parts
from posetrail.errors import InputError
from posetrail.frame import Frame
from posetrail.poses import Poses
from posetrail.skeletons import COCO_17, COCO_WHOLEBODY_133, FACE_68, HAND_21, Skeleton
from tests.pose_frames import CROSSING, pose_frames
from tests.worlds import TruthDetector, TruthEstimator, Walker, World, line
from tracker.association.offline import associate_offline
from tracker.association.tracker import associate_online
from tracker.frames import PoseFrame, PropagatedPoses
from tracker.inference.parts import bodies_of
from tracker.inference.pipeline import infer
from tracker.inference.propagation import create_flow
from tracker.runs.infer import infer_source
from tracker.runs.networks import Networks, check_weights, open_networks
from tracker.settings import AssociationSettings, InferenceSettings, NetworkSettings, Settings

WALKERS = (Walker(line((20, 60), (60, 0)), size=(80, 200)), Walker(line((500, 20), (-60, 0)), size=(80, 200)))
WORLD = World(WALKERS, num_frames=20)


@dataclass
class Corners:
    """Joints of a part between the corners of its box."""

    skeleton: Skeleton
    weights = None

    def __call__(self, frames: Sequence[Frame], boxes: Sequence[np.ndarray]) -> list[Poses]:
        share = np.linspace(0.2, 0.8, len(self.skeleton))[None, :, None]
        answers = []
        for each in boxes:
            places = each[:, None, :2] * (1 - share) + each[:, None, 2:] * share
            scores = np.where(np.isnan(places[:, :, 0]), 0, 0.6)
            answers.append(Poses(places, scores, each, np.ones(len(each)), np.zeros(len(each))))
        return answers


@dataclass
class Clip:
    """As much of a tracker.io.video.Source as inference reads."""

    world: World

    def frames(self) -> list[Frame]:
        return self.world.frames()


def networks(*, parts: bool) -> Networks:
    added = Parts(COCO_17, hands=Corners(HAND_21), faces=Corners(FACE_68)) if parts else None
    return Networks(
        TruthDetector(WORLD),
        TruthEstimator(WORLD),
        create_flow("lk", weights=None, device="cpu"),
        (),
        "cpu",
        parts=added,
    )


def inferred(*, parts: bool, known: Sequence[PoseFrame] = ()) -> list[PoseFrame]:
    settings = Settings(inference=InferenceSettings(detect_every=3))
    return [found for _, found in infer_source(Clip(WORLD), networks(parts=parts), settings, known)]  # type: ignore[arg-type]


def test_hands_and_faces_change_nothing_of_the_bodies_and_resume_to_the_same_poses() -> None:
    whole, bodies = inferred(parts=True), inferred(parts=False)
    assert {frame.poses.keypoints.shape[1] for frame in whole} == {127}
    for with_parts, body in zip(bodies_of(whole, 17), bodies, strict=True):
        assert np.array_equal(with_parts.poses.keypoints, body.poses.keypoints)
        assert np.array_equal(with_parts.propagated.keypoints, body.propagated.keypoints, equal_nan=True)
    rest = inferred(parts=True, known=whole[:8])
    assert len(rest) == len(whole) - 8
    for again, before in zip(rest, whole[8:], strict=True):
        assert np.array_equal(again.poses.keypoints, before.poses.keypoints, equal_nan=True)
    tracked = list(associate_online(whole, AssociationSettings(), networks(parts=True).skeleton))
    assert all(people.track_ids.tolist() == [1, 2] for _, people in tracked)
    assert all(people.poses.keypoints.shape == (2, 127, 2) for _, people in tracked)


def whole_bodies(frames: list[PoseFrame], *, noise: float) -> list[PoseFrame]:
    """The frames with feet at the ankles, and points of faces and hands that are wrong by `noise` pixels."""
    rng = np.random.default_rng(0)
    result = []
    for frame in frames:
        poses, N = frame.poses, len(frame.poses)
        feet = poses.keypoints[:, [15] * 3 + [16] * 3]
        points = poses.keypoints[:, [0]] + rng.normal(0, noise, (N, 110, 2))
        scores = [poses.keypoint_scores, np.full((N, 6), 0.8), rng.uniform(0.0, 0.2, (N, 110))]
        poses = replace(
            poses,
            keypoints=np.concatenate([poses.keypoints, feet, points], axis=1),
            keypoint_scores=np.concatenate(scores, axis=1),
        )
        result.append(replace(frame, poses=poses, propagated=PropagatedPoses.empty(133)))
    return result


@pytest.mark.parametrize("offline", [False, True])
def test_points_of_faces_and_hands_do_not_change_who_is_who(*, offline: bool) -> None:
    frames = pose_frames(CROSSING, shuffle=3)
    settings = AssociationSettings(offline=offline, smooth="none")

    def ids(frames: list[PoseFrame], skeleton: Skeleton) -> list[list[int]]:
        if offline:
            return [
                people.track_ids.tolist() for _, people in associate_offline(lambda: iter(frames), settings, skeleton)()
            ]
        return [people.track_ids.tolist() for _, people in associate_online(frames, settings, skeleton)]

    assert ids(whole_bodies(frames, noise=8.0), COCO_WHOLEBODY_133) == ids(frames, COCO_17)


def test_duplicates_with_different_faces_are_one_person() -> None:
    """Two boxes on one person whose faces were estimated a few pixels apart: pose NMS keeps one of them."""

    class Whole(TruthEstimator):
        skeleton = COCO_WHOLEBODY_133  # type: ignore[assignment]

        def __call__(self, frames: Sequence[Frame], boxes: Sequence[np.ndarray]) -> list[Poses]:
            rng, answers = np.random.default_rng(0), []
            for poses in super().__call__(frames, boxes):
                points = poses.keypoints[:, [0] * 116] + rng.normal(0, 10, (len(poses), 116, 2))
                keypoints = np.concatenate([poses.keypoints, points], axis=1)
                answers.append(replace(poses, keypoints=keypoints, keypoint_scores=np.full(keypoints.shape[:2], 0.9)))
            return answers

    class Twice(TruthDetector):
        def _detect(self, index: int):  # type: ignore[no-untyped-def]
            found = super()._detect(index)
            return replace(found, boxes=np.concatenate([found.boxes, found.boxes + 4]), scores=np.tile(found.scores, 2))

    settings = InferenceSettings(max_shared_joints=1.0)
    for _, frame in infer(WORLD.frames()[:3], Twice(WORLD), Whole(WORLD), settings, None):
        assert len(frame.poses) == 2


def test_weights_of_parts_need_a_network_and_networks_of_parts_need_their_boxes(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="hands_weights: expected --hands NAME"):
        NetworkSettings(hands_weights=tmp_path / "hand.pth")
    settings = Settings(networks=NetworkSettings(hands="rtmpose_m_hand22"))
    check_weights(settings)
    with pytest.raises(InputError, match="unknown estimator 'rtmpose_m_hand22'"), open_networks(settings):
        pass
