"""Decoding of MoveNet's maps to joints."""

from __future__ import annotations

import numpy as np

_CELL_PX = 4  # pixels of the crop per cell of MoveNet's maps
_NEARNESS = 1.8  # cells; MoveNet's constant in 1 / (distance + 1.8)
_ROUNDING = 1e-5  # relative error of single precision, at most


def decode_movenet(
    heat: np.ndarray, centre: np.ndarray, regress: np.ndarray, offset: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Decode MoveNet's four maps as its published graph does.

    The person is at the cell where `centre` is high and near the middle of the crop. `regress` predicts each joint from
    that cell; the cell of a joint is where `heat` is high and near the prediction; `offset` refines within the cell.

    Args:
        heat: (N, K, H, W) 0..1.
        centre: (N, 1, H, W) 0..1.
        regress: (N, 2 K, H, W) cells, (dy, dx) pairs.
        offset: (N, 2 K, H, W) cells, (dy, dx) pairs.

    Returns:
        keypoints (N, K, 2) x y in crop pixels; scores (N, K) 0..1.
    """
    N, K, H, W = heat.shape
    n, k = np.arange(N), np.arange(K)
    y, x = np.arange(H, dtype=np.float32)[:, None], np.arange(W, dtype=np.float32)

    near_middle = centre[:, 0] / (np.hypot(y - H // 2, x - W // 2) + _NEARNESS)
    cy, cx = np.unravel_index(near_middle.reshape(N, H * W).argmax(axis=1), (H, W))
    guess = regress[n, :, cy, cx].reshape(N, K, 2) + np.stack([cy, cx], axis=1)[:, None]  # (N, K, 2) y x

    cells = _best_cells(heat.reshape(N * K, H * W), guess.reshape(N * K, 2).astype(np.float32), (H, W))
    jy, jx = np.unravel_index(cells.reshape(N, K), (H, W))
    within = offset.reshape(N, K, 2, H, W)[n[:, None], k, :, jy, jx]  # (N, K, 2) y x
    keypoints = (np.stack([jx, jy], axis=2) + within[:, :, ::-1]) * _CELL_PX
    return keypoints.astype(np.float32), heat[n[:, None], k, jy, jx]


def _best_cells(heat: np.ndarray, guess: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The first cell (R,) of each map that maximises heat / (distance to the guess + _NEARNESS).

    The quotient is at most heat / _NEARNESS, so few cells can exceed that of the hottest cell and that of the guess.

    Args:
        heat: (R, H W).
        guess: (R, 2) y x cells, float32.
        size: H and W.
    """
    rows = np.arange(len(heat))

    def nearness(rows: np.ndarray, cells: np.ndarray) -> np.ndarray:
        y, x = np.divmod(cells, size[1])
        distances = np.sqrt((y.astype(np.float32) - guess[rows, 0]) ** 2 + (x.astype(np.float32) - guess[rows, 1]) ** 2)
        return heat[rows, cells] / (distances + _NEARNESS)

    y, x = np.clip(np.round(guess), 0, np.array(size) - 1).astype(int).T
    reached = np.maximum(nearness(rows, heat.argmax(axis=1)), nearness(rows, y * size[1] + x))
    at = np.flatnonzero(heat >= (reached * _NEARNESS * (1 - _ROUNDING))[:, None])
    rows, cells = np.divmod(at, heat.shape[1])
    values = nearness(rows, cells)
    best = np.maximum.reduceat(values, np.searchsorted(rows, np.arange(len(heat))))
    is_best = values == best[rows]
    return cells[is_best][np.searchsorted(rows[is_best], np.arange(len(heat)))]


def average_with_mirrored(
    maps: tuple[np.ndarray, ...], mirrored: tuple[np.ndarray, ...], mirror: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Average MoveNet's maps with those of the mirrored crops (flip test).

    Maps are averaged rather than joints: if the two crops give different positions for a joint, the mean position would
    be in between, where there is no joint.

    Args:
        maps: heat, centre, regress, offset as in `decode_movenet`.
        mirrored: the same for the mirrored crops.
        mirror: (K,) index of each joint's mirror image.
    """
    heat, centre, regress, offset = (turned[..., ::-1] for turned in mirrored)

    def joints_swapped(displacement: np.ndarray) -> np.ndarray:
        N, _, H, W = displacement.shape
        pairs = displacement.reshape(N, -1, 2, H, W)[:, mirror].copy()
        # Pixel p moves to 4 W - 1 - p and cell c to W - 1 - c, so an offset of d cells becomes 3/4 - d.
        pairs[:, :, 1] = (_CELL_PX - 1) / _CELL_PX - pairs[:, :, 1]
        return pairs.reshape(displacement.shape)

    turned_back = (heat[:, mirror], centre, joints_swapped(regress), joints_swapped(offset))
    return tuple((a + b) / 2 for a, b in zip(maps, turned_back, strict=True))
