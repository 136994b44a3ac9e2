"""One-to-one assignment of the rows of a similarity matrix to its columns: greedy or Hungarian."""

from __future__ import annotations

from typing import Literal

import lap
import numpy as np

_EPSILON = 1e-6  # lower similarities are 0; large enough to make a difference in sums of similarities


def associate(similarity: np.ndarray, min_similarity: float, assignment: Literal["greedy", "hungarian"]) -> np.ndarray:
    """Assign rows to columns, each at most once, in pairs of at least `min_similarity`.

    Args:
        similarity: (T, N), 0..1.
        min_similarity: 0..1; pairs with similarity 0 are never made.
        assignment: "greedy" takes the pair with the highest similarity, then the highest of those that remain, and so
            on; of equal ones that in the lower row, then column (Simple Baselines, Xiao, Wu, Wei, ECCV 2018).
            "hungarian" finds the pairs with the greatest sum of similarities above `min_similarity`. Only the excess
            counts, so that a barely similar pair cannot displace better ones.

    Returns:
        (P, 2) row and column of each pair, in order of rows.
    """
    allowed = similarity >= max(min_similarity, _EPSILON)
    if not allowed.any():
        return np.zeros((0, 2), int)
    return _greedy(similarity, allowed) if assignment == "greedy" else _hungarian(similarity - min_similarity, allowed)


def _greedy(similarity: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    rows, columns = np.nonzero(allowed)
    order = np.argsort(-similarity[rows, columns], kind="stable")
    row_free, column_free = np.ones(similarity.shape[0], bool), np.ones(similarity.shape[1], bool)
    pairs: list[tuple[int, int]] = []
    for row, column in zip(rows[order], columns[order], strict=True):
        if row_free[row] and column_free[column]:
            row_free[row] = column_free[column] = False
            pairs.append((row, column))
    return np.array(sorted(pairs), int)


def _hungarian(gain: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """The greatest sum of gains. Pairs that are not allowed have gain 0 and are removed from the result."""
    gain = np.where(allowed, gain + _EPSILON, 0.0).astype(np.float64)
    _, column_of_row, _ = lap.lapjv(gain.max() - gain, extend_cost=True)
    rows = np.flatnonzero(column_of_row >= 0)
    pairs = np.column_stack([rows, column_of_row[rows]])
    return pairs[allowed[pairs[:, 0], pairs[:, 1]]]
