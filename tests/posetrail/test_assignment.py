"""Pairs from similarities: by hand, then what must hold for any matrix."""

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
def test_nobody_matches_nobody(assignment: Assignment) -> None:
    for shape in ((0, 0), (0, 3), (3, 0), (2, 2)):
        assert associate(np.zeros(shape), 0.0, assignment).shape == (0, 2)


@pytest.mark.parametrize("assignment", get_args(Assignment))
@given(matrices, st.floats(0, 1))
def test_each_at_most_once_and_never_less_alike_than_allowed(
    assignment: Assignment, similarity: np.ndarray, least: float
) -> None:
    pairs = associate(similarity, least, assignment)
    assert len(set(pairs[:, 0])) == len(set(pairs[:, 1])) == len(pairs)
    assert (similarity[pairs[:, 0], pairs[:, 1]] >= least).all()
    rest = np.delete(np.delete(similarity, pairs[:, 0], 0), pairs[:, 1], 1)
    assert not (rest >= max(least, 1e-6)).any()  # nobody who could be paired is left alone


@given(arrays(np.float64, (3, 4), elements=st.floats(0, 1)), st.floats(0, 1))
def test_hungarian_equals_trying_everything(similarity: np.ndarray, least: float) -> None:
    gain = np.where(similarity >= max(least, 1e-6), similarity - least, 0)
    best = max(gain[range(3), columns].sum() for columns in itertools.permutations(range(4), 3))
    pairs = associate(similarity, least, "hungarian")
    assert gain[pairs[:, 0], pairs[:, 1]].sum() == pytest.approx(best, abs=1e-5)
