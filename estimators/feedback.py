"""Refinement in a loop: a network estimates the step from each joint of a pose to its place, and the pose moves there.

    keypoints <- keypoints + bounded(correct(crops, keypoints))        a few times

Iterative error feedback (Carreira et al. 2016, "Human Pose Estimation with Iterative Error Feedback") sees the whole
crop and the pose, drawn as maps, and moves all joints at most so far in a step. The cascade of DeepPose (Toshev and
Szegedy 2014, "DeepPose: Human Pose Estimation via Deep Neural Networks", section 3.2) sees a small crop around each
joint, with a network for each stage. Both are functions from crops and poses to steps here, so that `refine_by_steps`
turns either into what `estimators.refiners.PoseRefiner` takes.

The networks of both papers are not published; any network of these shapes can be used.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from estimators.affine import crop_matrices, warped
from posetrail.runtime import Run
from posetrail.skeletons import Skeleton

Correct = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Crops (B, height, width, 3) uint8 RGB and the poses in them, (B, K, 2) pixels of the crop with NaN where missing, to
the steps (B, K, 2) towards the places of the joints, pixels."""

MEAN_RGB = (117.4, 117.6, 110.2)  # of iterative error feedback
BOUND_PX = 20.0  # longest step, of crops of 224 x 224
_HEIGHT, _FLOOR, _FALL = 100.0, 50.0, 0.001  # maps are 100 exp(-0.001 d^2) - 50, d in pixels


def refine_by_steps(
    stages: Sequence[Correct], *, bound_px: float | None = BOUND_PX
) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Apply stages one after the other, each to the pose that the one before left.

    Args:
        stages: the same function several times for iterative error feedback, such as `[correct] * 4`; one per stage for
            a cascade.
        bound_px: longest step of a joint, pixels of the crop; None for any.

    Returns:
        a function from crops and poses (B, K, 2) to corrected poses, as `estimators.refiners.PoseRefiner` takes it.
    """

    def refine(crops: np.ndarray, keypoints: np.ndarray) -> np.ndarray:
        for correct in stages:
            steps = correct(crops, keypoints)
            keypoints = keypoints + (steps if bound_px is None else bounded(steps, bound_px))
        return keypoints

    return refine


def bounded(steps: np.ndarray, bound_px: float = BOUND_PX) -> np.ndarray:
    """Steps (..., 2) of at most this length in the same direction (Carreira et al. 2016, equation 4).

    The targets in training are the bounded steps from a pose to the ground truth.
    """
    lengths = np.linalg.norm(steps, axis=-1, keepdims=True)
    return steps * np.minimum(lengths, bound_px) / np.where(lengths > 0, lengths, 1)


def fixed_path(start: np.ndarray, truth: np.ndarray, stages: int, bound_px: float = BOUND_PX) -> np.ndarray:
    """The poses that stages are trained on: from the start, each a bounded step nearer to the ground truth.

    Fixed path consolidation (Carreira et al. 2016, section 3): these poses do not depend on the network.

    Args:
        start: poses (B, K, 2), such as the mean pose.
        truth: (B, K, 2).
        stages: number of them.
        bound_px: longest step, pixels.

    Returns:
        (stages + 1, B, K, 2); the targets are its differences.
    """
    path = [start]
    for _ in range(stages):
        path.append(path[-1] + bounded(truth - path[-1], bound_px))
    return np.stack(path)


def pose_maps(keypoints: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Maps (B, K, height, width) float32 of joints (B, K, 2), pixels: 100 exp(-0.001 d^2) - 50; -50 for missing joints.

    As in the published code, the peak is one pixel right of the rounded joint and below it.

    Args:
        keypoints: NaN where missing.
        size: width and height of the crop, pixels.
    """
    peaks = np.floor(keypoints + 1.5)
    x, y = (np.exp(-_FALL * (np.arange(size[axis]) - peaks[..., axis, None]) ** 2) for axis in range(2))
    maps = np.nan_to_num(y[..., :, None] * x[..., None, :], nan=0.0)
    return (_HEIGHT * maps - _FLOOR).astype(np.float32)


def error_feedback(run: Run, *, step_px: float = 1.0) -> Correct:
    """Steps of iterative error feedback.

    Args:
        run: maps images, maps of the joints and a map of the centre, (B, 3 + K + 1, height, width), to dx of all joints
            and then dy, (B, 2 K).
        step_px: length of a step of 1.
    """

    def correct(crops: np.ndarray, keypoints: np.ndarray) -> np.ndarray:
        (steps,) = run(feedback_input(crops, keypoints))
        return step_px * np.stack(np.split(steps, 2, axis=1), axis=2)

    return correct


def feedback_input(crops: np.ndarray, keypoints: np.ndarray) -> np.ndarray:
    """Input (B, 3 + K + 1, height, width) of the network of `error_feedback`, for crops and poses (B, K, 2)."""
    height, width = crops.shape[1:3]
    images = (crops - np.array(MEAN_RGB, np.float32)).transpose(0, 3, 1, 2)
    centres = np.broadcast_to([(width - 1) / 2, (height - 1) / 2], (len(crops), 1, 2))
    maps = pose_maps(np.concatenate([keypoints, centres], axis=1), (width, height))
    return np.concatenate([images, maps], axis=1)


def around_joints(run: Run, skeleton: Skeleton, *, factor: float = 1.0, size: tuple[int, int] = (220, 220)) -> Correct:
    """Steps of a stage of DeepPose's cascade: each joint is looked for in a small crop around its last place.

    Args:
        run: maps crops (B K, height, width, 3) uint8 RGB, all joints of a person next to each other, to steps (B K, 2)
            as shares of the crop.
        skeleton: of the poses, with shoulders and hips, whose distance is the size of a person.
        factor: side of a joint's crop in units of that distance.
        size: width and height of a joint's crop, pixels.
    """
    shoulder, hip = skeleton.index("left_shoulder"), skeleton.index("right_hip")

    def correct(crops: np.ndarray, keypoints: np.ndarray) -> np.ndarray:
        B, K, _ = keypoints.shape
        sides = factor * np.linalg.norm(keypoints[:, shoulder] - keypoints[:, hip], axis=1)
        sides = np.repeat(sides, K)
        places = keypoints.reshape(-1, 2)
        usable = np.isfinite(places).all(axis=1) & np.isfinite(sides) & (sides >= 1)
        centres, squares = np.where(usable[:, None], places, 0), np.where(usable, sides, 1)[:, None] * np.ones(2)
        matrices = crop_matrices(centres, squares, size)
        images = np.stack([warped(crops[i // K], matrix, size) for i, matrix in enumerate(matrices)])
        (steps,) = run(images)
        return np.where(usable[:, None], steps * squares, 0).reshape(B, K, 2)

    return correct
