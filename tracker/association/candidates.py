"""The poses of a frame as they enter matching."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracker.frames import PoseFrame


@dataclass(frozen=True, eq=False)
class Candidates:
    """The poses of one frame, prepared for matching."""

    frame: PoseFrame
    keypoints: np.ndarray  # (N, K, 2) float64 pixels; NaN where missing or below `min_match_joint_score`
    boxes: np.ndarray  # (N, 4) float64 pixels; around the joints where the pose has none
    usable: np.ndarray  # (N,) bool: has a box and is no duplicate
    confident: np.ndarray  # (N,) bool: detected, and of a quality that may start a track
    evidence: np.ndarray  # (N,) how much the pose speaks for a person
    joint_variances: np.ndarray  # (K,) (2 sigma)^2 of each joint
