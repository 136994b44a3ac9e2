"""Decoding of heatmaps to joints, as in published estimators; any decoder can be used with any of them.

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

_SHIFT = 0.25  # cells; maps have a cell for four pixels, so this is one pixel
_SECOND_PEAK_MARGIN = 10  # cells of nothing around the map, into which the smoothing of CPN and MSPN may reach
_LEAST_PEAK = 1e-30  # a lower one is no scale: what is divided by it overflows
_DARK_FLOOR = 1e-10  # what DARK and ...
_UDP_RANGE = (1e-3, 50.0)  # ... UDP bound a map by before its logarithm is taken


def highest_cells(heatmaps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The highest cell of every map, the first in reading order where several are equal.

    Args:
        heatmaps: (N, K, H, W).

    Returns:
        cells (N, K, 2) int x y; values (N, K).
    """
    N, K, H, W = heatmaps.shape
    y, x = np.divmod(heatmaps.reshape(N, K, H * W).argmax(axis=2), W)
    return np.stack([x, y], axis=2), values_at(heatmaps, x, y)


def values_at(maps: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Values (N, K) of maps (N, K, H, W) at cells x, y (N, K) int; beyond the border those of the cell next to it."""
    N, K, H, W = maps.shape
    return maps[np.arange(N)[:, None], np.arange(K), np.clip(y, 0, H - 1), np.clip(x, 0, W - 1)]


def smoothed(maps: np.ndarray, kernel: int, border: Literal["constant", "reflect"]) -> np.ndarray:
    """Maps (N, K, H, W) under a Gaussian of `kernel` cells' width (odd), of the spread OpenCV gives that width.

    Beyond the border lies nothing ("constant") or the map again, its border cell not repeated ("reflect").
    """
    reach = kernel // 2
    padded = np.pad(maps.astype(np.float64), ((0, 0), (0, 0), (reach, reach), (reach, reach)), mode=border)
    if padded.size == 0:
        return maps.astype(np.float64)
    # One below the other as one picture: the margins are as wide as the kernel reaches, so no map touches the next.
    picture = padded.reshape(-1, padded.shape[3])
    smooth = cv2.GaussianBlur(picture, (kernel, kernel), 0).reshape(padded.shape)
    return smooth[:, :, reach : reach + maps.shape[2], reach : reach + maps.shape[3]]


def enlarged(maps: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Maps (..., H, W) resampled by cubic convolution to (..., height, width) cells, size = (width, height)."""
    height, width = maps.shape[-2:]
    one_by_one = [cv2.resize(each, size, interpolation=cv2.INTER_CUBIC) for each in maps.reshape(-1, height, width)]
    return np.array(one_by_one, maps.dtype).reshape(*maps.shape[:-2], size[1], size[0])


def flip_average(heatmaps: np.ndarray, mirrored: np.ndarray, mirror: np.ndarray, *, shift: bool = False) -> np.ndarray:
    """Average maps with those of the mirrored crops (flip test).

    Args:
        heatmaps: (N, K, H, W).
        mirrored: (N, K, H, W) of the mirrored crops.
        mirror: (K,) each joint's position on the other side of the body.
        shift: move the maps turned back one cell to the right. Where a crop's pixel p belongs to the cell p / stride
            ("corner" in `cells_to_pixels`), turning back misses by a part of a cell, and this mends most of it
            (SimpleBaseline, section 4; UDP, section 3, tells why). Not with UDP, whose maps fit exactly.
    """
    turned_back = mirrored[:, mirror, :, ::-1]
    if shift:
        turned_back = np.concatenate([turned_back[..., :1], turned_back[..., :-1]], axis=3)
    return (heatmaps + turned_back) / 2


def cells_to_pixels(
    keypoints: np.ndarray, map_size: tuple[int, int], crop_size: tuple[int, int], alignment: Alignment
) -> np.ndarray:
    """Keypoints (..., 2) from cells of a map to pixels of the crop it was made from; sizes are (width, height).

    Args:
        keypoints: (..., 2) x y cells.
        map_size: cells.
        crop_size: pixels.
        alignment: as the network was trained. "corner": cell 0 at pixel 0, each stride pixels further (SimpleBaseline,
            HRNet, DARK, AlphaPose). "middle": a cell is the square of pixels it covers (Hourglass, CPN, MSPN). "ends":
            first and last cells' middles on first and last pixels' (UDP).
    """
    cells, pixels = np.array(map_size), np.array(crop_size)
    if alignment == "corner":
        return keypoints * (pixels / cells)
    if alignment == "middle":
        return (keypoints + 0.5) * (pixels / cells)
    return keypoints * ((pixels - 1) / (cells - 1))


def decode_argmax(heatmaps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The highest cell, accurate to half a cell; a baseline for the other decoders."""
    cells, scores = highest_cells(heatmaps)
    return _nan_where_flat(cells, scores), scores


def decode_quarter(heatmaps: np.ndarray, *, kernel: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The highest cell, a quarter cell towards the higher neighbour in x and in y; the usual choice of its time.

    Xiao, Wu, Wei 2018, "Simple Baselines for Human Pose Estimation and Tracking", after Newell et al. 2016; also of
    HRNet and AlphaPose. It leaves cells on the two outermost columns and rows where they are (on the last ones, the
    outermost). True to a quarter cell where the map is a Gaussian.

    Args:
        heatmaps: (N, K, H, W).
        kernel: cells; smooth the maps before, which ragged peaks need (`megvii` in UDP's published code: 11).
    """
    scores = heatmaps.max(axis=(2, 3))
    if kernel is not None:
        heatmaps = _smoothed_as_high(heatmaps, kernel)
    cells, _ = highest_cells(heatmaps)
    keypoints = cells + _SHIFT * np.sign(_gradient(heatmaps, cells)) * _inside(cells, heatmaps, 1)
    return _nan_where_flat(keypoints, scores), scores


def decode_hourglass(heatmaps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A quarter cell towards the higher neighbour, also at the border; between equal ones to the left and up.

    Newell, Yang, Deng 2016, "Stacked Hourglass Networks", section 3.3.
    """
    cells, scores = highest_cells(heatmaps)
    return _nan_where_flat(cells + quarter_always(heatmaps, cells), scores), scores


def quarter_always(heatmaps: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Steps (N, K, 2) of a quarter cell towards the higher neighbour of each cell (N, K, 2), never of 0."""
    return np.where(_gradient(heatmaps, cells) > 0, _SHIFT, -_SHIFT)


def decode_cpn(heatmaps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The highest cell of the smoothed map, a quarter cell towards its second highest: a step in any direction.

    Chen et al. 2018, "Cascaded Pyramid Network", section 4.1. The wide kernel finds the middle of a broad or ragged
    peak. Scores are read off the unsmoothed map; the paper trains maps of height 255 and gives 0.5 + value / 255 as
    the joint's score.
    """
    highest = heatmaps.max(axis=(2, 3), keepdims=True)
    keypoints = _between_two_peaks(heatmaps / np.where(highest > _LEAST_PEAK, highest, 1), kernel=21)
    return _nan_where_flat(keypoints, highest[..., 0, 0]), _values_near(heatmaps, keypoints)


def decode_mspn(heatmaps: np.ndarray, *, kernel: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """CPN's rule with a narrower kernel, for sharper maps, and maps of any height.

    Li et al. 2019, "Rethinking on Multi-Stage Networks for Human Pose Estimation", published code. Scores as
    `decode_cpn`'s.

    Args:
        heatmaps: (N, K, H, W).
        kernel: cells.
    """
    keypoints = _between_two_peaks(heatmaps, kernel)
    return _nan_where_flat(keypoints, heatmaps.max(axis=(2, 3))), _values_near(heatmaps, keypoints)


def _between_two_peaks(heatmaps: np.ndarray, kernel: int) -> np.ndarray:
    """Highest cells of the smoothed maps, moved towards the second highest: (N, K, 2), within the maps."""
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
    """The top of the Gaussian through the highest cell: one Newton step on the smoothed map's logarithm.

    Zhang et al. 2020, "Distribution-Aware Coordinate Representation", section 3.1, equations 3 to 9. A Gaussian's
    logarithm is a parabola, so away from the border it is found to a thousandth of a cell (the smoothing's kernel ends
    somewhere). Cells on the two outermost columns and rows stay where they are. Second differences reach two cells far,
    which suits the broad maps (sigma 2 or 3 cells) that SimpleBaseline and HRNet are trained with.

    Args:
        heatmaps: (N, K, H, W).
        kernel: cells; 11 where the maps' Gaussians have sigma 2 (64 x 48 cells), 17 where 3 (96 x 72).
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
    """DARK's Newton step with second differences over one cell, and everywhere, also at the border.

    Huang et al. 2020, "The Devil is in the Details: Delving into Unbiased Data Processing", published code. Beyond the
    border the map is mirrored for the smoothing and repeated for the differences; the regularised Hessian bears flat
    tops. Nothing bounds the step: a joint cut by the border may be put outside of the map, where it may truly be, or
    far off. Right to a ten-thousandth of a cell for a Gaussian away from the border. The mixed difference leans to one
    diagonal, so a ragged map and its mirror image differ a little.

    Args:
        heatmaps: (N, K, H, W).
        kernel: cells, as of `decode_dark`.
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


def decode_soft_argmax(logits: np.ndarray, *, beta: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Expected position under the softmax of the map (soft-argmax), which is differentiable.

    Sun et al. 2018, "Integral Human Pose Regression", section 2. For networks trained so, whose maps are logits of any
    sign (no map counts as flat); the logarithm of a Gaussian is found exactly where it ends within the map. A map
    of 0..1 is drawn to the middle unless `beta` is large. Scores are the largest probability of a cell, 0..1.

    Args:
        logits: (N, K, H, W).
        beta: what the logits are multiplied by; the larger, the nearer to the highest cell.
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
    """Values (N, K) so many cells beside cells (N, K, 2)."""
    return values_at(maps, cells[..., 0] + dx, cells[..., 1] + dy)


def _gradient(maps: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Central differences (N, K, 2) in x and y at cells (N, K, 2), the border repeated."""
    f = partial(_value_beside, maps, cells)
    return np.stack([f(1, 0) - f(-1, 0), f(0, 1) - f(0, -1)], axis=2) / 2


def _inside(cells: np.ndarray, maps: np.ndarray, first: int, last: int = 1) -> np.ndarray:
    """Which cells (N, K, 2) have more than `first` before them and `last` or more behind, in x and y: (N, K, 1)."""
    size = np.array([maps.shape[3], maps.shape[2]])
    return np.all((cells > first) & (cells < size - last), axis=2, keepdims=True)


def _smoothed_as_high(maps: np.ndarray, kernel: int) -> np.ndarray:
    """Maps (N, K, H, W) smoothed, nothing beyond the border, each as high as before, of their own dtype.

    In float32, neighbours that are equal by symmetry stay equal, whatever the smoothing rounded.
    """
    smooth = smoothed(maps, kernel, "constant")
    highest = smooth.max(axis=(2, 3), keepdims=True)
    as_high = smooth * (maps.max(axis=(2, 3), keepdims=True) / np.where(highest > 0, highest, 1))
    return as_high.astype(maps.dtype)


def _newton_step(gradient: np.ndarray, dxx: np.ndarray, dxy: np.ndarray, dyy: np.ndarray) -> np.ndarray:
    """-H^-1 g (N, K, 2) of gradients (N, K, 2) and Hessians; 0 where a Hessian has no inverse."""
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
    "udp": decode_udp,
    "soft_argmax": decode_soft_argmax,
}
"""Decoders by name: heatmaps (N, K, H, W) -> keypoints (N, K, 2) in cells, scores (N, K)."""
