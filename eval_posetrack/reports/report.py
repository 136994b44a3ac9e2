"""The result of an evaluation: figures as numbers, JSON and a tidy table, and the effect of the official deviations."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from eval_posetrack.metrics.counts import Counts, Figure
from eval_posetrack.metrics.rules import DEFAULT, DEVIATIONS, Rules, rules_of
from posetrail.skeletons import POSETRACK_15

if TYPE_CHECKING:
    import pandas as pd

# Figures at the top level of the JSON and under "MOT"; all others are under "details".
_IN_JSON = ("AP", "AP_precision", "AP_recall", "IDF1", "HOTA")
_MOT_IN_JSON = {"mota": "MOTA", "motp": "MOTP", "precision": "MOT_precision", "recall": "MOT_recall"}
_CHECKED = ("AP", "AP_precision", "AP_recall", "MOTA", "MOTP", "MOT_precision", "MOT_recall", "HOTA")


@dataclass(frozen=True, eq=False)
class Report:
    """The counts of every sequence, and all figures computed from them."""

    mode: str  # "default" or "exact"
    sequences: dict[str, Counts]  # by name, sorted by it
    with_deviation: dict[str, list[Counts]]  # by deviation: the counts of every sequence with it
    notes: tuple[str, ...]  # on files whose content needs attention

    @property
    def rules(self) -> Rules:
        """The deviations in force."""
        return rules_of(self.mode)

    @cached_property
    def counts(self) -> Counts:
        """The counts of all sequences together."""
        return Counts.join(list(self.sequences.values()))

    @cached_property
    def total(self) -> dict[str, Figure]:
        """The figures of all sequences together, by name: AP, MOTA, IDF1, HOTA, ..."""
        return self.counts.figures(self.rules, pooled=True)

    @cached_property
    def by_sequence(self) -> dict[str, dict[str, Figure]]:
        """The figures of every sequence."""
        return {name: counts.figures(self.rules) for name, counts in self.sequences.items()}

    @cached_property
    def oks(self) -> dict[str, float]:
        """AP, AP50, AP75, AP_medium, AP_large and the same of AR as in COCO, all sequences together."""
        return self.counts.oks.figures() if self.counts.oks else {}

    @cached_property
    def deviations(self) -> tuple[str, ...]:
        """One line for each deviation of the official kits that would change a total, with both values."""
        lines = []
        for name, parts in self.with_deviation.items():
            official = Counts.join(parts).figures(DEFAULT.plus(name), pooled=True)
            changes = [
                f"{figure} {official[figure].total:.2f} instead of {self.total[figure].total:.2f}"
                for figure in _CHECKED
                if figure in self.total and _differ(self.total[figure].total, official[figure].total)
            ]
            if changes:
                lines.append(f"{DEVIATIONS[name]}: {', '.join(changes)}")
        return tuple(lines)

    def to_json(self) -> dict[str, Any]:
        """The figures as JSON types: numbers, lists, strings; NaN as None."""
        return {
            "mode": self.mode,
            "sequences": {name: _nested(figures) for name, figures in self.by_sequence.items()},
            "total": _nested(self.total),
            "details": {
                "total": {name: _plain(figure) for name, figure in self.total.items()},
                "sequences": {
                    name: {metric: _plain(figure) for metric, figure in figures.items()}
                    for name, figures in self.by_sequence.items()
                },
                "OKS": {name: _null(value) for name, value in self.oks.items()},
            },
            "deviations": list(self.deviations),
            "notes": list(self.notes),
        }

    def to_frame(self) -> pd.DataFrame:
        """A tidy table: sequence ("total" for all), metric, part (a joint, a group or "total"), value."""
        import pandas as pd  # takes a second to import

        rows = []
        for sequence, figures in [*self.by_sequence.items(), ("total", self.total)]:
            for metric, figure in figures.items():
                parts = dict(zip(POSETRACK_15.joints, figure.per_joint.tolist(), strict=True)) | figure.groups
                rows += [(sequence, metric, part, value) for part, value in parts.items()]
                rows.append((sequence, metric, "total", figure.total))
        rows += [("total", f"OKS_{name}", "total", value) for name, value in self.oks.items()]
        return pd.DataFrame(rows, columns=["sequence", "metric", "part", "value"])


def _nested(figures: dict[str, Figure]) -> dict[str, Any]:
    out: dict[str, Any] = {name: _plain(figures[name]) for name in _IN_JSON[:3] if name in figures}
    if "MOTA" in figures:
        out["MOT"] = {key: _plain(figures[name]) for key, name in _MOT_IN_JSON.items()}
    return out | {name: _plain(figures[name]) for name in _IN_JSON[3:] if name in figures}


def _plain(figure: Figure) -> dict[str, Any]:
    values = map(_null, figure.per_joint.tolist())
    return {
        "per_joint": dict(zip(POSETRACK_15.joints, values, strict=True)),
        "groups": {name: _null(value) for name, value in figure.groups.items()},
        "total": _null(figure.total),
    }


def _null(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _differ(a: float, b: float) -> bool:
    return not (abs(a - b) < 1e-9 or (math.isnan(a) and math.isnan(b)))
