"""Which of two differences is real: a paired bootstrap over sequences (Efron and Tibshirani 1993, chapter 13).

Sequences are drawn with replacement, the same for both sides, and the totals counted anew; a difference is real when
the middle 95 percent of such differences lie on one side of zero.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from core.errors import InputError
from eval_posetrack.average_precision import ApCounts, joint_figures
from eval_posetrack.counts import Counts, Figure
from eval_posetrack.match import JOINTS
from eval_posetrack.report import Report
from eval_posetrack.rules import Rules

COMPARED = ("AP", "MOTA", "IDF1", "HOTA")
RESAMPLES = 1000
_SEED = 0  # the same files give the same answer


@dataclass(frozen=True)
class Difference:
    """One metric of two reports: b minus a."""

    metric: str
    difference: float  # of the totals, in points
    low: float  # 2.5 percent of the resampled differences lie below
    high: float  # 2.5 percent lie above

    @property
    def is_real(self) -> bool:
        """Zero lies outside the interval."""
        return self.low > 0 or self.high < 0


def compare(a: Report, b: Report, *, resamples: int = RESAMPLES) -> list[Difference]:
    """The differences of b to a in every metric that both have.

    Raises:
        InputError: the reports are of different sequences or modes.
    """
    if list(a.sequences) != list(b.sequences) or a.mode != b.mode:
        raise InputError("wanted two reports of the same sequences in the same mode")
    n = len(a.sequences)
    draws = np.random.default_rng(_SEED).multinomial(n, np.full(n, 1 / n), resamples)
    weights = np.concatenate([np.ones((1, n), int), draws])  # the first row is what was measured
    values = [_totals(report, weights) for report in (a, b)]
    out = []
    for metric in COMPARED:
        if metric in values[0] and metric in values[1]:
            differences = values[1][metric] - values[0][metric]
            known = differences[1:][~np.isnan(differences[1:])]
            low, high = np.quantile(known, [0.025, 0.975]) if len(known) else (np.nan, np.nan)
            out.append(Difference(metric, float(differences[0]), float(low), float(high)))
    return out


def _totals(report: Report, weights: np.ndarray) -> dict[str, np.ndarray]:
    """The totals (R,) by metric when sequence s counts weights[r, s] times."""
    parts = list(report.sequences.values())
    totals = {}
    if parts[0].ap:
        totals["AP"] = _weighted_ap([part.ap for part in parts if part.ap], weights, report.rules)
    for name, metric in (("mot", "MOTA"), ("identity", "IDF1"), ("hota", "HOTA")):
        if getattr(parts[0], name):
            sums = _weighted_sums([getattr(part, name) for part in parts], weights)
            drawn = (Counts(**{name: counts}).figures(report.rules, pooled=True) for counts in sums)
            totals[metric] = np.array([figures[metric].total for figures in drawn])
    return totals


def _weighted_sums(parts: list[Any], weights: np.ndarray) -> Iterator[Any]:
    """The counts of each resampling: sums over sequences of every array, by its weights."""
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
        scores, right, of_sequence = joined.scores[rows], joined.right[rows], sequence[rows]
        for r, row in enumerate(weights):
            ap[r, k] = 100 * joint_figures(scores, right, annotated[r, k], rules, row[of_sequence])[0]
    return np.array([Figure.mean(row).total for row in ap])
