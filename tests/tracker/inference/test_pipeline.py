"""What is seen in invented worlds: everybody detected, everybody propagated whom the detector misses, nobody twice."""

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


def look(
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
    seen = infer(iter(frames or world.frames()), *networks, settings, flow, embedder, batch_frames=batch_frames)
    return [what for _, what in seen]


def panned(world: World, step_px: int) -> list[Frame]:
    """The world before a camera that pans to the left; people are seen where they would be without."""
    frames = []
    for frame in world.frames():
        image = np.roll(world.textures[0], frame.index * step_px, axis=1)
        for walker in world.walkers:
            x1, y1, x2, y2 = np.clip(walker.box(frame.time_s), 0, 640).astype(int)
            image[y1:y2, x1:x2] = frame.image[y1:y2, x1:x2]
        image[0, 0] = frame.image[0, 0]
        frames.append(replace(frame, image=image))
    return frames


def test_everybody_detected_is_seen_where_they_are() -> None:
    seen = look(TWO)
    assert [frame.index for frame in seen] == list(range(20))
    for frame in seen:
        assert len(frame.poses) == 2
        assert not frame.poses.propagated.any()
        truth = TWO.walkers[0].keypoints(frame.time_s)
        assert np.abs(frame.poses.keypoints[0] - truth).max() < 1e-3


def test_flow_carries_the_last_poses_into_each_frame() -> None:
    seen = look(TWO)
    assert len(seen[0].propagated) == 0
    for before, now in pairwise(seen):
        assert now.propagated.source_frames.tolist() == [before.index] * 2
        assert now.propagated.source_rows.tolist() == [0, 1]
        truth = TWO.walkers[0].keypoints(now.time_s)
        assert np.median(np.abs(now.propagated.keypoints[0] - truth)) < 0.5


def missed(first: int, last: int) -> World:
    walker = Walker(line((20, 60), (90, 0)), missed=lambda frame: first <= frame <= last)
    return World((walker, TWO.walkers[1]), num_frames=20)


def test_whom_the_detector_misses_is_carried() -> None:
    for frame in look(missed(5, 12)):
        assert len(frame.poses) == 2
        assert frame.poses.propagated.tolist() == ([False, True] if 5 <= frame.index <= 12 else [False, False])


def test_without_carrying_the_missed_are_missed() -> None:
    seen = look(missed(5, 12), InferenceSettings(propagate=False))
    assert [len(frame.poses) for frame in seen] == [2] * 5 + [1] * 8 + [2] * 7


def test_whoever_is_gone_is_not_carried_on() -> None:
    gone = Walker(line((20, 60), (90, 0)), missed=lambda f: f >= 8, hidden=lambda f: f >= 8)
    seen = look(World((gone, TWO.walkers[1]), num_frames=12))
    assert [len(frame.poses) for frame in seen] == [2] * 8 + [1] * 4


def test_a_carried_box_does_not_jump_to_a_neighbour() -> None:
    """The missed person vanishes beside somebody else, whose joints then fill the propagated box."""
    gone = Walker(line((100, 60), (0, 0)), missed=lambda f: f >= 5, hidden=lambda f: f >= 5)
    neighbour = Walker(line((115, 60), (0, 0)))
    seen = look(World((gone, neighbour), num_frames=8), InferenceSettings(pose_nms_oks=1.0))
    assert [len(frame.poses) for frame in seen] == [2] * 5 + [1] * 3


def test_detection_on_every_third_frame_sees_everybody_in_all() -> None:
    detector = TruthDetector(TWO)
    seen = look(TWO, InferenceSettings(detect_every=3), detector=detector)
    assert detector.images_seen == 7
    assert [len(frame.poses) for frame in seen] == [2] * 20
    assert [bool(frame.poses.propagated.all()) for frame in seen] == [i % 3 != 0 for i in range(20)]


def test_two_boxes_on_one_person_give_one_pose() -> None:
    class Doubled(TruthDetector):
        def __call__(self, frames: list[Frame]) -> list[Detections]:  # type: ignore[override]
            found = super().__call__(frames)
            return [Detections.concatenate([f, replace(f, scores=f.scores / 2)]) for f in found]

    for frame in look(TWO, detector=Doubled(TWO)):
        assert len(frame.poses) == 2
        assert frame.poses.scores.tolist() == pytest.approx([0.9, 0.9])


def test_empty_frames_and_empty_worlds_survive() -> None:
    nobody = World((Walker(line((0, 0), (0, 0)), missed=lambda _: True, hidden=lambda _: True),), num_frames=5)
    assert [len(frame.poses) for frame in look(nobody)] == [0] * 5
    assert look(replace(nobody, num_frames=0)) == []


@pytest.mark.parametrize("flow", ["lk", "dis", "none"])
@pytest.mark.parametrize("batch_frames", [1, 3, 32])
def test_the_batch_size_changes_nothing(flow: str, batch_frames: int) -> None:
    settings = InferenceSettings(flow=flow, queue_frames=3)  # type: ignore[arg-type]
    world = missed(5, 12)
    one_way, other_way = (
        look(world, settings, size, frames=panned(world, 4), embedder=ColourLayout(COCO_17))
        for size in (4, batch_frames)
    )
    for one, other in zip(one_way, other_way, strict=True):
        assert np.array_equal(one.camera_motion, other.camera_motion)
        assert np.array_equal(one.appearance, other.appearance)
        assert np.array_equal(one.poses.keypoints, other.poses.keypoints)
        assert np.array_equal(one.propagated.keypoints, other.propagated.keypoints, equal_nan=True)
        assert one.poses.scores.tolist() == other.poses.scores.tolist()


@pytest.mark.parametrize("flow", ["lk", "dis", "none"])
def test_a_camera_that_pans_is_noticed_whatever_flow_is_used(flow: str) -> None:
    seen = look(TWO, InferenceSettings(flow=flow), frames=panned(TWO, 4))  # type: ignore[arg-type]
    assert np.array_equal(seen[0].camera_motion, np.eye(2, 3))
    for frame in seen[1:]:
        assert frame.camera_motion == pytest.approx(np.array([[1, 0, 4], [0, 1, 0]]), abs=0.3)


@pytest.mark.parametrize("flow", ["lk", "none"])
def test_a_camera_that_stands_still_or_that_nobody_asks_about_does_not_move(flow: str) -> None:
    still = look(TWO, InferenceSettings(flow=flow))  # type: ignore[arg-type]
    unasked = look(TWO, InferenceSettings(flow=flow, estimate_camera_motion=False), frames=panned(TWO, 4))  # type: ignore[arg-type]
    assert all(np.array_equal(frame.camera_motion, np.eye(2, 3)) for frame in still + unasked)


def test_how_people_look_is_told_of_the_poses_that_are_left_in_the_end() -> None:
    class Numbered:
        """Says of each pose its frame and where it stands."""

        size = 3

        def __call__(self, frames: list[Frame], poses: list[Poses]) -> list[np.ndarray]:
            return [
                np.column_stack([np.full(len(each), int(frame.image[0, 0, 1])), each.boxes[:, :2]])
                for frame, each in zip(frames, poses, strict=True)
            ]

    for frame in look(missed(5, 12), embedder=Numbered()):
        assert frame.appearance.shape == (2, 3)
        assert frame.appearance[:, 0].tolist() == [frame.index] * 2
        assert np.array_equal(frame.appearance[:, 1:], frame.poses.boxes[:, :2])
    nobody = World((Walker(line((0, 0), (0, 0)), missed=lambda _: True, hidden=lambda _: True),), num_frames=3)
    assert [frame.appearance.shape for frame in look(nobody, embedder=Numbered())] == [(0, 3)] * 3


def test_an_error_of_the_source_comes_after_the_frames_before_it() -> None:
    def frames() -> Iterator[Frame]:
        yield from TWO.frames()[:6]
        raise OSError("the film tore")

    seen = []
    with pytest.raises(OSError, match="the film tore"):
        for frame, _ in infer(
            frames(), TruthDetector(TWO), TruthEstimator(TWO), InferenceSettings(), create_flow("lk")
        ):
            seen.append(frame.index)
    assert seen == list(range(6))


def test_leaving_early_closes_the_source() -> None:
    closed = []

    def frames() -> Iterator[Frame]:
        try:
            yield from TWO.frames()
        finally:
            closed.append(True)

    seen = infer(frames(), TruthDetector(TWO), TruthEstimator(TWO), InferenceSettings(), create_flow("lk"))
    next(seen)
    seen.close()
    assert closed


def test_pictures_that_change_their_size_are_survived() -> None:
    small = replace(TWO, size=(320, 180), textures=[])
    frames = TWO.frames()[:4] + [small.frame(i) for i in range(4, 8)]
    seen = infer(iter(frames), TruthDetector(TWO), TruthEstimator(TWO), InferenceSettings(), create_flow("lk"))
    assert [what.index for _, what in seen] == list(range(8))
