"""SimCC's two vectors for each joint, one along x and one along y, to joints in pixels of the crop.

Li et al. 2022, "SimCC: a Simple Coordinate Classification Perspective for Human Pose Estimation"; as RTMPose (Jiang et
al. 2023) uses it. Instead of a map, whose cells are coarse, a fine bin is chosen for x and for y by themselves.
"""

from __future__ import annotations

import cv2
import numpy as np
from scipy.ndimage import correlate1d

_RANGE = (1e-3, 50.0)  # DARK bounds a vector by these before its logarithm is taken


def decode_simcc(
    simcc_x: np.ndarray,
    simcc_y: np.ndarray,
    *,
    bins_per_pixel: float = 2.0,
    dark_kernels: tuple[int, int] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The highest bin of each vector (section 3.2); the less sure of the two is the joint's score.

    Where a vector has no bin above 0 the keypoint is NaN. Some runtimes take the mean of both heights for the score;
    the minimum tells when one axis is lost.

    Args:
        simcc_x: (N, K, bins of x).
        simcc_y: (N, K, bins of y).
        bins_per_pixel: the paper's splitting factor k.
        dark_kernels: refine between the bins by DARK's Newton step (see `heatmaps.decode_dark`), after smoothing x and
            y over so many bins (odd; `dark_kernel` knows how many); None: leave the joint on the bin, which at two bins
            to a pixel is enough.

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
    """Bins to smooth over before DARK's step, for vectors trained with Gaussians of this spread."""
    kernel = int((sigma_bins * 20 - 7) // 3)
    return kernel - 1 + kernel % 2


def flip_average_simcc(
    vectors: tuple[np.ndarray, np.ndarray], mirrored: tuple[np.ndarray, np.ndarray], mirror: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Vectors of the crops averaged with those of the crops seen in a mirror: the flip test.

    Args:
        vectors: simcc_x, simcc_y as in `decode_simcc`.
        mirrored: the same of the mirrored crops.
        mirror: (K,) each joint's position on the other side of the body.
    """
    x, y = mirrored[0][:, mirror, ::-1], mirrored[1][:, mirror]
    return (vectors[0] + x) / 2, (vectors[1] + y) / 2


def _newton_step(vectors: np.ndarray, kernel: int) -> np.ndarray:
    """From the highest bin to the top of the Gaussian through it, (N, K) bins, of vectors (N, K, bins)."""
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
    second = (beside(2) - 2 * beside(0) + beside(-2)) / 4 + 1e-9  # never divides by 0
    return -first / second
