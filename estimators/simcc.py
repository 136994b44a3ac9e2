"""Decoding of SimCC: two vectors per joint, along x and y, to joints in pixels of the crop.

Li et al. 2022, "SimCC: a Simple Coordinate Classification Perspective for Human Pose Estimation"; used by RTMPose
(Jiang et al. 2023). Instead of a map with coarse cells, fine bins are classified for x and y separately.
"""

from __future__ import annotations

import cv2
import numpy as np
from scipy.ndimage import correlate1d

_RANGE = (1e-3, 50.0)  # DARK clips a vector to these values before its logarithm


def decode_simcc(
    simcc_x: np.ndarray,
    simcc_y: np.ndarray,
    *,
    bins_per_pixel: float = 2.0,
    dark_kernels: tuple[int, int] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Decode by the highest bin of each vector (section 3.2); the score is the lower of the two heights.

    The keypoint is NaN if a vector has no bin above 0. Some runtimes use the mean of both heights as the score; the
    minimum is low as soon as one axis fails.

    Args:
        simcc_x: (N, K, bins of x).
        simcc_y: (N, K, bins of y).
        bins_per_pixel: the paper's splitting factor k.
        dark_kernels: refine between bins by DARK's Newton step (see `heatmaps.decode_dark`), after smoothing x and y
            over this many bins (odd, see `dark_kernel`). None uses the centre of the bin, which is accurate enough for
            two bins per pixel.

    Returns:
        keypoints (N, K, 2) float64 x y in crop pixels; scores (N, K).
    """
    vectors = (simcc_x, simcc_y)
    scores = np.minimum(simcc_x.max(axis=2), simcc_y.max(axis=2))
    bins = [vector.argmax(axis=2).astype(np.float64) for vector in vectors]
    if dark_kernels is not None:
        bins = [
            place + _newton_step(vector, kernel)
            for place, vector, kernel in zip(bins, vectors, dark_kernels, strict=True)
        ]
    keypoints = np.stack(bins, axis=2) / bins_per_pixel
    return np.where((scores > 0)[..., None], keypoints, np.nan), scores


def dark_kernel(sigma_bins: float) -> int:
    """Number of bins to smooth over before DARK's step, for vectors trained with Gaussians of this spread."""
    kernel = int((sigma_bins * 20 - 7) // 3)
    return kernel - 1 + kernel % 2


def flip_average_simcc(
    vectors: tuple[np.ndarray, np.ndarray], mirrored: tuple[np.ndarray, np.ndarray], mirror: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Average vectors with those of the mirrored crops (flip test).

    Args:
        vectors: simcc_x, simcc_y as in `decode_simcc`.
        mirrored: the same for the mirrored crops.
        mirror: (K,) index of each joint's mirror image.
    """
    x, y = mirrored[0][:, mirror, ::-1], mirrored[1][:, mirror]
    return (vectors[0] + x) / 2, (vectors[1] + y) / 2


def _newton_step(vectors: np.ndarray, kernel: int) -> np.ndarray:
    """Offsets (N, K) in bins from the highest bin to the peak of the Gaussian through it, of vectors (N, K, bins)."""
    N, K, B = vectors.shape
    weights = cv2.getGaussianKernel(kernel, 0, cv2.CV_64F)[:, 0]
    smooth = correlate1d(vectors.astype(np.float64), weights, axis=2, mode="constant")
    highest = smooth.max(axis=2, keepdims=True)
    smooth *= vectors.max(axis=2, keepdims=True) / np.where(highest == 0, 1, highest)
    log = np.log(np.clip(smooth, *_RANGE))
    peak = vectors.argmax(axis=2)

    def beside(step: int) -> np.ndarray:
        return log[np.arange(N)[:, None], np.arange(K), np.clip(peak + step, 0, B - 1)]

    first = (beside(1) - beside(-1)) / 2
    second = (beside(2) - 2 * beside(0) + beside(-2)) / 4 + 1e-9  # avoids a division by 0
    return -first / second
