"""How often the interval of `eval_posetrack.reports.compare` contains the true difference, by the number of sequences.

    uv run python -m benchmarks.coverage --trials 2000

Two trackers are scored on n sequences drawn from a synthetic population whose true difference is known. Metrics are
ratios of sums over sequences, as MOTA and IDF1 are; the number of joints per sequence varies as in real data sets
(log-normal, sigma 0.9: the largest of 50 has about 50 times as many as the smallest). Intervals of nominal 95 %:

    percentile    the middle 95 % of the resampled differences (Efron and Tibshirani 1993, chapter 13)
    BCa           percentiles corrected for bias and acceleration (the same, chapter 14)
    jackknife-t   difference -+ Student's t quantile (n - 1 degrees of freedom) x jackknife standard error (chapter 11)
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.stats import norm

from eval_posetrack.reports.compare import MIN_SEQUENCES, jackknife_interval

NUMBERS = (3, 5, 10, 20, 50)
RESAMPLES = 1000
_POPULATION = 400_000  # sequences, which define the true difference

Statistic = Callable[[np.ndarray], np.ndarray]
"""Weights (R, n) of the sequences to differences (R,)."""

Interval = Callable[[Statistic, int], tuple[float, float]]


@dataclass(frozen=True, eq=False)
class Population:
    """Counts of sequences for two trackers; the metric is 100 x sum(above) / sum(below)."""

    above: np.ndarray  # (2, S)
    below: np.ndarray  # (2, S)

    def difference(self, rows: np.ndarray | slice) -> Statistic:
        """B minus A over these sequences, by weights."""
        above, below = self.above[:, rows], self.below[:, rows]
        return lambda weights: 100 * np.subtract(*(weights @ above[i] / (weights @ below[i]) for i in (1, 0)))


def populations(seed: int = 0) -> dict[str, Population]:
    """MOTA of trackers that differ everywhere, IDF1 with jumps, and trackers that differ in one of five sequences."""
    rng = np.random.default_rng(seed)
    joints = np.round(5000 * rng.lognormal(0, 0.9, _POPULATION))
    hard = rng.beta(3, 7, _POPULATION)  # difficulty of a sequence for both trackers
    crowded = hard * (joints / joints.mean()) ** 0.15  # error rates grow with the number of people

    def mota(change: np.ndarray) -> Population:
        errors = np.stack([crowded, np.clip(crowded + change, 0, 2)]) * joints
        return Population(joints - errors, np.stack([joints, joints]))

    def idf1(change: np.ndarray) -> Population:
        share = np.stack([1 - hard, np.clip(1 - hard + change, 0, 1)])
        predicted = joints * np.stack([rng.uniform(0.8, 1.1, _POPULATION), rng.uniform(0.8, 1.1, _POPULATION)])
        return Population(2 * share * np.minimum(joints, predicted), joints + predicted)

    few = rng.random(_POPULATION) < 0.2
    return {
        "MOTA": mota(rng.normal(-0.01, 0.03, _POPULATION)),
        "IDF1, long tails": idf1(0.01 + 0.03 * rng.standard_t(3, _POPULATION)),
        "MOTA, 1 of 5 differs": mota(np.where(few, rng.normal(-0.03, 0.05, _POPULATION), 0.0)),
    }


def percentile(statistic: Statistic, n: int) -> tuple[float, float]:
    """The middle 95 % of the resampled differences."""
    low, high = np.quantile(statistic(_draws(n)), [0.025, 0.975])
    return float(low), float(high)


def bca(statistic: Statistic, n: int) -> tuple[float, float]:
    """Percentiles corrected for bias and acceleration; plain ones if all resamples are equal."""
    drawn = statistic(_draws(n))
    (measured,) = statistic(np.ones((1, n)))
    without = statistic(1 - np.eye(n))
    off = without.mean() - without
    below = np.clip((np.mean(drawn < measured) + np.mean(drawn <= measured)) / 2, 1 / RESAMPLES, 1 - 1 / RESAMPLES)
    bias = norm.ppf(below)
    spread = (off**2).sum() ** 1.5
    acceleration = (off**3).sum() / (6 * spread) if spread > 0 else 0.0
    z = bias + norm.ppf([0.025, 0.975])
    low, high = np.quantile(drawn, norm.cdf(bias + z / (1 - acceleration * z)))
    return float(low), float(high)


INTERVALS: dict[str, Interval] = {"percentile": percentile, "BCa": bca, "jackknife-t": jackknife_interval}


def coverage(
    population: Population, n: int, trials: int, intervals: dict[str, Interval], *, differing: int = 0
) -> dict[str, float]:
    """The share of trials whose interval contains the true difference, by the name of the interval.

    Args:
        population: where sequences are drawn from.
        n: number of sequences drawn in each trial.
        trials: number of trials.
        intervals: by name.
        differing: trials in which fewer sequences differ are left out; NaN if that is all of them.
    """
    rng = np.random.default_rng((1, n))
    (true_difference,) = population.difference(slice(None))(np.ones((1, _POPULATION)))
    contained: dict[str, list[bool]] = {name: [] for name in intervals}
    for _ in range(trials):
        statistic = population.difference(rng.integers(0, _POPULATION, n))
        if (statistic(np.eye(n)) != 0).sum() < differing:
            continue
        for name, interval in intervals.items():
            low, high = interval(statistic, n)
            contained[name].append(low <= true_difference <= high)
    return {name: float(np.mean(each)) if each else np.nan for name, each in contained.items()}


@cache
def _draws(n: int) -> np.ndarray:
    return np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), RESAMPLES)


def main() -> None:
    """Print a table of coverages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=2000)
    trials = parser.parse_args().trials
    print("| population | interval | " + " | ".join(f"n = {n}" for n in NUMBERS) + " |")
    print("| --- | --- |" + " ---: |" * len(NUMBERS))
    for name, population in populations().items():
        shares = {n: coverage(population, n, trials, INTERVALS) for n in NUMBERS}
        for n in NUMBERS:
            verdicts = coverage(population, n, trials, {"": jackknife_interval}, differing=MIN_SEQUENCES)
            shares[n][f"jackknife-t, {MIN_SEQUENCES} or more differ"] = verdicts[""]
        for interval in shares[NUMBERS[0]]:
            row = " | ".join(f"{100 * shares[n][interval]:.1f}" for n in NUMBERS)
            print(f"| {name} | {interval} | {row} |")


if __name__ == "__main__":
    main()
