"""Networks that read the ground truth of an invented world."""

from __future__ import annotations

from tests.worlds import TruthDetector, TruthEstimator, World
from tracker.inference.propagation import create_flow
from tracker.runs.networks import Networks


def truth_networks(world: World) -> Networks:
    """A detector and an estimator of this world, with Lucas-Kanade flow."""
    return Networks(TruthDetector(world), TruthEstimator(world), create_flow("lk"), (), "cpu")
