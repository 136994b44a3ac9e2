"""What lifters are given: missing joints interpolated, pixels normalised, confidences added."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from posetrail.poses3d import PoseSequence

Normalisation = Literal["width", "square", "box"]
"""Range of the joints: x from -1 to 1 over the width of the image, and y in the same scale; the square around the
joints of the whole sequence to -1..1; or the square around those of each frame to the mean box of Human3.6M, pixels."""

_MIN_JOINTS = 4  # of a sequence, for its square to mean something
_BOX_PER_JOINTS = 1.25  # side of a person's box relative to the square around the joints


@dataclass(frozen=True, eq=False)
class LifterInput:
    """Normalised joints of a sequence."""

    values: np.ndarray  # (T, K, 2 or 3) float32
    pixels_per_unit: float


def network_input(
    sequence: PoseSequence, normalisation: Normalisation, confidence: Literal["none", "scores", "presence"]
) -> LifterInput:
    """Normalised joints; missing ones are interpolated over time and have confidence 0."""
    present = sequence.present
    keypoints = without_gaps(sequence.keypoints, present)
    scores = np.where(present, np.clip(sequence.keypoint_scores, 0, 1), 0)
    width, height = sequence.image_size
    scale = width / 2
    if normalisation == "width":
        values = (keypoints - np.array([width, height]) / 2) / scale
    elif normalisation == "square":
        values, scale = square_normalised(keypoints, scores)
    else:
        values = box_normalised(keypoints)
    if confidence != "none":
        last = scores if confidence == "scores" else present
        values = np.concatenate((values, last[:, :, None]), axis=2)
    return LifterInput(values.astype(np.float32), scale)


def without_gaps(keypoints: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Keypoints (T, K, 2) with missing ones interpolated linearly over time, beyond the ends repeated.

    A joint that is never present is in the middle of the others; without any joint all are 0.
    """
    T, K, _ = keypoints.shape
    frames = np.arange(T)
    complete = np.zeros((T, K, 2))
    ever = present.any(axis=0)
    for k in np.flatnonzero(ever):
        seen = present[:, k]
        for axis in range(2):
            complete[:, k, axis] = np.interp(frames, frames[seen], keypoints[seen, k, axis])
    if ever.any():
        complete[:, ~ever] = complete[:, ever].mean(axis=1, keepdims=True)
    return complete


def square_normalised(keypoints: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, float]:
    """Map the square around the joints with a score above 0, over all frames, to -1..1, and clip the others to it.

    Args:
        keypoints: (T, K, 2) pixels, without NaN.
        scores: (T, K).

    Returns:
        joints (T, K, 2), all 0 for fewer than four joints or joints in one place; and pixels per unit.
    """
    seen = keypoints[scores > 0]
    side = float(np.ptp(seen, axis=0).max()) if len(seen) else 0.0
    if len(seen) < _MIN_JOINTS or side == 0:
        return np.zeros_like(keypoints), 1.0
    centre = (seen.min(axis=0) + seen.max(axis=0)) / 2
    return np.clip((keypoints - centre) / (side / 2), -1, 1), side / 2


def box_normalised(keypoints: np.ndarray) -> np.ndarray:
    """Scale the joints (T, K, 2) of each frame to the boxes of Human3.6M, in pixels relative to the box's centre."""
    from estimators.networks.simplebaseline3d import BOX_SIDE_PX

    low, high = keypoints.min(axis=1, keepdims=True), keypoints.max(axis=1, keepdims=True)
    side = (high - low).max(axis=2, keepdims=True) * _BOX_PER_JOINTS
    return (keypoints - (low + high) / 2) / np.where(side > 0, side, 1) * BOX_SIDE_PX
