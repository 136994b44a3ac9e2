"""The pipeline with a bottom-up network instead of a detector and an estimator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest

from estimators import NETWORKS, bottom_up
from posetrail.errors import InputError
from posetrail.frame import Frame
from posetrail.poses import Detections, Poses
from posetrail.skeletons import COCO_17, Skeleton
from posetrail.weights import Weights
from tests.worlds import TruthDetector, TruthEstimator, Walker, World, frame_number, line
from tracker.frames import PoseFrame
from tracker.inference.bottom_up import people_in_boxes
from tracker.inference.pipeline import infer
from tracker.inference.propagation import create_flow
from tracker.runs.networks import open_networks
from tracker.settings import InferenceSettings, NetworkSettings, Settings


@dataclass
class TruthBottomUp:
    """Returns the true poses of all walkers that are neither missed nor hidden; counts its frames."""

    world: World
    frames_seen: int = 0

    @property
    def skeleton(self) -> Skeleton:
        return COCO_17

    def __call__(self, frames: Sequence[Frame]) -> list[Poses]:
        self.frames_seen += len(frames)
        return [self._find(frame_number(frame.image)) for frame in frames]

    def _find(self, index: int) -> Poses:
        time_s = index / self.world.fps
        found = [w for w in self.world.walkers if not w.missed(index) and not w.hidden(index)]
        N = len(found)
        keypoints = np.array([w.keypoints(time_s) for w in found]).reshape(N, 17, 2)
        boxes = np.array([w.box(time_s) for w in found]).reshape(N, 4)
        scores = np.array([w.box_score(index) for w in found])
        return Poses(keypoints, np.full((N, 17), 0.9), boxes, scores, np.zeros(N))


def two_walkers(**of_the_first: Callable[[int], object]) -> World:
    first = Walker(line((20, 60), (90, 0)), **of_the_first)  # type: ignore[arg-type]
    return World((first, Walker(line((500, 200), (-90, 0)))), num_frames=12)


def inferred(
    world: World, settings: InferenceSettings | None = None, network: TruthBottomUp | None = None, **options: object
) -> list[PoseFrame]:
    settings = settings or InferenceSettings()
    network = network or TruthBottomUp(world)
    flow = create_flow(settings.flow)
    detector = options.get("detector")
    results = infer(world.frames(), detector, None, settings, flow, bottom_up=network)  # type: ignore[arg-type]
    return [result for _, result in results]


def test_the_network_runs_once_per_frame_and_all_of_its_people_are_kept() -> None:
    world = two_walkers()
    network = TruthBottomUp(world)
    results = inferred(world, network=network)
    assert [len(frame.poses) for frame in results] == [2] * 12
    for frame in results:
        np.testing.assert_allclose(frame.poses.keypoints[0], world.walkers[0].keypoints(frame.time_s), atol=1e-3)
        assert frame.poses.scores == pytest.approx([0.9, 0.9])
    assert network.frames_seen == 12


def test_people_with_low_scores_are_propagated_and_missing_people_are_not() -> None:
    low = inferred(two_walkers(box_score=lambda frame: 0.1 if 4 <= frame < 8 else 0.9))
    assert [len(frame.poses) for frame in low] == [2] * 12
    assert [frame.poses.propagated.any() for frame in low] == [4 <= i < 8 for i in range(12)]
    for settings in (InferenceSettings(), InferenceSettings(min_propagated_score=0.0, min_propagation_oks=0.0)):
        missed = inferred(two_walkers(missed=lambda frame: 4 <= frame < 8), settings)
        assert [len(frame.poses) for frame in missed] == [2] * 4 + [1] * 4 + [2] * 4


def test_people_are_propagated_between_detections() -> None:
    results = inferred(two_walkers(), InferenceSettings(detect_every=3))
    assert [len(frame.poses) for frame in results] == [2] * 12


def test_boxes_of_a_detector_get_the_people_that_overlap_them() -> None:
    world = two_walkers()

    class OneBox(TruthDetector):
        def __call__(self, frames: Sequence[Frame]) -> list[Detections]:
            return [found[:1] for found in super().__call__(frames)]

    network = TruthBottomUp(world)
    results = inferred(world, network=network, detector=OneBox(world))
    assert [len(frame.poses) for frame in results] == [1] * 12
    for frame in results:
        np.testing.assert_allclose(frame.poses.keypoints[0], world.walkers[0].keypoints(frame.time_s), atol=1e-3)
    assert network.frames_seen == 12


def test_each_box_gets_the_person_that_overlaps_it_most() -> None:
    world = two_walkers()
    first, second = (walker.box(0.0) for walker in world.walkers)
    boxes = np.array([second, first + 3, [300, 10, 340, 90], [np.nan] * 4, [0, 0, np.inf, np.inf], second])
    [people] = TruthBottomUp(world)([world.frame(0)])
    assert len(people_in_boxes(people, boxes[:0])) == 0
    poses = people_in_boxes(people, boxes)
    np.testing.assert_allclose(poses.keypoints[0], world.walkers[1].keypoints(0.0), atol=1e-3)
    np.testing.assert_allclose(poses.keypoints[1], world.walkers[0].keypoints(0.0), atol=1e-3)
    assert np.isnan(poses.keypoints[2:5]).all()
    assert (poses.keypoint_scores[2:5] == 0).all()
    assert np.array_equal(poses.keypoints[5], poses.keypoints[0])
    assert (poses.scores == 1).all()


def test_invalid_combinations_of_networks_are_refused() -> None:
    world = two_walkers()
    detector, estimator, network = TruthDetector(world), TruthEstimator(world), TruthBottomUp(world)
    settings = InferenceSettings()
    for given in ((detector, None, None), (detector, estimator, network), (None, estimator, None)):
        with pytest.raises(TypeError, match="expected"):
            next(infer(world.frames(), given[0], given[1], settings, None, bottom_up=given[2]))


def test_bottom_up_networks_are_loaded_without_a_detector_unless_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    known = Weights(name="net", path=None, sha256="ab", licence="MIT", source="x", about="y")  # type: ignore[arg-type]
    monkeypatch.setattr(bottom_up, "loaded", lambda name, weights: (NETWORKS[name](), known))
    chosen = NetworkSettings(estimator="higherhrnet_w32", device="cpu", crop_mask=False)
    with open_networks(Settings(networks=chosen)) as networks:
        assert (networks.detector, networks.estimator) == (None, None)
        assert networks.bottom_up is not None
        assert networks.skeleton is COCO_17
        assert networks.weights == (known,)
    with open_networks(Settings(networks=replace(chosen, detector="nanodet"))) as networks:
        assert [weights.name for weights in networks.weights] == ["nanodet_int8", "net"]
    with (
        pytest.raises(InputError, match="got higherhrnet_w32, which needs no detector"),
        open_networks(Settings(networks=replace(chosen, detector_input_px=320))),
    ):
        pass
    with (
        pytest.raises(InputError, match="estimator higherhrnet_w32 has no option crop_scale"),
        open_networks(Settings(networks=replace(chosen, crop_scale=1.5))),
    ):
        pass
