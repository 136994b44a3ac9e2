"""All published weights that a run can use: of detectors, estimators, appearance networks and optical flow."""

from __future__ import annotations

from detectors.published import PUBLISHED as DETECTORS
from estimators.published import PUBLISHED as ESTIMATORS
from posetrail.published import Published
from tracker.inference.flow_weights import PUBLISHED as FLOW


def published_weights() -> dict[str, Published]:
    """The tables of detectors, estimators and optical flow in one, by name."""
    return {**DETECTORS, **ESTIMATORS, **FLOW}
