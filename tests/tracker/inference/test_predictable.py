"""People who are not estimated in every frame: who they are, and that nothing else changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from posetrail.frame import Frame
from posetrail.poses import Poses
from tests.worlds import TruthDetector, TruthEstimator, Walker, World, frame_number, line
from tracker.frames import PoseFrame
from tracker.inference.pipeline import infer
from tracker.inference.propagation import create_flow
from tracker.settings import InferenceSettings

WORLD = World((Walker(line((20, 60), (60, 0))), Walker(line((500, 200), (-60, 0)))), num_frames=31)


@dataclass
class Scheduled(TruthDetector):
    interval_s: float = 0.2


@dataclass
class Noted(TruthEstimator):
    """Records how many boxes it gets in each frame; `error_px` moves the joints of odd frames."""

    error_px: float = 0.0
    boxes_of: dict[int, int] = field(default_factory=dict)

    def __call__(self, frames: Sequence[Frame], boxes: Sequence[np.ndarray]) -> list[Poses]:
        answers = []
        for frame, given, poses in zip(frames, boxes, super().__call__(frames, boxes), strict=True):
            index = frame_number(frame.image)
            self.boxes_of[index] = self.boxes_of.get(index, 0) + len(given)
            shift = np.float32(self.error_px * (index % 2))
            answers.append(replace(poses, keypoints=poses.keypoints + shift))
        return answers


def inferred(
    estimator: Noted,
    settings: InferenceSettings = InferenceSettings(),
    *,
    world: World = WORLD,
    known: Sequence[PoseFrame] = (),
    batch_frames: int = 4,
) -> list[PoseFrame]:
    networks = Scheduled(world), estimator, settings, create_flow(settings.flow)
    return [each for _, each in infer(world.frames(), *networks, known=known, batch_frames=batch_frames)]


def test_predictable_people_are_estimated_where_the_detector_searches_and_after_two_frames() -> None:
    estimator = Noted(WORLD)
    results = inferred(estimator)
    rested = [i for i in range(31) if not estimator.boxes_of.get(i)]
    assert len(rested) >= 14
    assert not {i for i in rested if i % 6 == 0}
    assert all(not {i, i + 1, i + 2} <= set(rested) for i in rested)
    for frame in results:
        assert len(frame.poses) == 2
        truth = [walker.keypoints(frame.time_s) for walker in WORLD.walkers]
        errors = [min(np.abs(pose - each).max() for each in truth) for pose in frame.poses.keypoints]
        assert max(errors) < 3


def test_with_a_limit_of_zero_everyone_is_estimated_in_every_frame() -> None:
    estimator = Noted(WORLD)
    inferred(estimator, InferenceSettings(max_flow_error=0.0))
    assert all(estimator.boxes_of[i] >= 2 for i in range(31))


def test_without_optical_flow_everyone_is_estimated_in_every_frame() -> None:
    estimator = Noted(WORLD)
    inferred(estimator, InferenceSettings(flow="none"))
    assert all(estimator.boxes_of[i] >= 2 for i in range(31))


def test_people_whose_joints_are_not_where_flow_predicts_them_are_estimated_in_every_frame() -> None:
    estimator = Noted(WORLD, error_px=12.0)
    inferred(estimator)
    assert all(estimator.boxes_of[i] >= 2 for i in range(31))


def test_people_who_are_searched_in_every_frame_are_estimated_in_every_frame() -> None:
    estimator = Noted(WORLD)
    inferred(estimator, InferenceSettings(detect_every=1))
    assert all(estimator.boxes_of[i] == 2 for i in range(31))


def test_a_person_who_is_gone_is_not_kept() -> None:
    gone = Walker(line((20, 60), (60, 0)), missed=lambda i: i >= 14, hidden=lambda i: i >= 14)
    world = World((gone, WORLD.walkers[1]), num_frames=20)
    results = inferred(Noted(world), world=world)
    assert [len(frame.poses) for frame in results[17:]] == [1] * 3


@pytest.mark.parametrize("stop", [2, 7, 8, 9, 13])
def test_a_resumed_run_rests_in_the_same_frames(stop: int) -> None:
    whole, rest = Noted(WORLD), Noted(WORLD)
    results = inferred(whole)
    resumed = inferred(rest, known=results[:stop])
    for a, b in zip(results[stop:], resumed, strict=True):
        assert np.array_equal(a.poses.keypoints, b.poses.keypoints)
        assert np.array_equal(a.poses.boxes, b.poses.boxes)
    assert {i: n for i, n in whole.boxes_of.items() if i >= stop} == rest.boxes_of
