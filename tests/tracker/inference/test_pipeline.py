"""Inference in synthetic worlds: detection, propagation of missed people, pose NMS, camera motion, frame sources."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from estimators.colour_layout import ColourLayout
from posetrail.frame import Frame
from posetrail.poses import Detections, Poses
from posetrail.protocols import Embedder
from posetrail.skeletons import COCO_17
from tests.worlds import TruthDetector, TruthEstimator, Walker, World, line
from tracker.frames import PoseFrame
from tracker.inference.pipeline import infer
from tracker.inference.propagation import create_flow
from tracker.settings import InferenceSettings

TWO = World((Walker(line((20, 60), (90, 0))), Walker(line((500, 200), (-90, 0)))), num_frames=20)


def inferred(
    world: World,
    settings: InferenceSettings | None = None,
    batch_frames: int = 4,
    detector: object = None,
    frames: list[Frame] | None = None,
    embedder: Embedder | None = None,
) -> list[PoseFrame]:
    settings = settings or InferenceSettings()
    networks = detector or TruthDetector(world), TruthEstimator(world)
    flow = create_flow(settings.flow)
    results = infer(iter(frames or world.frames()), *networks, settings, flow, embedder, batch_frames=batch_frames)
    return [frame for _, frame in results]


def panned(world: World, step_px: int) -> list[Frame]:
    """The world's frames with a wall that moves as if the camera panned to the left; people stay where they are."""
    frames = []
    for frame in world.frames():
        image = np.roll(world.textures[0], frame.index * step_px, axis=1)
        for walker in world.walkers:
            x1, y1, x2, y2 = np.clip(walker.box(frame.time_s), 0, 640).astype(int)
            image[y1:y2, x1:x2] = frame.image[y1:y2, x1:x2]
        image[0, 0] = frame.image[0, 0]
        frames.append(replace(frame, image=image))
    return frames


def test_detected_people_have_their_true_keypoints() -> None:
    results = inferred(TWO)
    assert [frame.index for frame in results] == list(range(20))
    for frame in results:
        assert len(frame.poses) == 2
        assert not frame.poses.propagated.any()
        truth = TWO.walkers[0].keypoints(frame.time_s)
        assert np.abs(frame.poses.keypoints[0] - truth).max() < 1e-3


def test_flow_propagates_the_poses_of_the_last_frame() -> None:
    results = inferred(TWO)
    assert len(results[0].propagated) == 0
    for before, now in pairwise(results):
        assert now.propagated.source_frames.tolist() == [before.index] * 2
        assert now.propagated.source_rows.tolist() == [0, 1]
        truth = TWO.walkers[0].keypoints(now.time_s)
        assert np.median(np.abs(now.propagated.keypoints[0] - truth)) < 0.5


def missed(first: int, last: int) -> World:
    walker = Walker(line((20, 60), (90, 0)), missed=lambda frame: first <= frame <= last)
    return World((walker, TWO.walkers[1]), num_frames=20)


def test_a_missed_person_is_propagated() -> None:
    for frame in inferred(missed(5, 12)):
        assert len(frame.poses) == 2
        assert frame.poses.propagated.tolist() == ([False, True] if 5 <= frame.index <= 12 else [False, False])


def test_without_propagation_missed_people_have_no_pose() -> None:
    results = inferred(missed(5, 12), InferenceSettings(propagate=False))
    assert [len(frame.poses) for frame in results] == [2] * 5 + [1] * 8 + [2] * 7


def test_a_person_who_has_left_is_not_propagated() -> None:
    gone = Walker(line((20, 60), (90, 0)), missed=lambda f: f >= 8, hidden=lambda f: f >= 8)
    results = inferred(World((gone, TWO.walkers[1]), num_frames=12))
    assert [len(frame.poses) for frame in results] == [2] * 8 + [1] * 4


def test_a_propagated_box_does_not_take_the_pose_of_a_neighbour() -> None:
    """A person disappears beside another one, whose joints the estimator then finds in the propagated box."""
    gone = Walker(line((100, 60), (0, 0)), missed=lambda f: f >= 5, hidden=lambda f: f >= 5)
    neighbour = Walker(line((115, 60), (0, 0)))
    results = inferred(World((gone, neighbour), num_frames=8), InferenceSettings(pose_nms_oks=1.0))
    assert [len(frame.poses) for frame in results] == [2] * 5 + [1] * 3


def test_detection_on_every_third_frame_gives_poses_in_all_frames() -> None:
    detector = TruthDetector(TWO)
    results = inferred(TWO, InferenceSettings(detect_every=3), detector=detector)
    assert detector.images_seen == 7
    assert [len(frame.poses) for frame in results] == [2] * 20
    assert [bool(frame.poses.propagated.all()) for frame in results] == [i % 3 != 0 for i in range(20)]


def test_two_boxes_on_one_person_give_one_pose() -> None:
    class Doubled(TruthDetector):
        def __call__(self, frames: list[Frame]) -> list[Detections]:  # type: ignore[override]
            found = super().__call__(frames)
            return [Detections.concatenate([f, replace(f, scores=f.scores / 2)]) for f in found]

    for frame in inferred(TWO, detector=Doubled(TWO)):
        assert len(frame.poses) == 2
        assert frame.poses.scores.tolist() == pytest.approx([0.9, 0.9])


def test_frames_without_people_and_videos_without_frames_are_accepted() -> None:
    empty = World((Walker(line((0, 0), (0, 0)), missed=lambda _: True, hidden=lambda _: True),), num_frames=5)
    assert [len(frame.poses) for frame in inferred(empty)] == [0] * 5
    assert inferred(replace(empty, num_frames=0)) == []


@pytest.mark.parametrize("flow", ["lk", "dis", "none"])
@pytest.mark.parametrize("batch_frames", [1, 3, 32])
def test_the_batch_size_changes_nothing(flow: str, batch_frames: int) -> None:
    settings = InferenceSettings(flow=flow, queue_frames=3)  # type: ignore[arg-type]
    world = missed(5, 12)
    one_way, other_way = (
        inferred(world, settings, size, frames=panned(world, 4), embedder=ColourLayout(COCO_17))
        for size in (4, batch_frames)
    )
    for one, other in zip(one_way, other_way, strict=True):
        assert np.array_equal(one.camera_motion, other.camera_motion)
        assert np.array_equal(one.appearance, other.appearance)
        assert np.array_equal(one.poses.keypoints, other.poses.keypoints)
        assert np.array_equal(one.propagated.keypoints, other.propagated.keypoints, equal_nan=True)
        assert one.poses.scores.tolist() == other.poses.scores.tolist()


@pytest.mark.parametrize("flow", ["lk", "dis", "none"])
def test_camera_motion_is_estimated_with_every_flow_method(flow: str) -> None:
    results = inferred(TWO, InferenceSettings(flow=flow), frames=panned(TWO, 4))  # type: ignore[arg-type]
    assert np.array_equal(results[0].camera_motion, np.eye(2, 3))
    for frame in results[1:]:
        assert frame.camera_motion == pytest.approx(np.array([[1, 0, 4], [0, 1, 0]]), abs=0.3)


@pytest.mark.parametrize("flow", ["lk", "none"])
def test_a_static_camera_and_a_disabled_estimate_have_no_motion(flow: str) -> None:
    static = inferred(TWO, InferenceSettings(flow=flow))  # type: ignore[arg-type]
    disabled = inferred(TWO, InferenceSettings(flow=flow, estimate_camera_motion=False), frames=panned(TWO, 4))  # type: ignore[arg-type]
    assert all(np.array_equal(frame.camera_motion, np.eye(2, 3)) for frame in static + disabled)


def test_appearance_embeddings_are_of_the_final_poses() -> None:
    class Numbered:
        """An embedding that holds the frame number and the corner of the box."""

        size = 3

        def __call__(self, frames: list[Frame], poses: list[Poses]) -> list[np.ndarray]:
            return [
                np.column_stack([np.full(len(each), int(frame.image[0, 0, 1])), each.boxes[:, :2]])
                for frame, each in zip(frames, poses, strict=True)
            ]

    for frame in inferred(missed(5, 12), embedder=Numbered()):
        assert frame.appearance.shape == (2, 3)
        assert frame.appearance[:, 0].tolist() == [frame.index] * 2
        assert np.array_equal(frame.appearance[:, 1:], frame.poses.boxes[:, :2])
    empty = World((Walker(line((0, 0), (0, 0)), missed=lambda _: True, hidden=lambda _: True),), num_frames=3)
    assert [frame.appearance.shape for frame in inferred(empty, embedder=Numbered())] == [(0, 3)] * 3


def test_an_error_of_the_source_is_raised_after_the_frames_before_it() -> None:
    def frames() -> Iterator[Frame]:
        yield from TWO.frames()[:6]
        raise OSError("the file ends here")

    results = []
    with pytest.raises(OSError, match="the file ends here"):
        for frame, _ in infer(
            frames(), TruthDetector(TWO), TruthEstimator(TWO), InferenceSettings(), create_flow("lk")
        ):
            results.append(frame.index)
    assert results == list(range(6))


def test_closing_early_closes_the_source() -> None:
    closed = []

    def frames() -> Iterator[Frame]:
        try:
            yield from TWO.frames()
        finally:
            closed.append(True)

    results = infer(frames(), TruthDetector(TWO), TruthEstimator(TWO), InferenceSettings(), create_flow("lk"))
    next(results)
    results.close()
    assert closed


def test_frames_may_change_their_size() -> None:
    small = replace(TWO, size=(320, 180), textures=[])
    frames = TWO.frames()[:4] + [small.frame(i) for i in range(4, 8)]
    results = infer(iter(frames), TruthDetector(TWO), TruthEstimator(TWO), InferenceSettings(), create_flow("lk"))
    assert [frame.index for _, frame in results] == list(range(8))
