"""Links between tracklets: by motion, by the trackers' votes, by shape and by appearance."""

from __future__ import annotations

import numpy as np
import pytest

from posetrail.skeletons import COCO_17
from tests.worlds import STANDING
from tracker.association.linking import link
from tracker.association.tracklets import ENDS, Tracklets

FPS = 30
SIGMAS = np.array(COCO_17.oks_sigmas)


def tracklet(first: int, places: list[tuple[float, float]], *, size: float = 60.0, **more: object) -> dict[str, object]:
    """A tracklet that starts in the frame `first`, with a position (x, y) for each of its frames."""
    poses = np.array([[(first + t) / FPS, x, y, size] for t, (x, y) in enumerate(places)])
    starts, ends = np.full((2, ENDS, 4), np.nan)
    starts[: len(places)], ends[ENDS - len(places) :] = poses[:ENDS], poses[-ENDS:]
    shape = size * (STANDING - STANDING.mean(axis=0))
    return {
        "forward": 0,
        "backward": 0,
        "first": first,
        "last": first + len(places) - 1,
        "starts": starts,
        "ends": ends,
        "first_joints": shape,
        "last_joints": shape,
        "appearance": np.zeros(0),
        "evidence": 1.0,
        **more,
    }


def linked(*records: dict[str, object], max_gap_s: float = 3.0) -> list[int]:
    columns = {name: np.array([each[name] for each in records]) for name in records[0]}
    return link(Tracklets(**columns), SIGMAS, max_gap_s).tolist()


def walk(start: float, speed: float, y: float = 0.0) -> list[tuple[float, float]]:
    """Ten frames, `speed` in pixels per frame."""
    return [(start + speed * t, y) for t in range(10)]


def test_motion_links_tracklets_across_a_crossing() -> None:
    assert linked(
        tracklet(0, walk(0, 8)), tracklet(0, walk(200, -8)), tracklet(16, walk(128, 8)), tracklet(16, walk(72, -8))
    ) == [
        0,
        1,
        0,
        1,
    ]


def test_votes_of_the_trackers_decide_between_equal_motions() -> None:
    here, there = [(0.0, 0.0)], [(40.0, 0.0)]
    between = [(20.0, 0.0)]
    one, other = {"forward": 1, "backward": 3}, {"forward": 2, "backward": 4}
    assert linked(tracklet(0, here, **one), tracklet(0, there, **other), tracklet(9, between, **one)) == [0, 1, 0]
    assert linked(tracklet(0, here, **one), tracklet(0, there, **other), tracklet(9, between, **other)) == [0, 1, 1]


def test_appearance_decides_between_equal_motions() -> None:
    red, blue = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    before = tracklet(0, [(0, 0)], appearance=red), tracklet(0, [(40, 0)], appearance=blue)
    for appearance, track in ((red, 0), (blue, 1)):
        assert linked(*before, tracklet(9, [(20, 0)], appearance=appearance)) == [0, 1, track]


def test_shape_decides_between_equal_motions() -> None:
    shape = 60 * (STANDING - STANDING.mean(axis=0))
    lying = shape[:, ::-1]
    before = tracklet(0, [(0, 0)]), tracklet(0, [(40, 0)], last_joints=lying)
    assert linked(*before, tracklet(9, [(20, 0)])) == [0, 1, 0]
    assert linked(*before, tracklet(9, [(20, 0)], first_joints=lying)) == [0, 1, 1]


def test_distant_tracklets_are_not_linked() -> None:
    assert linked(tracklet(0, walk(0, 2)), tracklet(12, walk(400, 2))) == [0, 1]


def test_tracklets_that_overlap_in_time_are_not_linked() -> None:
    one = {"forward": 1, "backward": 1}
    assert linked(tracklet(0, walk(0, 2), **one), tracklet(9, walk(18, 2), **one)) == [0, 1]


def test_no_tracklets_give_no_tracks() -> None:
    columns = {name: np.array([value]) for name, value in tracklet(0, [(0, 0)]).items()}
    none = Tracklets(**{name: column[:0] for name, column in columns.items()})
    assert link(none, SIGMAS, 3.0).tolist() == []


def test_the_number_of_pairs_at_a_time_does_not_change_the_links(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    tracklets = [tracklet(12 * i, walk(x, v)) for i in range(20) for x, v in random.uniform(-9, 9, (4, 2)).tolist()]
    at_once = linked(*tracklets)
    monkeypatch.setattr("tracker.association.linking._PAIRS_AT_A_TIME", 7)
    assert linked(*tracklets) == at_once
    assert 4 < len(set(at_once)) < 80
