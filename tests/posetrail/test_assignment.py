"""Assignment by similarity: cases worked out by hand, then properties of random matrices."""

from __future__ import annotations

import itertools
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from posetrail.assignment import associate
from tracker.settings import Assignment

matrices = arrays(np.float64, array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=5), elements=st.floats(0, 1))


def test_greedy_takes_the_best_pair_first_hungarian_the_best_sum() -> None:
    similarity = np.array([[0.9, 0.8], [0.8, 0.1]])
    assert associate(similarity, 0.05, "greedy").tolist() == [[0, 0], [1, 1]]
    assert associate(similarity, 0.05, "hungarian").tolist() == [[0, 1], [1, 0]]
    assert associate(similarity, 0.2, "greedy").tolist() == [[0, 0]]


@pytest.mark.parametrize("assignment", get_args(Assignment))
def test_empty_and_zero_matrices_give_no_pairs(assignment: Assignment) -> None:
    for shape in ((0, 0), (0, 3), (3, 0), (2, 2)):
        assert associate(np.zeros(shape), 0.0, assignment).shape == (0, 2)


@pytest.mark.parametrize("assignment", get_args(Assignment))
@given(matrices, st.floats(0, 1))
def test_rows_and_columns_are_paired_at_most_once_above_the_minimum(
    assignment: Assignment, similarity: np.ndarray, least: float
) -> None:
    pairs = associate(similarity, least, assignment)
    assert len(set(pairs[:, 0])) == len(set(pairs[:, 1])) == len(pairs)
    assert (similarity[pairs[:, 0], pairs[:, 1]] >= least).all()
    rest = np.delete(np.delete(similarity, pairs[:, 0], 0), pairs[:, 1], 1)
    assert not (rest >= max(least, 1e-6)).any()  # no allowed pair is left over


@given(arrays(np.float64, (3, 4), elements=st.floats(0, 1)), st.floats(0, 1))
def test_hungarian_finds_the_best_of_all_permutations(similarity: np.ndarray, least: float) -> None:
    gain = np.where(similarity >= max(least, 1e-6), similarity - least, 0)
    best = max(gain[range(3), columns].sum() for columns in itertools.permutations(range(4), 3))
    pairs = associate(similarity, least, "hungarian")
    assert gain[pairs[:, 0], pairs[:, 1]].sum() == pytest.approx(best, abs=1e-5)
