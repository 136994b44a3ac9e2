"""Errors of 3-D joints: MPJPE and its relatives as defined for Human3.6M and MPI-INF-3DHP.

All functions take predicted and true joints (F, K, 3) of one person in F successive frames, in one unit, which is that
of the result. A joint that is NaN in either is left out of every mean. A frame without the person is all NaN, so that
velocities and accelerations are taken over successive frames alone.

Poses are compared relative to a root: subtract it first with `relative_to`. Where the root is one of the K joints,
its error of 0 counts in the means, as it does in the published figures.
"""

from __future__ import annotations

import numpy as np

PCK_MM = 150.0
"""Threshold of the 3-D PCK (Mehta et al., "Monocular 3D Human Pose Estimation In The Wild ...", 3DV 2017)."""
AUC_THRESHOLDS_MM = np.arange(0.0, 151.0, 5.0)
"""The 31 thresholds whose mean PCK is the AUC."""
_MIN_JOINTS = 3  # that determine a rotation


def relative_to(keypoints: np.ndarray, roots: np.ndarray) -> np.ndarray:
    """Joints (F, K, 3) relative to the root (F, 3) of their frame."""
    return keypoints - roots[:, None]


def joint_errors(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The distance (F, K) of each joint from the true one, NaN where either is missing."""
    return np.sqrt(((predicted - truth) ** 2).sum(axis=-1))


def mpjpe(predicted: np.ndarray, truth: np.ndarray) -> float:
    """Mean per-joint position error (protocol 1 of Human3.6M); NaN without a joint."""
    return _mean(joint_errors(predicted, truth))


def weighted_mpjpe(predicted: np.ndarray, truth: np.ndarray, weights: np.ndarray) -> float:
    """Mean of the joints' errors times the weight (F,) of their frame, such as 1 / depth (Pavllo et al., CVPR 2019)."""
    return _mean(joint_errors(predicted, truth) * weights[:, None])


def p_mpjpe(predicted: np.ndarray, truth: np.ndarray) -> float:
    """MPJPE after the best similarity of each frame (protocol 2); a mirrored pose stays wrong."""
    return mpjpe(aligned(predicted, truth), truth)


def n_mpjpe(predicted: np.ndarray, truth: np.ndarray) -> float:
    """MPJPE after the best scale of each frame (Rhodin et al., CVPR 2018; protocol 3)."""
    present = _present(predicted, truth)
    g, p = np.where(present, truth, 0.0), np.where(present, predicted, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        scales = (g * p).sum(axis=(1, 2)) / (p * p).sum(axis=(1, 2))
    return mpjpe(scales[:, None, None] * predicted, truth)


def aligned(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The predicted joints (F, K, 3) after the similarity of each frame that brings them nearest to the true ones.

    Scale, rotation and translation in least squares over the joints that both have, without reflection (Umeyama, PAMI
    1991). Frames with fewer than three such joints, or with all of them in one place, are NaN.
    """
    present = _present(predicted, truth)
    count = present.sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        g_mean = np.where(present, truth, 0.0).sum(axis=1, keepdims=True) / count
        p_mean = np.where(present, predicted, 0.0).sum(axis=1, keepdims=True) / count
    g = np.where(present, truth - g_mean, 0.0)
    p = np.where(present, predicted - p_mean, 0.0)
    u, singular, vt = np.linalg.svd(np.swapaxes(p, 1, 2) @ g)
    mirrored = np.sign(np.linalg.det(u @ vt))
    u[:, :, -1] *= mirrored[:, None]
    singular[:, -1] *= mirrored
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = singular.sum(axis=1) / (p * p).sum(axis=(1, 2))
    out = scale[:, None, None] * (predicted - p_mean) @ (u @ vt) + g_mean
    out[count[:, 0, 0] < _MIN_JOINTS] = np.nan
    return out


def mpjve(predicted: np.ndarray, truth: np.ndarray) -> float:
    """Mean per-joint velocity error in units per frame (Pavllo et al., CVPR 2019); it depends on the frame rate."""
    return _mean(joint_errors(np.diff(predicted, axis=0), np.diff(truth, axis=0)))


def acceleration_error(predicted: np.ndarray, truth: np.ndarray) -> float:
    """Mean error of the second difference, in units per frame squared (Kanazawa et al., CVPR 2019)."""
    return _mean(joint_errors(np.diff(predicted, n=2, axis=0), np.diff(truth, n=2, axis=0)))


def acceleration(keypoints: np.ndarray) -> float:
    """Mean length of the second difference, in units per frame squared: jitter."""
    return _mean(np.linalg.norm(np.diff(keypoints, n=2, axis=0), axis=-1))


def pck(errors: np.ndarray, threshold: float = PCK_MM) -> float:
    """The percentage of joints with an error below the threshold, in its unit; NaN without a joint."""
    known = errors[np.isfinite(errors)]
    return float(100 * (known < threshold).mean()) if known.size else float("nan")


def auc(errors_mm: np.ndarray) -> float:
    """The mean 3-D PCK over thresholds of 0, 5, ..., 150 mm."""
    return float(np.mean([pck(errors_mm, threshold) for threshold in AUC_THRESHOLDS_MM]))


def bone_lengths(keypoints: np.ndarray, bones: np.ndarray) -> np.ndarray:
    """The length (F, L) of each bone, a pair of joints (L, 2), in each frame."""
    return np.linalg.norm(keypoints[:, bones[:, 1]] - keypoints[:, bones[:, 0]], axis=-1)


def _present(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """(F, K, 1): which joints both have."""
    return (np.isfinite(predicted) & np.isfinite(truth)).all(axis=-1, keepdims=True)


def _mean(errors: np.ndarray) -> float:
    known = errors[np.isfinite(errors)]
    return float(known.mean()) if known.size else float("nan")
