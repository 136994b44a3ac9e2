"""Confidence intervals for the differences between two reports: the jackknife over sequences.

Efron and Tibshirani 1993, chapter 11: the totals of both sides are computed without each sequence in turn. The spread
of their differences gives a standard error, and Student's t quantile for that many sequences the interval.
`python -m benchmarks.coverage` measures on synthetic data sets how often it contains the true difference; percentile
and BCa bootstrap intervals do so less often, in under 90 % of cases with fewer than 20 sequences.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from eval_posetrack.metrics.average_precision import ApCounts, joint_figures
from eval_posetrack.metrics.counts import Counts, Figure
from eval_posetrack.metrics.match import JOINTS
from eval_posetrack.metrics.rules import Rules
from eval_posetrack.reports.report import Report
from posetrail.errors import InputError

COMPARED = ("AP", "MOTA", "IDF1", "HOTA", "IDF1 (OKS)", "HOTA (OKS)")
_OF_COUNTS = {
    "mot": "MOTA",
    "identity": "IDF1",
    "hota": "HOTA",
    "identity_oks": "IDF1 (OKS)",
    "hota_oks": "HOTA (OKS)",
}
MIN_SEQUENCES = 5
"""Sequences that must differ for a verdict. Then the interval of nominal 95 % contains the true difference in 91 to
95 % of cases; for trackers that differ in one of five sequences, whichever are drawn, in 57 % with 5 sequences and in
80 % with 20 (`benchmarks/coverage.py`)."""


@dataclass(frozen=True)
class Difference:
    """One metric of two reports: b minus a."""

    metric: str
    difference: float  # of the totals, in points; NaN where a side has no figure
    low: float  # the interval of nominal 95 percent; NaN with fewer than two sequences
    high: float
    sequences: int  # in which the sides differ

    @property
    def is_significant(self) -> bool | None:
        """Whether zero lies outside the interval; None if too few sequences differ for a verdict."""
        if self.sequences < MIN_SEQUENCES or np.isnan([self.low, self.high]).any():
            return None
        return self.low > 0 or self.high < 0


def compare(a: Report, b: Report) -> list[Difference]:
    """The differences b minus a in every metric that both reports have.

    Raises:
        InputError: the reports are of different sequences or modes.
    """
    if list(a.sequences) != list(b.sequences) or a.mode != b.mode:
        raise InputError("reports: expected the same sequences in the same mode, got others")
    n = len(a.sequences)
    # Rows: all sequences; all but one; one alone.
    weights = np.concatenate([np.ones((1, n), int), 1 - np.eye(n, dtype=int), np.eye(n, dtype=int)])
    values = [_totals(report, weights) for report in (a, b)]
    out = []
    for metric in COMPARED:
        if metric in values[0] and metric in values[1]:
            differences = values[1][metric] - values[0][metric]
            low, high = _jackknife(differences[0], differences[1 : n + 1])
            alone = differences[n + 1 :]
            out.append(Difference(metric, float(differences[0]), low, high, int((np.abs(alone) > 0).sum())))
    return out


def jackknife_interval(statistic: Callable[[np.ndarray], np.ndarray], n: int) -> tuple[float, float]:
    """The interval of nominal 95 percent of a statistic of n sequences.

    Args:
        statistic: weights (R, n) of the sequences to values (R,).
        n: number of sequences.
    """
    values = statistic(np.concatenate([np.ones((1, n)), 1 - np.eye(n)]))
    return _jackknife(values[0], values[1:])


def _jackknife(value: float, without: np.ndarray) -> tuple[float, float]:
    """The interval of a value from the values (n,) without each sequence; NaN if n < 2 or one of them is NaN."""
    from scipy.special import stdtrit  # slow to import, and a single report does not need it

    n = len(without)
    if n < 2:
        return float("nan"), float("nan")
    error = np.sqrt((n - 1) / n * ((without - without.mean()) ** 2).sum())
    reach = stdtrit(n - 1, 0.975) * error
    return float(value - reach), float(value + reach)


def _totals(report: Report, weights: np.ndarray) -> dict[str, np.ndarray]:
    """The totals (R,) by metric where sequence s counts weights[r, s] times."""
    parts = list(report.sequences.values())
    totals = {}
    if parts[0].ap:
        totals["AP"] = _weighted_ap([part.ap for part in parts if part.ap], weights, report.rules)
    for name, metric in _OF_COUNTS.items():
        if getattr(parts[0], name):
            sums = _weighted_sums([getattr(part, name) for part in parts], weights)
            drawn = (Counts(**{name: counts}).figures(report.rules, pooled=True) for counts in sums)
            totals[metric] = np.array([figures[metric].total for figures in drawn])
    return totals


def _weighted_sums(parts: list[Any], weights: np.ndarray) -> Iterator[Any]:
    """The counts of each resampling: every array summed over sequences with its weights."""
    kind = type(parts[0])
    names = [field.name for field in fields(kind)]
    stacked = {name: np.stack([getattr(part, name) for part in parts]) for name in names}
    for row in weights:
        yield kind(**{name: np.tensordot(row, values, axes=1) for name, values in stacked.items()})


def _weighted_ap(parts: list[ApCounts], weights: np.ndarray, rules: Rules) -> np.ndarray:
    joined = ApCounts.join(parts)
    sequence = np.repeat(np.arange(len(parts)), [len(part.joints) for part in parts])
    annotated = weights @ np.stack([part.annotated for part in parts])  # (R, 15)
    ap = np.full((len(weights), JOINTS), np.nan)
    for k in range(JOINTS):
        rows = joined.best_first(k)
        scores, correct, of_sequence = joined.scores[rows], joined.correct[rows], sequence[rows]
        for r, row in enumerate(weights):
            ap[r, k] = 100 * joint_figures(scores, correct, annotated[r, k], rules, row[of_sequence])[0]
    return np.array([Figure.mean(row).total for row in ap])
