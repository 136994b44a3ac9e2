"""Decodes heatmaps to joints as in published estimators; any decoder works with any heatmap estimator.

Every decoder takes maps (N, K, H, W) for K joints in N crops and returns keypoints (N, K, 2) float64 x y in cells, with
(3, 5) the centre of the cell heatmaps[..., 5, 3], and scores (N, K), the value of the map at the joint. For a map
without a cell above 0 the keypoint is NaN and the score 0 or less. Published code differs in whether cells count from
their corner or their centre; `cells_to_pixels` handles that.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

import cv2
import numpy as np

Decoder = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
Alignment = Literal["corner", "middle", "ends"]

_SHIFT = 0.25  # cells; one pixel where a cell has four
_SECOND_PEAK_MARGIN = 10  # cells of zeros around the map for the smoothing of CPN and MSPN
_LEAST_PEAK = 1e-30  # maps with a lower maximum are not normalised, which would overflow
_DARK_FLOOR = 1e-10  # lower bound of maps before DARK takes the logarithm
_UDP_RANGE = (1e-3, 50.0)  # bounds of maps before UDP takes the logarithm


def highest_cells(heatmaps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the highest cell of each map; of equal cells, the first in row-major order.

    Args:
        heatmaps: (N, K, H, W).

    Returns:
        cells (N, K, 2) int x y; values (N, K).
    """
    N, K, H, W = heatmaps.shape
    y, x = np.divmod(heatmaps.reshape(N, K, H * W).argmax(axis=2), W)
    return np.stack([x, y], axis=2), values_at(heatmaps, x, y)


def values_at(maps: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Values (N, K) of maps (N, K, H, W) at cells x, y (N, K) int; cells outside are clipped to the border."""
    N, K, H, W = maps.shape
    return maps[np.arange(N)[:, None], np.arange(K), np.clip(y, 0, H - 1), np.clip(x, 0, W - 1)]


def smoothed(maps: np.ndarray, kernel: int, border: Literal["constant", "reflect"]) -> np.ndarray:
    """Smooth maps (N, K, H, W) with a Gaussian kernel of `kernel` cells (odd) and OpenCV's default sigma.

    Outside the border, maps are 0 ("constant") or mirrored without repeating the border cell ("reflect").
    """
    reach = kernel // 2
    padded = np.pad(maps.astype(np.float64), ((0, 0), (0, 0), (reach, reach), (reach, reach)), mode=border)
    if padded.size == 0:
        return maps.astype(np.float64)
    # All maps stacked in one image: the padding is as wide as half the kernel, so maps do not affect each other.
    stacked = padded.reshape(-1, padded.shape[3])
    smooth = cv2.GaussianBlur(stacked, (kernel, kernel), 0).reshape(padded.shape)
    return smooth[:, :, reach : reach + maps.shape[2], reach : reach + maps.shape[3]]


def enlarged(maps: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize maps (..., H, W) to `size` (width, height) with bicubic interpolation."""
    height, width = maps.shape[-2:]
    resized = [cv2.resize(each, size, interpolation=cv2.INTER_CUBIC) for each in maps.reshape(-1, height, width)]
    return np.array(resized, maps.dtype).reshape(*maps.shape[:-2], size[1], size[0])


def flip_average(heatmaps: np.ndarray, mirrored: np.ndarray, mirror: np.ndarray, *, shift: bool = False) -> np.ndarray:
    """Average maps with those of the mirrored crops (flip test).

    Args:
        heatmaps: (N, K, H, W).
        mirrored: (N, K, H, W) of the mirrored crops.
        mirror: (K,) index of each joint's counterpart on the other side of the body.
        shift: whether to shift the flipped maps by one cell to the right. With the alignment "corner" of
            `cells_to_pixels`, flipped maps are misaligned by a part of a cell, and the shift reduces this error
            (SimpleBaseline, section 4; explained in UDP, section 3). Maps of UDP are aligned and need no shift.
    """
    flipped = mirrored[:, mirror, :, ::-1]
    if shift:
        flipped = np.concatenate([flipped[..., :1], flipped[..., :-1]], axis=3)
    return (heatmaps + flipped) / 2


def cells_to_pixels(
    keypoints: np.ndarray, map_size: tuple[int, int], crop_size: tuple[int, int], alignment: Alignment
) -> np.ndarray:
    """Convert keypoints from cells of a map to pixels of its crop.

    Args:
        keypoints: (..., 2) x y in cells.
        map_size: (width, height) in cells.
        crop_size: (width, height) in pixels.
        alignment: as in the training of the network. "corner": cell i is at pixel i * stride (SimpleBaseline, HRNet,
            DARK, AlphaPose). "middle": a cell is the square of pixels it covers (Hourglass, CPN, MSPN). "ends": the
            centres of first and last cells are those of first and last pixels (UDP).

    Returns:
        (..., 2) x y in pixels.
    """
    cells, pixels = np.array(map_size), np.array(crop_size)
    if alignment == "corner":
        return keypoints * (pixels / cells)
    if alignment == "middle":
        return (keypoints + 0.5) * (pixels / cells)
    return keypoints * ((pixels - 1) / (cells - 1))


def decode_argmax(heatmaps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Decode to the highest cell; accurate to half a cell, a baseline for the other decoders."""
    cells, scores = highest_cells(heatmaps)
    return _nan_where_flat(cells, scores), scores


def decode_quarter(heatmaps: np.ndarray, *, kernel: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Decode to the highest cell, shifted by a quarter cell towards the higher neighbour in x and in y.

    Xiao, Wu, Wei 2018, "Simple Baselines for Human Pose Estimation and Tracking", after Newell et al. 2016; also used
    by HRNet and AlphaPose. Cells in the first two and in the last row or column are not shifted. For Gaussians the
    error is at most a quarter cell.

    Args:
        heatmaps: (N, K, H, W).
        kernel: size in cells of a Gaussian that smooths the maps first, for noisy peaks (`megvii` in UDP's published
            code: 11); None for no smoothing.
    """
    scores = heatmaps.max(axis=(2, 3))
    if kernel is not None:
        heatmaps = _smoothed_as_high(heatmaps, kernel)
    cells, _ = highest_cells(heatmaps)
    keypoints = cells + _SHIFT * np.sign(_gradient(heatmaps, cells)) * _inside(cells, heatmaps, 1)
    return _nan_where_flat(keypoints, scores), scores


def decode_hourglass(heatmaps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Decode to the highest cell, shifted by a quarter cell, also at the border; between equal neighbours left and up.

    Newell, Yang, Deng 2016, "Stacked Hourglass Networks", section 3.3.
    """
    cells, scores = highest_cells(heatmaps)
    return _nan_where_flat(cells + quarter_always(heatmaps, cells), scores), scores


def quarter_always(heatmaps: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Shifts (N, K, 2) of a quarter cell towards the higher neighbours of cells (N, K, 2); negative for equal ones."""
    return np.where(_gradient(heatmaps, cells) > 0, _SHIFT, -_SHIFT)


def decode_cpn(heatmaps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Decode to the highest cell of the smoothed map, shifted by a quarter cell towards the second highest.

    Chen et al. 2018, "Cascaded Pyramid Network", section 4.1. The wide kernel (21 cells) finds the centre of broad or
    noisy peaks. Scores are values of the unsmoothed map; the paper trains maps of height 255 and uses
    0.5 + value / 255 as the score of a joint.
    """
    highest = heatmaps.max(axis=(2, 3), keepdims=True)
    keypoints = _between_two_peaks(heatmaps / np.where(highest > _LEAST_PEAK, highest, 1), kernel=21)
    return _nan_where_flat(keypoints, highest[..., 0, 0]), _values_near(heatmaps, keypoints)


def decode_mspn(heatmaps: np.ndarray, *, kernel: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Decode like `decode_cpn` with a narrower kernel, for sharper maps, and without normalising the maps.

    Li et al. 2019, "Rethinking on Multi-Stage Networks for Human Pose Estimation", published code. Scores are those of
    `decode_cpn`.

    Args:
        heatmaps: (N, K, H, W).
        kernel: size of the Gaussian, cells.
    """
    keypoints = _between_two_peaks(heatmaps, kernel)
    return _nan_where_flat(keypoints, heatmaps.max(axis=(2, 3))), _values_near(heatmaps, keypoints)


def _between_two_peaks(heatmaps: np.ndarray, kernel: int) -> np.ndarray:
    """Highest cells of the smoothed maps, shifted towards the second highest, (N, K, 2), clipped to the maps."""
    N, K, H, W = heatmaps.shape
    margin = (_SECOND_PEAK_MARGIN, _SECOND_PEAK_MARGIN)
    smooth = smoothed(np.pad(heatmaps, ((0, 0), (0, 0), margin, margin)), kernel, "reflect")
    first, _ = highest_cells(smooth)
    smooth[np.arange(N)[:, None], np.arange(K), first[..., 1], first[..., 0]] = 0
    second, _ = highest_cells(smooth)
    step = second - first
    towards = step / np.maximum(np.linalg.norm(step, axis=2, keepdims=True), 1)
    return np.clip(first - _SECOND_PEAK_MARGIN + _SHIFT * towards, 0, [W - 1, H - 1])


def _values_near(maps: np.ndarray, keypoints: np.ndarray) -> np.ndarray:
    nearest = np.rint(keypoints).astype(int)
    return values_at(maps, nearest[..., 0], nearest[..., 1])


def decode_dark(heatmaps: np.ndarray, *, kernel: int = 11) -> tuple[np.ndarray, np.ndarray]:
    """Decode to the maximum of a Gaussian at the highest cell: one Newton step on the logarithm of the smoothed map.

    Zhang et al. 2020, "Distribution-Aware Coordinate Representation", section 3.1, equations 3 to 9. The logarithm of a
    Gaussian is a parabola, so away from the border the error is a thousandth of a cell, from the truncated kernel.
    Cells in the two outermost columns and rows are not shifted. Second differences span two cells on each side, which
    suits the broad Gaussians (sigma 2 or 3 cells) that SimpleBaseline and HRNet are trained with.

    Args:
        heatmaps: (N, K, H, W).
        kernel: size of the smoothing Gaussian, cells: 11 for training Gaussians of sigma 2 (64 x 48 cells), 17 for
            sigma 3 (96 x 72 cells).
    """
    cells, scores = highest_cells(heatmaps)
    log = np.log(np.maximum(_smoothed_as_high(heatmaps.astype(np.float64), kernel), _DARK_FLOOR))
    f = partial(_value_beside, log, cells)
    dxx = (f(2, 0) - 2 * f(0, 0) + f(-2, 0)) / 4
    dyy = (f(0, 2) - 2 * f(0, 0) + f(0, -2)) / 4
    dxy = (f(1, 1) - f(1, -1) - f(-1, 1) + f(-1, -1)) / 4
    step = _newton_step(_gradient(log, cells), dxx, dxy, dyy) * _inside(cells, heatmaps, 1, last=2)
    return _nan_where_flat(cells + step, scores), scores


def decode_udp(heatmaps: np.ndarray, *, kernel: int = 11) -> tuple[np.ndarray, np.ndarray]:
    """Decode like `decode_dark` with second differences over one cell, also at the border.

    Huang et al. 2020, "The Devil is in the Details: Delving into Unbiased Data Processing", published code. Outside the
    border, maps are mirrored for the smoothing and repeated for the differences; the Hessian is regularised for flat
    maxima. The step is not bounded, so joints at the border can be placed outside the map, correctly or far away. For
    Gaussians away from the border the error is a ten-thousandth of a cell. The mixed difference is not symmetric, so
    results for a noisy map and its mirror image differ slightly.

    Args:
        heatmaps: (N, K, H, W).
        kernel: as for `decode_dark`.
    """
    cells, scores = highest_cells(heatmaps)
    log = np.log(np.clip(smoothed(heatmaps, kernel, "reflect"), *_UDP_RANGE))
    f = partial(_value_beside, log, cells)
    dxx = f(1, 0) - 2 * f(0, 0) + f(-1, 0)
    dyy = f(0, 1) - 2 * f(0, 0) + f(0, -1)
    dxy = (f(1, 1) - f(1, 0) - f(0, 1) + 2 * f(0, 0) - f(-1, 0) - f(0, -1) + f(-1, -1)) / 2
    tiny = np.finfo(np.float32).eps
    step = _newton_step(_gradient(log, cells), dxx + tiny, dxy, dyy + tiny)
    return _nan_where_flat(cells + step, scores), scores


def decode_enlarged(heatmaps: np.ndarray, *, factor: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Decode to the highest cell of the map enlarged to the pixels of the crop, with bicubic interpolation.

    Wei et al. 2016, "Convolutional Pose Machines", published code, of which this leaves out the average over crops of
    several scales; also used by OpenPose.

    Args:
        heatmaps: (N, K, H, W).
        factor: pixels per cell.
    """
    H, W = heatmaps.shape[2:]
    pixels, scores = highest_cells(enlarged(heatmaps.astype(np.float32), (W * factor, H * factor)))
    return _nan_where_flat((pixels + 0.5) / factor - 0.5, heatmaps.max(axis=(2, 3))), scores


def decode_soft_argmax(logits: np.ndarray, *, beta: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Decode to the expected position under the softmax of the map (soft-argmax).

    Sun et al. 2018, "Integral Human Pose Regression", section 2. It is for networks trained with it, whose maps are
    logits of any sign; no keypoint is NaN. It is exact for the logarithm of a Gaussian that lies within the map. For
    maps of 0..1, a small `beta` biases the result to the centre. Scores are the largest probability of a cell, 0..1.

    Args:
        logits: (N, K, H, W).
        beta: factor on the logits; the larger it is, the closer the result is to the highest cell.
    """
    _, _, H, W = logits.shape
    heights = np.exp(beta * (logits - logits.max(axis=(2, 3), keepdims=True)).astype(np.float64))
    probabilities = heights / heights.sum(axis=(2, 3), keepdims=True)
    x = (probabilities.sum(axis=2) * np.arange(W)).sum(axis=2)
    y = (probabilities.sum(axis=3) * np.arange(H)).sum(axis=2)
    return np.stack([x, y], axis=2), probabilities.max(axis=(2, 3))


def _nan_where_flat(keypoints: np.ndarray, highest: np.ndarray) -> np.ndarray:
    return np.where((highest > 0)[..., None], keypoints, np.nan)


def _value_beside(maps: np.ndarray, cells: np.ndarray, dx: int, dy: int) -> np.ndarray:
    """Values (N, K) at cells (N, K, 2) shifted by dx, dy."""
    return values_at(maps, cells[..., 0] + dx, cells[..., 1] + dy)


def _gradient(maps: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Central differences (N, K, 2) in x and y at cells (N, K, 2); the border is repeated."""
    f = partial(_value_beside, maps, cells)
    return np.stack([f(1, 0) - f(-1, 0), f(0, 1) - f(0, -1)], axis=2) / 2


def _inside(cells: np.ndarray, maps: np.ndarray, first: int, last: int = 1) -> np.ndarray:
    """Whether cells (N, K, 2) have more than `first` cells before and at least `last` after them, (N, K, 1) bool."""
    size = np.array([maps.shape[3], maps.shape[2]])
    return np.all((cells > first) & (cells < size - last), axis=2, keepdims=True)


def _smoothed_as_high(maps: np.ndarray, kernel: int) -> np.ndarray:
    """Smooth maps (N, K, H, W) with zeros outside the border, and restore their maxima and dtype.

    In float32, rounding keeps neighbours equal that are equal by symmetry.
    """
    smooth = smoothed(maps, kernel, "constant")
    highest = smooth.max(axis=(2, 3), keepdims=True)
    as_high = smooth * (maps.max(axis=(2, 3), keepdims=True) / np.where(highest > 0, highest, 1))
    return as_high.astype(maps.dtype)


def _newton_step(gradient: np.ndarray, dxx: np.ndarray, dxy: np.ndarray, dyy: np.ndarray) -> np.ndarray:
    """Newton steps -H^-1 g (N, K, 2) of gradients (N, K, 2) and Hessians; 0 where the Hessian is singular."""
    dx, dy = gradient[..., 0], gradient[..., 1]
    determinant = dxx * dyy - dxy**2
    with np.errstate(divide="ignore", invalid="ignore"):
        step = np.stack([dxy * dy - dyy * dx, dxy * dx - dxx * dy], axis=2) / determinant[..., None]
    return np.where((determinant != 0)[..., None], step, 0)


DECODERS: dict[str, Decoder] = {
    "argmax": decode_argmax,
    "quarter": decode_quarter,
    "quarter_smoothed": partial(decode_quarter, kernel=11),
    "hourglass": decode_hourglass,
    "cpn": decode_cpn,
    "mspn": decode_mspn,
    "dark": decode_dark,
    "enlarged": decode_enlarged,
    "udp": decode_udp,
    "soft_argmax": decode_soft_argmax,
}
"""Decoders by name: heatmaps (N, K, H, W) -> keypoints (N, K, 2) in cells, scores (N, K)."""
