"""Properties of any evaluation: ground truth scores 100, order has no effect, counts add up."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval_posetrack.evaluation import evaluate
from eval_posetrack.formats.files import Clip
from eval_posetrack.metrics.assignment import best_pairs, most_then_nearest
from eval_posetrack.metrics.counts import Counts, Figure
from eval_posetrack.metrics.rules import DEFAULT
from tests.poses import crowd

seeds = st.integers(0, 10**6)
PERFECT = ("AP", "AP_precision", "AP_recall", "MOTA", "MOTP", "MOT_precision", "MOT_recall", "IDF1", "HOTA", "PCKh@0.5")


def world(seed: int, people: int = 6, frames: int = 8, *, noise: float = 6.0, name: str = "clip") -> tuple[Clip, Clip]:
    """People close enough to be mistaken for each other, and what a middling tracker makes of them."""
    rng = np.random.default_rng(seed)
    truth = crowd(people=people, frames=frames, seed=seed, shown=0.9, joints_shown=0.9, size=(0.8, 3.0))
    found = crowd(
        people=people + 2,
        frames=frames,
        seed=seed,
        shown=0.8,
        joints_shown=0.9,
        noise=noise,
        size=(0.8, 3.0),
        scores=rng,
    )
    swapped = np.where(found.frames > frames // 2, found.track_ids ^ 1, found.track_ids)
    return replace(truth, name=name), replace(found, name=name, track_ids=swapped)


def assert_same(a: dict[str, Figure], b: dict[str, Figure], tolerance: float = 1e-9) -> None:
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_allclose(a[name].per_joint, b[name].per_joint, rtol=0, atol=tolerance, err_msg=name)
        np.testing.assert_allclose(a[name].total, b[name].total, rtol=0, atol=tolerance, err_msg=name)


@given(seed=seeds, people=st.integers(1, 8))
@settings(max_examples=20, deadline=None)
def test_ground_truth_scored_against_itself_is_100_in_every_metric(seed: int, people: int) -> None:
    truth, _ = world(seed, people)
    report = evaluate({"clip": truth}, {"clip": truth})
    for name in PERFECT:
        assert report.total[name].total == pytest.approx(100, abs=1e-9), name
    assert report.oks["AP"] == report.oks["AR"] == pytest.approx(100)
    assert report.total["switches"].total == report.total["fragmentations"].total == 0


def shuffled(clip: Clip, rng: np.random.Generator) -> Clip:
    order = np.lexsort((rng.random(len(clip)), clip.frames))
    return clip.with_people(order)


@given(seed=seeds)
@settings(max_examples=25, deadline=None)
def test_figures_do_not_depend_on_the_order_of_people(seed: int) -> None:
    truth, found = world(seed)
    rng = np.random.default_rng(seed)
    before = evaluate({"clip": truth}, {"clip": found})
    after = evaluate({"clip": shuffled(truth, rng)}, {"clip": shuffled(found, rng)})
    assert_same(before.total, after.total, 0)
    assert before.oks == pytest.approx(after.oks, abs=0, nan_ok=True)


@given(seed=seeds)
@settings(max_examples=10, deadline=None)
def test_figures_do_not_depend_on_the_order_of_people_without_ids_and_scores(seed: int) -> None:
    truth, found = world(seed)
    found = replace(found, track_ids=found.track_ids * 0 - 1, keypoint_scores=found.keypoint_scores * np.nan)
    rng = np.random.default_rng(seed)
    before = evaluate({"clip": truth}, {"clip": found}, metrics=["AP", "MOT", "IDF1", "HOTA"])
    after = evaluate({"clip": truth}, {"clip": shuffled(found, rng)}, metrics=["AP", "MOT", "IDF1", "HOTA"])
    assert_same(before.total, after.total, 0)


@given(seed=seeds)
@settings(max_examples=10, deadline=None)
def test_figures_do_not_depend_on_the_order_of_files_and_counts_add_up(seed: int) -> None:
    worlds = {name: world(seed + i, name=name) for i, name in enumerate("abc")}
    truth, found = ({name: pair[side] for name, pair in worlds.items()} for side in (0, 1))
    whole = evaluate(truth, found)
    assert_same(whole.total, evaluate(dict(reversed(truth.items())), dict(reversed(found.items()))).total, 0)
    parts = [evaluate({n: truth[n] for n in names}, {n: found[n] for n in names}) for names in ("ac", "b")]
    assert_same(whole.total, Counts.join([part.counts for part in parts]).figures(DEFAULT, pooled=True))
    assert whole.counts.oks is not None
    assert Counts.join([part.counts for part in parts]).oks.figures() == pytest.approx(whole.oks, nan_ok=True)  # type: ignore[union-attr]


def test_figures_do_not_depend_on_the_number_of_processes() -> None:
    worlds = {name: world(i, name=name) for i, name in enumerate("ab")}
    truth, found = ({name: pair[side] for name, pair in worlds.items()} for side in (0, 1))
    finished: list[str] = []
    report = evaluate(truth, found, jobs=2, progress=finished.append)
    assert report.to_json() == evaluate(truth, found).to_json()
    assert sorted(finished) == list(report.sequences) == ["a", "b"]


@given(seed=seeds)
@settings(max_examples=15, deadline=None)
def test_figures_do_not_depend_on_the_values_of_ids(seed: int) -> None:
    truth, found = world(seed)
    names = np.random.default_rng(seed).permutation(1000)[:100]
    renamed = replace(found, track_ids=names[found.track_ids])
    assert_same(evaluate({"c": truth}, {"c": found}).total, evaluate({"c": truth}, {"c": renamed}).total)


@given(
    pairs=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), unique=True, max_size=12),
    seed=seeds,
)
@settings(max_examples=150, deadline=None)
def test_the_assignment_is_optimal(pairs: list[tuple[int, int]], seed: int) -> None:
    rows, columns = np.array(pairs, int).reshape(-1, 2).T
    weights = np.random.default_rng(seed).uniform(0.1, 1, len(pairs))
    table = dict(zip(pairs, weights.tolist(), strict=True))
    choices = [[(i, j) for i, j in enumerate(order) if (i, j) in table] for order in permutations(range(5))]

    chosen = best_pairs(rows, columns, weights)
    assert len(set(rows[chosen])) == len(set(columns[chosen])) == chosen.sum()
    assert weights[chosen].sum() == pytest.approx(max(sum(table[pair] for pair in choice) for choice in choices))

    chosen = most_then_nearest(rows, columns, weights)
    best = min((-len(choice), sum(table[pair] for pair in choice)) for choice in choices)
    assert (-chosen.sum(), weights[chosen].sum()) == pytest.approx(best)
