"""Partition of a graph of detections into people: a subset is chosen and divided into clusters of least total cost.

Pishchulin et al. 2016, "DeepCut: Joint Subset Partition and Labeling for Multi Person Pose Estimation", section 3, with
the joint of each detection fixed, as in ArtTrack. A chosen detection costs `unary`, two detections in one cluster cost
their entry of `pairs`; negative costs are rewards.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_array

Rows = list[list[tuple[int, float]]]
"""Constraints: positions of variables and their factors."""

EXACT_UP_TO = 30  # detections
_NODE_LIMIT, _ROUND_LIMIT = 2000, 100  # of the integer programme; not a time, so that results depend on the input alone
_LEAST_GAIN = 1e-9  # smaller improvements are rounding
_VIOLATIONS_PER_ROUND = 2000


def partition(unary: np.ndarray, pairs: np.ndarray, *, exact_up_to: int = EXACT_UP_TO) -> np.ndarray:
    """Choose detections and divide them into clusters.

    Args:
        unary: (N,) cost of choosing each detection.
        pairs: (N, N) cost of two detections in one cluster; symmetric, the diagonal is not read.
        exact_up_to: with at most so many detections the optimum is found, otherwise a local one.

    Returns:
        (N,) int number of the cluster of each detection, from 0 on in the order of their first detections; -1 for
        detections that are not chosen.
    """
    pairs = np.array(pairs, np.float64)
    np.fill_diagonal(pairs, 0)
    unary = np.asarray(unary, np.float64)
    labels = local_partition(unary, pairs)
    if 0 < len(unary) <= exact_up_to:
        exact = exact_partition(unary, pairs)
        if exact is not None and partition_cost(exact, unary, pairs) < partition_cost(labels, unary, pairs):
            labels = exact
    return _renumbered(labels)


def partition_cost(labels: np.ndarray, unary: np.ndarray, pairs: np.ndarray) -> float:
    """The total cost of a partition; see `partition`."""
    chosen = labels >= 0
    together = np.triu((labels[:, None] == labels) & chosen[:, None], 1)
    return float(np.asarray(unary)[chosen].sum() + np.asarray(pairs)[together].sum())


def exact_partition(unary: np.ndarray, pairs: np.ndarray) -> np.ndarray | None:
    """The optimum, by an integer programme; None if it takes too many steps.

    Variables are x_i, whether a detection is chosen, and y_ij, whether two are in one cluster: y_ij <= x_i and
    y_ij <= x_j. Of the constraints of transitivity, y_ij + y_jk - y_ik <= 1, only those that a solution violates are
    added.
    """
    N = len(unary)
    i, j = np.triu_indices(N, 1)
    number = np.zeros((N, N), int)
    number[i, j] = number[j, i] = N + np.arange(len(i))
    costs = np.concatenate([unary, pairs[i, j]])
    edges = N + np.arange(len(i))
    rows: Rows = [[(int(y), 1.0), (int(x), -1.0)] for node in (i, j) for y, x in zip(edges, node, strict=True)]
    upper = [0.0] * len(rows)
    triples = np.array(list(combinations(range(N), 3)), int).reshape(-1, 3)
    sides = np.stack([number[triples[:, a], triples[:, b]] for a, b in ((0, 1), (1, 2), (0, 2))], axis=1)
    for _ in range(_ROUND_LIMIT):
        solution = milp(
            costs,
            integrality=np.ones(len(costs), int),
            bounds=Bounds(0, 1),
            constraints=[LinearConstraint(_matrix(rows, len(costs)), ub=upper)] if rows else [],
            options={"node_limit": _NODE_LIMIT, "mip_rel_gap": 0.0},
        )
        if not solution.success:
            return None
        values = np.round(solution.x)
        together = values[sides]  # (triples, 3)
        broken = np.argwhere((together.sum(axis=1) == 2)[:, None] & (together == 0))
        if not len(broken):
            return _clusters(values[:N] > 0, i, j, values[N:] > 0)
        for triple, missing in broken[:_VIOLATIONS_PER_ROUND]:
            rows.append([(int(side), -1.0 if k == missing else 1.0) for k, side in enumerate(sides[triple])])
            upper.append(1.0)
    return None


def _clusters(chosen: np.ndarray, i: np.ndarray, j: np.ndarray, together: np.ndarray) -> np.ndarray:
    """Labels of the chosen detections, equal where edges (i, j) of them hold."""
    labels = np.where(chosen, np.arange(len(chosen)), -1)
    for edge in np.flatnonzero(together):
        labels[labels == labels[j[edge]]] = labels[i[edge]]
    return labels


def _matrix(rows: Rows, columns: int) -> coo_array:
    entries = [(row, column, value) for row, each in enumerate(rows) for column, value in each]
    at, column, value = zip(*entries, strict=True)
    return coo_array((value, (at, column)), shape=(len(rows), columns))


def local_partition(unary: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """A local optimum: greedy contraction of edges, then moves of single detections and whole clusters.

    Greedy additive edge contraction and moves in the sense of Kernighan and Lin, as Keuper et al. 2015, "Efficient
    Decomposition of Image and Mesh Graphs by Lifted Multicuts", use them.
    """
    labels = _contracted(pairs)
    cost = np.inf
    while (now := partition_cost(labels, unary, pairs)) < cost - _LEAST_GAIN:
        cost = now
        labels = _without_costly_clusters(_merged(_moved(labels, unary, pairs), pairs), unary, pairs)
    return labels


def _contracted(pairs: np.ndarray) -> np.ndarray:
    """Merge the two clusters with the lowest total cost between them while it is negative."""
    labels, between = np.arange(len(pairs)), pairs.copy()
    np.fill_diagonal(between, np.inf)
    while len(between) > 1:
        a, b = np.unravel_index(int(between.argmin()), between.shape)
        if between[a, b] >= 0:
            break
        between[a] += between[b]
        between[:, a] = between[a]
        between[b], between[:, b], between[a, a] = np.inf, np.inf, np.inf
        labels[labels == b] = a
    return labels


def _moved(labels: np.ndarray, unary: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Move detections, one at a time, to the cluster, to a new one or out, wherever the cost is lowest."""
    labels = labels.copy()
    for node in range(len(labels)):
        members = labels.copy()
        members[node] = -1
        clusters = np.unique(members[members >= 0])
        joining = np.array([pairs[node, members == cluster].sum() for cluster in clusters])
        costs = np.concatenate([[0.0, unary[node]], unary[node] + joining])
        new = 0 if not len(clusters) else clusters.max() + 1
        places = np.concatenate([[-1, new], clusters]).astype(int)
        here = 0.0 if labels[node] < 0 else unary[node] + pairs[node, members == labels[node]].sum()
        best = int(costs.argmin())
        if costs[best] < here - _LEAST_GAIN:
            labels[node] = places[best]
    return labels


def _merged(labels: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Merge whole clusters while that lowers the cost."""
    kept = np.flatnonzero(labels >= 0)
    clusters, numbers = np.unique(labels[kept], return_inverse=True)
    if len(clusters) < 2:
        return labels
    of = np.eye(len(clusters))[numbers]  # (chosen, clusters)
    merged = _contracted(of.T @ pairs[np.ix_(kept, kept)] @ of)
    labels = labels.copy()
    labels[kept] = merged[numbers]
    return labels


def _without_costly_clusters(labels: np.ndarray, unary: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Leave out clusters that cost more than nothing."""
    labels = labels.copy()
    for cluster in np.unique(labels[labels >= 0]):
        members = np.flatnonzero(labels == cluster)
        if unary[members].sum() + np.triu(pairs[np.ix_(members, members)], 1).sum() >= 0:
            labels[members] = -1
    return labels


def _renumbered(labels: np.ndarray) -> np.ndarray:
    """Clusters numbered in the order of their first members."""
    seen = list(dict.fromkeys(labels[labels >= 0].tolist()))
    return np.array([-1 if each < 0 else seen.index(each) for each in labels.tolist()], int)
