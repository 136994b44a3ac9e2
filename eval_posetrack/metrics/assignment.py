"""Optimal one-to-one assignment of sparse pairs: joints, people, tracks.

Most possible pairs in a video are the only one of both their members. Those are chosen at once, over all frames and
joints together; the others are solved as one small dense assignment for each connected component. SciPy's solver is
exact on rectangular tables and deterministic.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


def best_pairs(rows: np.ndarray, columns: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Choose pairs that share no row and no column so that the sum of weights is largest.

    Args:
        rows: (N,) int, any numbers; each pair (row, column) is given at most once.
        columns: (N,) int, any numbers.
        weights: (N,) above 0.

    Returns:
        (N,) bool: the chosen pairs. Between equally good choices the order of the pairs decides.
    """
    rows, row_degrees = _numbered(rows)
    columns, column_degrees = _numbered(columns)
    chosen = (row_degrees[rows] == 1) & (column_degrees[columns] == 1)
    contested = np.flatnonzero(~chosen)
    if not len(contested):
        return chosen

    r, n_rows = _numbered(rows[contested])
    c, n_columns = _numbered(columns[contested])
    size = len(n_rows) + len(n_columns)
    graph = coo_array((np.ones(len(r), np.int8), (r, len(n_rows) + c)), shape=(size, size))
    group_of_node = connected_components(graph, directed=False)[1]
    group = group_of_node[r]
    by_group = np.lexsort((-weights[contested], group))
    starts = np.flatnonzero(np.diff(group[by_group], prepend=-1))
    chosen[contested[by_group[starts]]] = True  # optimal for components with a single row or column

    rows_in_group = np.bincount(group_of_node[: len(n_rows)])
    columns_in_group = np.bincount(group_of_node[len(n_rows) :])
    ends = np.append(starts[1:], len(by_group))
    for g in np.flatnonzero((rows_in_group > 1) & (columns_in_group > 1)):
        members = np.sort(by_group[starts[g] : ends[g]])  # groups are numbered 0, 1, ..., so g is also their position
        chosen[contested[members]] = _solve(r[members], c[members], weights[contested[members]])
    return chosen


def most_then_nearest(rows: np.ndarray, columns: np.ndarray, distances: np.ndarray) -> np.ndarray:
    """Choose as many pairs as possible, and among such choices the one with the smallest sum of distances 0..1.

    Arguments and result as in `best_pairs`.
    """
    # One more pair outweighs all distances: a choice with a pair less can save at most the sum of all distances.
    many = 1.0 + min(len(np.unique(rows)), len(np.unique(columns)))
    return best_pairs(rows, columns, many - distances)


def _numbered(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels renumbered 0, 1, ... in increasing order, and how often each occurs."""
    if not len(labels):
        return labels.astype(int), np.zeros(0, int)
    low = labels.min()
    if labels.max() - low < 8 * len(labels) + 1000:  # counting beats sorting where the numbers are dense
        counts = np.bincount(labels - low)
        return (np.cumsum(counts > 0) - 1)[labels - low], counts[counts > 0]
    _, numbers, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return numbers, counts


def _solve(rows: np.ndarray, columns: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Solve one component as a dense assignment; absent pairs weigh 0, and choosing one chooses no pair."""
    r, n_rows = _numbered(rows)
    c, n_columns = _numbered(columns)
    table = np.zeros((len(n_rows), len(n_columns)))
    table[r, c] = weights
    partner = np.full(len(n_rows), -1)
    chosen_rows, chosen_columns = linear_sum_assignment(table, maximize=True)
    partner[chosen_rows] = chosen_columns
    return partner[r] == c
