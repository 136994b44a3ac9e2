"""Which row goes with which column of a similarity matrix: greedy or Hungarian."""

from __future__ import annotations

from typing import Literal

import lap
import numpy as np

_NOTHING = 1e-6  # less alike than this is not alike at all; sums of similarities must still tell the difference


def associate(similarity: np.ndarray, min_similarity: float, assignment: Literal["greedy", "hungarian"]) -> np.ndarray:
    """Pairs (P, 2) of row and column, each at most once, none less alike than `min_similarity`, in order of rows.

    Args:
        similarity: (T, N), 0..1.
        min_similarity: 0..1; pairs that are not alike at all are never made.
        assignment: "greedy" takes the most alike pair, then the next of what is left (Simple Baselines; ties go to
            the lower row, then column); "hungarian" finds the pairs that are most above `min_similarity` all together,
            so that nobody who is hardly like anyone makes others change places.
    """
    allowed = similarity >= max(min_similarity, _NOTHING)
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
    """The greatest sum: a forbidden pair gains nothing, so none displaces an allowed one; it is left out at the end."""
    gain = np.where(allowed, gain + _NOTHING, 0.0).astype(np.float64)
    _, column_of_row, _ = lap.lapjv(gain.max() - gain, extend_cost=True)
    rows = np.flatnonzero(column_of_row >= 0)
    pairs = np.column_stack([rows, column_of_row[rows]])
    return pairs[allowed[pairs[:, 0], pairs[:, 1]]]
