"""Calibration of thresholds to the scores of a clip."""

from __future__ import annotations

import numpy as np
import pytest

from posetrail.poses import Poses
from tracker.association.score_scale import ScoreScale


def poses(scores: list[float], propagated: bool = False) -> Poses:
    n = len(scores)
    return Poses(np.zeros((n, 17, 2)), np.ones((n, 17)), np.zeros((n, 4)), scores, np.full(n, propagated))


def test_a_missing_score_does_not_change_the_scale() -> None:
    with_gap, without = ScoreScale(adapt=True), ScoreScale(adapt=True)
    assert with_gap.add(poses([0.81, np.nan, 0.64]), 0.0) == pytest.approx([0.9, 0.0, 0.8])
    without.add(poses([0.81, 0.64]), 0.0)
    assert with_gap.threshold(0.4) == without.threshold(0.4)


def test_propagated_poses_and_a_fixed_scale_change_no_threshold() -> None:
    scale = ScoreScale(adapt=True)
    scale.add(poses([0.2, 0.3]), 0.0)
    before = scale.threshold(0.4)
    scale.add(poses([0.9], propagated=True), 0.0)
    assert scale.threshold(0.4) == pytest.approx(before)
    fixed = ScoreScale(adapt=False)
    fixed.add(poses([0.2, 0.3]), 0.0)
    assert fixed.threshold(0.4) == 0.4


def test_the_scale_survives_hours_without_people() -> None:
    scale = ScoreScale(adapt=True)
    scale.add(poses([0.3, 0.3]), 0.0)
    before = scale.threshold(0.4)
    for hour in (1, 10, 10_000):
        scale.add(Poses.empty(17), 3600.0 * hour)
        assert scale.threshold(0.4) == pytest.approx(before)
    scale.add(poses([0.9]), 3600.0 * 10_001)
    assert scale.threshold(0.4) == pytest.approx(0.4 * np.sqrt(0.9) / 0.65, rel=1e-3)
