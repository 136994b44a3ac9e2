"""Tables of figures in the layout of the benchmark, for a terminal, as Markdown or as LaTeX."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import rich.table
from rich.text import Text

from eval_posetrack.metrics.counts import GROUPS, Figure
from eval_posetrack.reports.compare import MIN_SEQUENCES, Difference
from eval_posetrack.reports.report import Report
from eval_posetrack.reports.sweep import Sweep

_TOTALS = ("AP", "MOTA", "MOTP", "IDF1", "HOTA", "DetA", "AssA", "LocA", "IDF1 (OKS)", "HOTA (OKS)")
_ON_OKS = ("IDF1", "IDP", "IDR", "HOTA", "DetA", "AssA")
_NUMBERS = ("misses", "false_positives", "switches", "fragmentations")
_LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
_LATEX |= {sign: f"\\{sign}" for sign in "&%$#_{}"}


@dataclass(frozen=True)
class Table:
    """A title, column names, and rows of text; the first column names the row."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def to_rich(self) -> rich.table.Table:
        """The table for a terminal."""
        table = rich.table.Table(title=self.title, title_justify="left", title_style="bold")
        for i, name in enumerate(self.columns):
            table.add_column(name, justify="right" if i else "left", overflow="fold")
        for row in self.rows:
            table.add_row(*(Text(one_line(cell)) for cell in row))  # Text, so that names are not parsed as markup
        return table

    def to_markdown(self) -> str:
        """The table as Markdown."""
        lines = [self.columns, ("---", *["---:"] * (len(self.columns) - 1)), *self.rows]
        cells = ([one_line(cell).replace("|", "\\|") for cell in line] for line in lines)
        return "\n".join([f"**{self.title}**", "", *(f"| {' | '.join(line)} |" for line in cells), ""])

    def to_latex(self) -> str:
        """The table as LaTeX: a `tabular` that needs the package booktabs."""
        lines = [" & ".join(map(_latex, line)) + r" \\" for line in (self.columns, *self.rows)]
        head = [f"% {one_line(self.title)}", rf"\begin{{tabular}}{{l{'r' * (len(self.columns) - 1)}}}", r"\toprule"]
        return "\n".join([*head, lines[0], r"\midrule", *lines[1:], r"\bottomrule", r"\end{tabular}", ""])


def benchmark_tables(reports: Mapping[str, Report]) -> list[Table]:
    """The tables of the PoseTrack leaderboards with one row per report, for the metrics that all reports have."""
    tables = []
    totals = {name: report.total for name, report in reports.items()}
    groups = (*GROUPS, "Total")
    for metric, title, more in (
        ("AP", "Pose estimation: average precision (AP)", ("AP_precision", "AP_recall")),
        ("MOTA", "Pose tracking: MOTA", ("MOTP", "MOT_precision", "MOT_recall")),
        ("HOTA", "Pose tracking: HOTA", ("DetA", "AssA", "LocA")),
        ("IDF1", "Pose tracking: IDF1", ("IDP", "IDR")),
        ("PCKh@0.5", "Pose estimation: PCKh at 0.5 head sizes", ("PCK@0.2",)),
    ):
        if all(metric in figures for figures in totals.values()):
            rows = [
                (name, *_groups(of[metric]), *(_percent(of[key].total) for key in more)) for name, of in totals.items()
            ]
            short = ({"precision": "Prec", "recall": "Rec"}.get(key.partition("_")[2], key) for key in more)
            tables.append(Table(title, ("", *groups, *short), tuple(rows)))
    if all("misses" in figures for figures in totals.values()):
        rows = [(name, *(f"{of[key].total:.0f}" for key in _NUMBERS)) for name, of in totals.items()]
        tables.append(
            Table("Pose tracking: errors in joints", ("", *(key.replace("_", " ") for key in _NUMBERS)), tuple(rows))
        )
    on_oks = [f"{name} (OKS)" for name in _ON_OKS if all(f"{name} (OKS)" in of for of in totals.values())]
    if on_oks:
        rows = [(name, *(_percent(of[key].total) for key in on_oks)) for name, of in totals.items()]
        tables.append(Table("Pose tracking by OKS of people (not the benchmark's figures)", ("", *on_oks), tuple(rows)))
    if all(report.oks for report in reports.values()):
        keys = tuple(next(iter(reports.values())).oks)
        rows = [(name, *(_percent(report.oks[key]) for key in keys)) for name, report in reports.items()]
        tables.append(Table("Pose estimation: AP and AR by OKS, as in COCO", ("", *keys), tuple(rows)))
    return tables


def sequence_table(title: str, report: Report) -> Table:
    """The totals of every sequence."""
    keys = [key for key in _TOTALS if key in report.total]
    rows = [(name, *(_percent(of[key].total) for key in keys)) for name, of in report.by_sequence.items()]
    return Table(f"{title}, by sequence", ("", *keys), tuple(rows))


def oracle_table(title: str, figures: Mapping[str, Mapping[str, Figure]]) -> Table:
    """The figures with one kind of error corrected each, and the gain over the uncorrected ones."""
    rows = list(figures.items())
    (_, first) = rows[0]
    keys = [key for key in ("AP", "MOTA", "IDF1", "HOTA") if key in first]
    cells = []
    for name, of in rows:
        gains = [f" ({of[key].total - first[key].total:+.1f})" if of is not first else "" for key in keys]
        cells.append((name, *(_percent(of[key].total) + gain for key, gain in zip(keys, gains, strict=True))))
    return Table(f"{title}: upper bounds", ("", *keys), tuple(cells))


def sweep_tables(title: str, sweep: Sweep) -> list[Table]:
    """MOTA and AP for each pair of thresholds: rows for poses, columns for joints, the best one in the title."""
    columns = ("poses >=", *(f"{joint:g}" for joint in sweep.joint_scores))
    tables = []
    for metric, values in (("MOTA", sweep.mota), ("AP", sweep.ap)):
        pose, joint, best = sweep.best(values)
        rows = [
            (f"{score:g}", *map(_percent, row)) for score, row in zip(sweep.pose_scores, values.tolist(), strict=True)
        ]
        maximum = f"best {best:.1f} at poses >= {pose:g}, joints >= {joint:g}"
        tables.append(
            Table(
                f"{title}: {metric} by minimum score of poses (rows) and joints (columns), {maximum}",
                columns,
                tuple(rows),
            )
        )
    return tables


def difference_table(differences: Mapping[str, Iterable[Difference]], to: str) -> Table:
    """Differences of reports, by their names, to one report, with intervals of nominal 95 percent."""
    rows = tuple(
        (name, each.metric, _signed(each.difference), _interval(each), _verdict(each))
        for name, of_report in differences.items()
        for each in of_report
    )
    return Table(f"Differences to {to}", ("", "metric", "difference", "95 % interval", "significant"), rows)


def _interval(difference: Difference) -> str:
    return "-" if math.isnan(difference.low) else f"{difference.low:+.2f} .. {difference.high:+.2f}"


def _verdict(difference: Difference) -> str:
    if difference.is_significant is None:
        return f"too few sequences differ for a verdict ({difference.sequences} of at least {MIN_SEQUENCES})"
    return "yes" if difference.is_significant else "no"


def _signed(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:+.2f}"


def _groups(figure: Figure) -> list[str]:
    return [_percent(value) for value in (*figure.groups.values(), figure.total)]


def _percent(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.1f}"


def one_line(text: str) -> str:
    """The text without control characters and line breaks: names come from files and may contain anything."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", "?", text)


def _latex(text: str) -> str:
    return "".join(_LATEX.get(sign, sign) for sign in one_line(text))
