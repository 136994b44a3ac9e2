"""When the detector runs: at intervals, at once where people are lost or the scene changes, on regions in between."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posetrail.errors import InputError
from posetrail.frame import Frame
from posetrail.poses import Detections
from posetrail.similarity import box_intersection
from tests.worlds import TruthDetector, TruthEstimator, Walker, World, frame_number, line
from tracker.frames import PoseFrame
from tracker.inference.pipeline import infer
from tracker.inference.propagation import create_flow
from tracker.inference.schedule import (
    Clock,
    glance,
    is_same_scene,
    moving_regions,
    regions_to_search,
)
from tracker.settings import InferenceSettings

TWO = World((Walker(line((20, 60), (90, 0))), Walker(line((500, 200), (-90, 0)))), num_frames=31)


@dataclass
class Searching(TruthDetector):
    """Records which frames, and which regions of which frames, are searched."""

    interval_s: float = 0.2
    searched: list[int] = field(default_factory=list)
    regions: dict[int, list[list[int]]] = field(default_factory=dict)

    def __call__(self, frames: Sequence[Frame]) -> list[Detections]:
        self.searched += [frame_number(frame.image) for frame in frames]
        return super().__call__(frames)

    def in_regions(self, frame: Frame, regions: np.ndarray) -> Detections:
        index = frame_number(frame.image)
        self.regions[index] = regions.tolist()
        found = self._detect(index)
        within = box_intersection(found.boxes, regions.astype(float)).max(axis=1, initial=0)
        return found[within > 0.99 * np.prod(found.boxes[:, 2:] - found.boxes[:, :2], axis=1)]


def inferred(
    world: World,
    detector: TruthDetector,
    settings: InferenceSettings = InferenceSettings(),
    *,
    frames: list[Frame] | None = None,
    known: Sequence[PoseFrame] = (),
    batch_frames: int = 4,
) -> list[PoseFrame]:
    frames = world.frames() if frames is None else frames
    flow = create_flow("lk")
    networks = detector, TruthEstimator(world)
    return [each for _, each in infer(frames, *networks, settings, flow, known=known, batch_frames=batch_frames)]


def hidden_before(frame: int) -> Callable[[int], bool]:
    return lambda index: index < frame


def test_whole_frames_are_searched_at_intervals() -> None:
    detector = Searching(TWO)
    results = inferred(TWO, detector)
    assert sorted(detector.searched) == [0, 6, 12, 18, 24, 30]
    assert [len(each.poses) for each in results] == [2] * 31
    assert [bool(each.poses.propagated.all()) for each in results] == [i % 6 != 0 for i in range(31)]


@pytest.mark.parametrize(
    ("settings", "count"),
    [
        (InferenceSettings(detection_interval_s=0.0), 31),
        (InferenceSettings(detection_interval_s=0.5), 3),
        (InferenceSettings(detect_every=10), 4),
        (InferenceSettings(propagate=False), 31),
    ],
)
def test_settings_choose_the_frames(settings: InferenceSettings, count: int) -> None:
    detector = Searching(TWO)
    inferred(TWO, detector, settings)
    assert len(detector.searched) == count


def test_a_detector_without_an_interval_searches_every_frame() -> None:
    detector = TruthDetector(TWO)
    inferred(TWO, detector)
    assert detector.images_seen == 31


def test_an_interval_and_a_stride_cannot_be_combined() -> None:
    with pytest.raises(InputError, match=r"detect_every: expected none with detection_interval_s 0\.2, got 3"):
        InferenceSettings(detect_every=3, detection_interval_s=0.2)


def test_times_decide_and_not_the_number_of_frames() -> None:
    detector = Searching(TWO)
    slow = [replace(frame, time_s=frame.time_s * 2) for frame in TWO.frames()]
    inferred(TWO, detector, frames=slow)
    assert sorted(detector.searched) == list(range(0, 31, 3))


def test_a_lost_person_makes_the_whole_frame_searched_at_once_and_is_looked_for_afterwards() -> None:
    jump = line((20, 60), (90, 0))
    jumping = Walker(lambda t: jump(t) if t < 14 / 30 else (jump(t)[0] + 250, 80.0), hidden=lambda i: i in (14, 15))
    world = World((jumping, TWO.walkers[1]), num_frames=22)
    detector = Searching(world)
    results = inferred(world, detector)
    assert 14 in detector.searched
    assert 13 not in detector.searched
    assert 16 in detector.regions or 16 in detector.searched
    assert len(results[13].poses) == 2
    assert len(results[14].poses) == 1
    assert len(results[18].poses) == 2


def test_a_cut_makes_the_whole_frame_searched_at_once() -> None:
    detector = Searching(TWO)
    frames = TWO.frames()
    for i in range(9, 31):
        image = frames[i].image[::-1, ::-1].copy()
        image[0, 0] = frames[i].image[0, 0]
        frames[i] = replace(frames[i], image=image)
    inferred(TWO, detector, frames=frames)
    assert 9 in detector.searched


def test_a_person_who_appears_between_two_searches_is_found_by_their_motion() -> None:
    appearing = Walker(line((250, 60), (60, 0)), missed=hidden_before(13), hidden=hidden_before(13))
    world = World((*TWO.walkers, appearing), num_frames=18)
    detector = Searching(world, interval_s=0.4)
    results = inferred(world, detector)
    first = next(each.index for each in results if len(each.poses) == 3)
    assert first < 18
    assert first not in detector.searched
    assert first in detector.regions
    assert not results[first].poses.propagated.all()


def test_without_motion_no_region_is_searched() -> None:
    standing = World((Walker(line((20, 60), (0, 0))),), num_frames=30)
    detector = Searching(standing)
    inferred(standing, detector)
    assert all(regions == [] for regions in detector.regions.values())


@pytest.mark.parametrize("batch_frames", [1, 3, 32])
def test_the_batch_size_changes_nothing(batch_frames: int) -> None:
    world = World((Walker(line((20, 60), (90, 0)), hidden=lambda i: 14 <= i < 17), TWO.walkers[1]), num_frames=25)
    one, other = (inferred(world, Searching(world), batch_frames=size) for size in (4, batch_frames))
    for a, b in zip(one, other, strict=True):
        assert np.array_equal(a.poses.keypoints, b.poses.keypoints)
        assert np.array_equal(a.poses.propagated, b.poses.propagated)


@pytest.mark.parametrize("stop", [1, 7, 14, 15, 16, 20])
def test_a_resumed_run_continues_as_if_it_had_not_stopped(stop: int) -> None:
    appearing = Walker(line((250, 60), (60, 0)), missed=hidden_before(17), hidden=hidden_before(17))
    lost = Walker(line((20, 60), (90, 0)), hidden=lambda i: 14 <= i < 16)
    world = World((lost, TWO.walkers[1], appearing), num_frames=25)
    whole, rest = Searching(world), Searching(world)
    results = inferred(world, whole)
    resumed = inferred(world, rest, known=results[:stop])
    assert [each.index for each in resumed] == list(range(stop, 25))
    for a, b in zip(results[stop:], resumed, strict=True):
        assert np.array_equal(a.poses.keypoints, b.poses.keypoints, equal_nan=True)
        assert np.array_equal(a.poses.scores, b.poses.scores)
    assert {i: r for i, r in whole.regions.items() if i >= stop} == rest.regions
    assert sorted(i for i in whole.searched if i >= stop) == sorted(rest.searched)


@settings(max_examples=100, deadline=None)
@given(
    start=st.floats(0, 1000),
    gaps=st.lists(st.floats(0.001, 2.0), min_size=1, max_size=40),
    interval=st.floats(0.01, 5.0),
)
def test_a_clock_strikes_at_least_once_in_every_interval(start: float, gaps: list[float], interval: float) -> None:
    times = start + np.cumsum([0.0, *gaps])
    clock = Clock(interval)
    strikes = [clock.strikes(float(time_s)) for time_s in times]
    assert strikes[0]
    last = times[0]
    for time_s, gap, strike in zip(times[1:], gaps, strikes[1:], strict=True):
        assert strike or time_s - last < interval * 1.001
        assert strike or gap < interval * 1.001
        last = time_s if strike else last


def test_regular_times_strike_regularly_despite_rounding() -> None:
    clock = Clock(0.1)
    assert [clock.strikes(i / 30) for i in range(300)] == [i % 3 == 0 for i in range(300)]


def grey(seed: int, shape: tuple[int, int] = (180, 320)) -> np.ndarray:
    small = np.random.default_rng(seed).integers(0, 256, (shape[0] // 10, shape[1] // 10), dtype=np.uint8)
    return np.kron(small, np.ones((10, 10), np.uint8))


def test_noise_and_people_who_move_are_the_same_scene_and_another_picture_is_not() -> None:
    here, there = grey(0), grey(1)
    noisy = np.clip(here + np.random.default_rng(2).normal(0, 20, here.shape), 0, 255).astype(np.uint8)
    noisy[40:140, 100:150] = 255
    black = np.zeros_like(here)
    assert is_same_scene(glance(here, 1.0), glance(noisy, 1.0))
    assert not is_same_scene(glance(here, 1.0), glance(there, 1.0))
    assert not is_same_scene(glance(here, 1.0), glance(black, 1.0))
    assert is_same_scene(glance(black, 1.0), glance(black, 1.0))
    assert not is_same_scene(glance(here, 1.0), glance(here[:, :200], 1.0))


def test_what_moves_outside_of_people_is_found_in_pixels_of_the_frame() -> None:
    before = grey(0)
    now = before.copy()
    now[60:120, 200:240] += 128
    half_size = 0.5  # of the grey image relative to the frame
    (region,) = moving_regions(glance(before, half_size), glance(now, half_size), np.zeros((0, 4)))
    np.testing.assert_allclose(region, [400, 120, 480, 240], atol=25)
    person = np.array([[390.0, 110, 490, 250]])
    assert len(moving_regions(glance(before, half_size), glance(now, half_size), person)) == 0
    assert len(moving_regions(glance(before, half_size), glance(grey(1), half_size), np.zeros((0, 4)))) == 0


@settings(max_examples=100, deadline=None)
@given(
    places=st.lists(
        st.tuples(st.floats(-500, 2500), st.floats(-500, 1500), st.floats(0, 900), st.floats(0, 900)), max_size=6
    )
)
def test_regions_lie_in_the_image(places: list[tuple[float, float, float, float]]) -> None:
    boxes = np.array([[x, y, x + w, y + h] for x, y, w, h in places]).reshape(-1, 4)
    regions = regions_to_search(boxes, (1080, 1920))
    assert len(regions) <= min(len(places), 2)
    assert regions.dtype == np.int64
    for x1, y1, x2, y2 in regions.tolist():
        assert 0 <= x1 < x2 <= 1920
        assert 0 <= y1 < y2 <= 1080
