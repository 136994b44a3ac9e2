"""Errors made from annotated poses: how often each kind occurs, and where."""

from __future__ import annotations

import numpy as np
import pytest

from posetrail.skeletons import COCO_17
from training.error_synthesis import KINDS, WrongPose, distance, probabilities, with_errors

AREA = 20_000.0
SIGMAS = np.array(COCO_17.oks_sigmas)


def person(x: float = 0.0) -> np.ndarray:
    """Joints (17, 2) that are far from each other, so that all kinds find a place."""
    return np.stack([x + 200.0 * (np.arange(17) % 5), 200.0 * (np.arange(17) // 5)], axis=1)


def drawn(times: int, keypoints: np.ndarray, neighbours: np.ndarray) -> WrongPose:
    """Many drawings of one person: keypoints (times, 17, 2) and kinds (times, 17)."""
    rng = np.random.default_rng(0)
    each = [with_errors(rng, keypoints, neighbours, AREA, COCO_17) for _ in range(times)]
    return WrongPose(np.stack([one.keypoints for one in each]), np.stack([one.kinds for one in each]))


@pytest.fixture(scope="module")
def many() -> WrongPose:
    return drawn(400, person(), person(80.0)[None])


def test_kinds_occur_with_their_probabilities(many: WrongPose) -> None:
    expected = probabilities(COCO_17, 17, 1)
    expected[0, KINDS.index("inversion")] = 0  # the nose has no mirrored joint
    expected /= expected.sum(axis=1, keepdims=True)
    found = np.stack([(many.kinds == kind).mean(axis=0) for kind in range(len(KINDS))], axis=1)
    assert np.abs(found - expected).max() < 0.09
    assert np.abs((found - expected).mean(axis=0)).max() < 0.015


@pytest.mark.parametrize(
    ("kind", "high", "low"),
    [("good", 1.0, 0.85), ("jitter", 0.85, 0.5), ("inversion", 1.0, 0.5), ("swap", 1.0, 0.5), ("miss", 0.5, 0.1)],
)
def test_places_of_a_kind_lie_around_its_centres(many: WrongPose, kind: str, high: float, low: float) -> None:
    rows, joints = np.nonzero(many.kinds == KINDS.index(kind))  # type: ignore[arg-type]
    mirror, own, other = COCO_17.mirror[joints], person(), person(80.0)
    centres = {
        "inversion": own[mirror][:, None],
        "swap": np.stack([other[joints], other[mirror]], axis=1),
        "miss": np.stack([own[joints], own[mirror], other[joints], other[mirror]], axis=1),
    }.get(kind, own[joints][:, None])
    places = many.keypoints[rows, joints]
    apart = np.linalg.norm(places[:, None] - centres, axis=2).min(axis=1)
    similarity = np.exp(-(apart**2) / (2 * AREA * (2 * SIGMAS[joints]) ** 2))
    assert len(rows) > 20
    assert (similarity >= low - 1e-9).all()
    assert (similarity <= high + 1e-9).all()
    assert similarity.max() - similarity.min() > 0.5 * (high - low)  # they fill the range


def test_every_place_is_nearest_to_its_own_centre(many: WrongPose) -> None:
    good = np.isin(many.kinds, [KINDS.index("good"), KINDS.index("jitter")])
    own, other = person(), person(80.0)
    candidates = np.stack([own, own[COCO_17.mirror], other, other[COCO_17.mirror]])
    apart = np.linalg.norm(many.keypoints[:, None] - candidates, axis=3)
    assert (apart.argmin(axis=1)[good] == 0).all()


def test_joints_without_annotation_stay_missing_and_a_lonely_joint_has_few_kinds() -> None:
    alone = np.full((17, 2), np.nan)
    alone[9] = 50.0  # a wrist without its mirrored joint and without neighbours
    found = drawn(200, alone, np.zeros((0, 17, 2)))
    assert np.isnan(found.keypoints[:, np.arange(17) != 9]).all()
    assert (found.kinds[:, np.arange(17) != 9] == -1).all()
    assert {KINDS[kind] for kind in found.kinds[:, 9]} == {"good", "jitter", "miss"}
    expected = probabilities(COCO_17, 1, 0)[9, :3]
    shares = [(found.kinds[:, 9] == kind).mean() for kind in range(3)]
    assert np.abs(shares - expected / expected.sum()).max() < 0.1


def test_joints_of_two_people_at_one_place_are_never_swapped() -> None:
    found = drawn(50, person(), person()[None])
    assert np.isfinite(found.keypoints).all()


@pytest.mark.parametrize(
    ("labelled", "neighbours", "joint", "expected"),
    [
        (17, 0, "nose", (0.10, 0.02, 0.01, 0.01)),
        (17, 2, "left_hip", (0.20, 0.10, 0.06, 0.03)),
        (15, 3, "left_wrist", (0.15, 0.10, 0.03, 0.15)),
        (10, 0, "right_knee", (0.15, 0.15, 0.06, 0.03)),
        (10, 1, "right_ankle", (0.15, 0.13, 0.06, 0.10)),
        (5, 0, "left_shoulder", (0.20, 0.20, 0.03, 0.06)),
        (5, 1, "left_ear", (0.20, 0.15, 0.01, 0.02)),
    ],
)
def test_probabilities_are_those_published(
    labelled: int, neighbours: int, joint: str, expected: tuple[float, ...]
) -> None:
    row = probabilities(COCO_17, labelled, neighbours)[COCO_17.index(joint)]
    assert row[1:].tolist() == pytest.approx(expected)
    assert row.sum() == pytest.approx(1)


def test_the_distance_of_a_similarity_is_that_of_oks() -> None:
    assert distance(0.5, 100.0, 0.1) == pytest.approx(np.sqrt(2 * 100 * 0.04 * np.log(2)))


def test_the_same_seed_gives_the_same_errors() -> None:
    first, second = (drawn(2, person(), person(80.0)[None]) for _ in range(2))
    assert np.array_equal(first.keypoints, second.keypoints)
