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
    rows, columns = np.nonzero(similarity >= max(min_similarity, _EPSILON))
    values = similarity[rows, columns]
    chosen = associate_pairs(rows, columns, values - (min_similarity if assignment == "hungarian" else 0), assignment)
    return np.column_stack([rows[chosen], columns[chosen]])


def associate_pairs(
    rows: np.ndarray, columns: np.ndarray, gains: np.ndarray, assignment: Literal["greedy", "hungarian"]
) -> np.ndarray:
    """`associate` for a sparse matrix: only the pairs that may be made are given, and time is linear in their number.

    Pairs whose row and column occur in no other pair are part of every solution, so a problem remains only where
    several pairs compete: in most frames, nowhere.

    Args:
        rows: (P,) the row of each pair.
        columns: (P,) the column of each pair.
        gains: (P,) 0 or more.
        assignment: as of `associate`.

    Returns:
        (M,) the chosen pairs, in order of rows.
    """
    if not len(rows):
        return np.zeros(0, int)
    alone = (np.bincount(rows)[rows] == 1) & (np.bincount(columns)[columns] == 1)
    if alone.all():
        return np.argsort(rows, kind="stable")
    contested = np.flatnonzero(~alone)
    solve = _greedy if assignment == "greedy" else _hungarian
    chosen = np.concatenate(
        [np.flatnonzero(alone), contested[solve(rows[contested], columns[contested], gains[contested])]]
    )
    return chosen[np.argsort(rows[chosen])]


def _greedy(rows: np.ndarray, columns: np.ndarray, gains: np.ndarray) -> np.ndarray:
    """The chosen pairs, the best one first."""
    rows_taken, columns_taken, chosen = set(), set(), []
    order = np.lexsort((columns, rows, -gains))
    for pair, row, column in zip(order.tolist(), rows[order].tolist(), columns[order].tolist(), strict=True):
        if row not in rows_taken and column not in columns_taken:
            rows_taken.add(row)
            columns_taken.add(column)
            chosen.append(pair)
    return np.array(chosen, int)


def _hungarian(rows: np.ndarray, columns: np.ndarray, gains: np.ndarray) -> np.ndarray:
    """The chosen pairs with the greatest sum of gains."""
    (row, num_rows), (column, num_columns) = _numbered(rows), _numbered(columns)
    matrix = np.zeros((num_rows, num_columns))
    pair_at = np.full(matrix.shape, -1)
    matrix[row, column] = gains + _EPSILON
    pair_at[row, column] = np.arange(len(rows))
    _, column_of_row, _ = lap.lapjv(matrix.max() - matrix, extend_cost=True)
    assigned = np.flatnonzero(column_of_row >= 0)
    chosen = pair_at[assigned, column_of_row[assigned]]
    return chosen[chosen >= 0]


def _numbered(values: np.ndarray) -> tuple[np.ndarray, int]:
    """Values (P,) replaced by their ranks, counted from 0; and how many different ones there are."""
    occurs = np.bincount(values) > 0
    ranks = np.cumsum(occurs) - 1
    return ranks[values], int(ranks[-1]) + 1
