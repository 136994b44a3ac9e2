"""Decoding of heatmaps with offset maps, which give the vector from a cell to the joint."""

from __future__ import annotations

import numpy as np

from estimators.heatmaps import highest_cells, smoothed, values_at

RADIUS_SHARE = 0.0546875  # radius of the disks, of the height of the map: 3.5 of 64 cells, as UDP publishes


def decode_grouped(maps: np.ndarray, decoder: str) -> tuple[np.ndarray, np.ndarray]:
    """Decode maps (N, 3 K, H, W), of each joint a disk and x and y offsets in units of its radius.

    Returns:
        keypoints (N, K, 2) x y in cells, scores (N, K); see the decoders.
    """
    grouped = maps.reshape(len(maps), -1, 3, *maps.shape[2:])
    return DECODERS[decoder](grouped[:, :, 0], grouped[:, :, 1:], RADIUS_SHARE * maps.shape[2])


def mirrored_back(maps: np.ndarray, mirror: np.ndarray) -> np.ndarray:
    """Maps (N, 3 K, H, W) of the mirrored crop as those of the crop: x offsets change their sign."""
    grouped = maps.reshape(len(maps), -1, 3, *maps.shape[2:])[:, mirror, ..., ::-1]
    return (grouped * np.array([1, -1, 1])[:, None, None]).reshape(maps.shape)


def decode_offset_votes(
    heatmaps: np.ndarray, offsets: np.ndarray, *, radius_cells: float, votes_per_cell: int = 8
) -> tuple[np.ndarray, np.ndarray]:
    """Hough voting: every cell votes, weighted by its heatmap, for the position its offset points to.

    Papandreou et al. 2017, "Towards Accurate Multi-person Pose Estimation in the Wild" (G-RMI), section 3.2, equation
    1: f(x) = sum over cells j of G(x_j + F(x_j) - x) h(x_j) / (pi R^2), G bilinear. The map is trained as a disk of
    radius R around the joint, so many cells contribute. The joint is the centroid of the votes of the highest node and
    its eight neighbours, which is exact if the offsets are.

    Args:
        heatmaps: (N, K, H, W) probabilities 0..1.
        offsets: (N, K, 2, H, W) x y cells, from the middle of each cell to the joint.
        radius_cells: R.
        votes_per_cell: nodes of the voting grid per cell; the stride of the network gives one node per pixel.

    Returns:
        keypoints (N, K, 2) float64 x y in cells, (3, 5) being the centre of heatmaps[..., 5, 3], within the map, NaN
        without votes; scores (N, K), f at the joint: about 1 if all cells of a full disk vote for one node.
    """
    N, K, H, W = heatmaps.shape
    width, height = (W - 1) * votes_per_cell + 1, (H - 1) * votes_per_cell + 1
    y, x = np.mgrid[:H, :W]
    to = (np.stack([x, y]) + offsets.astype(np.float64)) * votes_per_cell  # (N, K, 2, H, W) nodes
    low = np.floor(to)
    grid = np.zeros(N * K * height * width)
    first_node = (np.arange(N * K) * (height * width)).reshape(N, K, 1, 1)
    weights = heatmaps.astype(np.float64) / (np.pi * radius_cells**2)
    for dx, dy in ((0, 0), (1, 0), (0, 1), (1, 1)):
        node = low + np.array([dx, dy])[:, None, None]
        share = (1 - np.abs(to - node)).prod(axis=2) * weights
        inside = ((node >= 0) & (node < np.array([width, height])[:, None, None])).all(axis=2)
        place = first_node + np.where(inside, node[:, :, 1] * width + node[:, :, 0], 0).astype(int)
        grid += np.bincount(place.ravel(), np.where(inside, share, 0).ravel(), minlength=len(grid))
    votes = grid.reshape(N, K, height, width)
    nodes, scores = highest_cells(votes)
    return np.where((scores > 0)[..., None], _centroids(votes, nodes) / votes_per_cell, np.nan), scores


def _centroids(votes: np.ndarray, nodes: np.ndarray) -> np.ndarray:
    """Mean positions (N, K, 2) of the votes (N, K, H, W) in the 3 x 3 nodes around nodes (N, K, 2)."""
    N, K, H, W = votes.shape
    steps = np.stack(np.meshgrid([-1, 0, 1], [-1, 0, 1]), axis=-1).reshape(9, 2)
    around = nodes[:, :, None].astype(int) + steps  # (N, K, 9, 2)
    inside = ((around >= 0) & (around < np.array([W, H]))).all(axis=-1)
    x, y = np.moveaxis(np.clip(around, 0, np.array([W, H]) - 1), -1, 0)
    shares = votes[np.arange(N)[:, None, None], np.arange(K)[:, None], y, x] * inside
    total = np.maximum(shares.sum(axis=2), np.finfo(float).tiny)
    return nodes + (shares[..., None] * steps).sum(axis=2) / total[..., None]


def decode_udp_offsets(
    heatmaps: np.ndarray, offsets: np.ndarray, *, radius_cells: float, kernel: int = 11
) -> tuple[np.ndarray, np.ndarray]:
    """Highest cell of the smoothed heatmap plus the smoothed offset there: G-RMI's maps decoded as in UDP.

    Huang et al. 2020, "The Devil is in the Details", section 4 ("combined classification and regression"). Cheaper than
    voting; smoothing replaces the agreement of neighbouring votes.

    Args:
        heatmaps: (N, K, H, W) probabilities 0..1.
        offsets: (N, K, 2, H, W) x y, in units of the disk's radius.
        radius_cells: radius of the disk; published networks have 3.5 cells on maps 64 high (0.0546875 of the height).
        kernel: size in cells of the smoothing of offsets; that of heatmaps is 2 kernel + 1.

    Returns:
        keypoints (N, K, 2) float64 x y in cells, NaN where the map is not above 0; scores (N, K) of the smoothed maps.
    """
    smooth = smoothed(heatmaps, 2 * kernel + 1, "reflect")
    cells, scores = highest_cells(smooth)
    axes = [smoothed(offsets[:, :, axis], kernel, "reflect") for axis in range(2)]
    step = np.stack([values_at(axis, cells[..., 0], cells[..., 1]) for axis in axes], axis=2)
    return np.where((scores > 0)[..., None], cells + step * radius_cells, np.nan), scores


DECODERS = {
    "udp_offsets": lambda maps, offsets, radius: decode_udp_offsets(maps, offsets, radius_cells=radius),
    "votes": lambda maps, offsets, radius: decode_offset_votes(maps, offsets * radius, radius_cells=radius),
}
"""Decoders of disks and offsets, the latter in units of the radius in cells, by name."""
