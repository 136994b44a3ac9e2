"""Partition of detections into people: against all partitions of small graphs, and what published code gives."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from estimators import NETWORKS
from estimators.graph_partition import exact_partition, local_partition, partition, partition_cost
from estimators.part_partition import (
    Detections,
    PairModel,
    costs_of,
    detect,
    group_by_partition,
    pair_probabilities,
    people_of,
    single_person,
)
from tests.functions import recorded
from tests.goldens import check_against_golden


def graph(seed: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    pairs = rng.normal(0, 2, (size, size)) * (rng.random((size, size)) < 0.7)
    return rng.normal(-0.5, 1, size), np.triu(pairs, 1) + np.triu(pairs, 1).T


def all_partitions(size: int) -> Iterator[list[int]]:
    """Every choice of a subset and its division into clusters."""
    if size == 0:
        yield []
        return
    for rest in all_partitions(size - 1):
        yield from ([*rest, cluster] for cluster in range(-1, max(rest, default=-1) + 2))


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000), size=st.integers(1, 6))
def test_the_optimum_of_small_graphs_is_found(seed: int, size: int) -> None:
    unary, pairs = graph(seed, size)
    best = min(partition_cost(np.array(labels), unary, pairs) for labels in all_partitions(size))
    assert partition_cost(partition(unary, pairs), unary, pairs) == pytest.approx(best)
    exact = exact_partition(unary, pairs)
    assert exact is not None
    assert partition_cost(exact, unary, pairs) == pytest.approx(best)
    local = partition_cost(local_partition(unary, pairs), unary, pairs)
    assert best - 1e-9 <= local <= 0  # choosing nothing costs 0


@settings(max_examples=10)
@given(seed=st.integers(0, 10_000))
def test_order_of_detections_changes_nothing_and_clusters_are_numbered_by_their_first(seed: int) -> None:
    unary, pairs = graph(seed, 8)
    labels = partition(unary, pairs)
    order = np.random.default_rng(seed).permutation(8)
    again = partition(unary[order], pairs[np.ix_(order, order)])
    assert partition_cost(again, unary[order], pairs[np.ix_(order, order)]) == pytest.approx(
        partition_cost(labels, unary, pairs)
    )
    chosen = labels[labels >= 0].tolist()
    assert list(dict.fromkeys(chosen)) == list(range(len(set(chosen))))


@pytest.mark.parametrize("size", [30, 80])
def test_clear_groups_are_found_in_graphs_of_any_size(size: int) -> None:
    rng = np.random.default_rng(0)
    person = rng.integers(0, 5, size)
    noise = rng.normal(0, 1, (size, size))
    pairs = np.where(person[:, None] == person, -2.0, 2.0) + np.triu(noise, 1) + np.triu(noise, 1).T
    unary = np.where(np.arange(size) < size - 3, -1.0, 200.0)  # the last three are false
    labels = partition(unary, pairs)
    assert (labels[-3:] == -1).all()
    same = (person[:, None] == person)[:-3, :-3]
    assert np.array_equal(labels[:-3, None] == labels[:-3], same)


def test_a_graph_without_detections_has_no_people() -> None:
    assert partition(np.zeros(0), np.zeros((0, 0))).shape == (0,)
    none = Detections(np.zeros(0, int), np.zeros((0, 2), int), np.zeros((0, 2)), np.zeros(0))
    keypoints, scores, person_scores = people_of(none, np.zeros(0, int), 4)
    assert (keypoints.shape, scores.shape, person_scores.shape) == ((0, 4, 2), (0, 4), (0,))


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    return recorded("deepercut_grouping")


@pytest.fixture(scope="module")
def maps(golden: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    heat, locref, pairwise = (golden[name].transpose(2, 0, 1) for name in ("part_prob", "locref", "pairwise_pred"))
    return heat, 7.2801 * locref, pairwise


def model_of(golden: dict[str, np.ndarray]) -> PairModel:
    """The regression of the golden, for every pair of joints."""
    same = {name: np.broadcast_to(golden[name], (4, 4, len(golden[name]))) for name in ("logreg_w", "x_min", "x_max")}
    return PairModel(golden["stats_mean"], golden["stats_std"], same["logreg_w"], same["x_min"], same["x_max"])


def test_detections_of_one_person_and_of_several_equal_the_published(
    golden: dict[str, np.ndarray], maps: tuple[np.ndarray, np.ndarray, np.ndarray]
) -> None:
    one = single_person(*maps[:2])
    np.testing.assert_allclose(np.c_[one.places, one.probabilities], golden["single"], atol=1e-5)
    found = detect(*maps[:2])
    assert np.bincount(found.joints).tolist() == golden["det_count"].tolist()
    np.testing.assert_allclose(found.places, golden["det_xy"], atol=1e-5)
    np.testing.assert_array_equal(found.centres, golden["det_cell_xy"])
    np.testing.assert_allclose(found.probabilities, golden["det_prob"], atol=1e-6)


def test_pairs_and_people_equal_the_published(
    golden: dict[str, np.ndarray], maps: tuple[np.ndarray, np.ndarray, np.ndarray]
) -> None:
    found = detect(*maps[:2])
    probabilities = pair_probabilities(found, maps[2], model_of(golden))
    np.testing.assert_allclose(probabilities[tuple(golden["pair_index"].T)], golden["pair_prob"], atol=1e-6)
    unary, pairs = costs_of(found.probabilities), costs_of(probabilities)
    labels = partition(unary, pairs)
    assert partition_cost(labels, unary, pairs) == pytest.approx(golden["exact_objective"], abs=1e-5)
    people, scores, _ = group_by_partition(*maps, model_of(golden))
    published = golden["people_xy"]
    order = [int(np.abs(np.nan_to_num(people) - each).sum(axis=(1, 2)).argmin()) for each in published]
    assert sorted(order) == [0, 1, 2]
    np.testing.assert_allclose(np.nan_to_num(people[order]), published, atol=1e-4)
    assert np.array_equal(np.isfinite(people).all(axis=2), scores > 0)


def test_pairs_without_a_regression_decide_nothing(
    golden: dict[str, np.ndarray], maps: tuple[np.ndarray, np.ndarray, np.ndarray]
) -> None:
    model = model_of(golden)
    unused = PairModel(model.stats_mean, model.stats_std, np.full_like(model.weights, np.nan), model.x_min, model.x_max)
    found = detect(*maps[:2])
    probabilities = pair_probabilities(found, maps[2], unused)
    different = found.joints[:, None] != found.joints
    assert (probabilities[different] == 0.5).all()


@pytest.mark.parametrize("name", ["deepercut_r101_mpii14", "deepercut_r101_coco17"])
def test_networks_equal_the_published(name: str) -> None:
    check_against_golden(NETWORKS[name](), name)
