"""Plots of an evaluation as PNG files with fixed names. Needs matplotlib, an optional dependency."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eval_posetrack.metrics import hota
from eval_posetrack.metrics.counts import GROUPS
from eval_posetrack.reports.report import Report
from eval_posetrack.reports.sweep import Sweep
from posetrail.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SIZE_INCHES = (8, 4.5)
_PCKH_STEPS = np.linspace(0, 1, 101)


def save_plots(
    reports: Mapping[str, Report], folder: Path | str, sweeps: Mapping[str, Sweep] | None = None
) -> list[Path]:
    """Plot reports: groups.png, hota.png and pckh.png if they have these figures, sweep_1.png, ... for the sweeps.

    Raises:
        InputError: matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg  # no window, no display
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InputError("--plots: needs matplotlib; install it with: pip install 'posetrail[plots]'") from error
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    written = []

    def save(name: str, draw: Any, *arguments: Any) -> None:
        figure = Figure(figsize=_SIZE_INCHES, layout="constrained")
        FigureCanvasAgg(figure)
        draw(figure, *arguments)
        figure.savefig(folder / name, dpi=150)
        written.append(folder / name)

    metrics = [key for key in ("AP", "MOTA", "HOTA") if all(key in report.total for report in reports.values())]
    if metrics:
        save("groups.png", _groups, reports, metrics)
    if all(report.counts.hota for report in reports.values()):
        save("hota.png", _hota, reports)
    if all(report.counts.pck for report in reports.values()):
        save("pckh.png", _pckh, reports)
    for i, (name, sweep) in enumerate((sweeps or {}).items(), start=1):
        save(f"sweep_{i}.png", _sweep, name, sweep)
    return written


def _groups(figure: Figure, reports: Mapping[str, Report], metrics: list[str]) -> None:
    for axes, metric in zip(np.atleast_1d(figure.subplots(1, len(metrics), sharey=True)), metrics, strict=True):
        width = 0.8 / len(reports)
        for i, (name, report) in enumerate(reports.items()):
            of = report.total[metric]
            places = np.arange(len(GROUPS) + 1) + (i - (len(reports) - 1) / 2) * width
            axes.bar(places, [*of.groups.values(), of.total], width, label=_plain(name))
        axes.set_xticks(range(len(GROUPS) + 1), [*GROUPS, "Total"], rotation=60)
        axes.set_title(metric)
        axes.set_ylim(top=100)
    figure.axes[0].set_ylabel("percent")
    _legend(figure)


def _hota(figure: Figure, reports: Mapping[str, Report]) -> None:
    for axes, key, title in zip(
        figure.subplots(1, 3, sharey=True), ("hota", "deta", "assa"), ("HOTA", "DetA", "AssA"), strict=True
    ):
        for name, report in reports.items():
            if report.counts.hota:
                curve = report.counts.hota.curves()[key]
                known = ~np.isnan(curve[0])
                axes.plot(hota.THRESHOLDS, curve[:, known].mean(axis=1), label=_plain(name))
        axes.set_title(title)
        axes.set_xlabel("similarity threshold")
        axes.set_ylim(0, 100)
    figure.axes[0].set_ylabel("percent, mean over joints")
    _legend(figure)


def _pckh(figure: Figure, reports: Mapping[str, Report]) -> None:
    axes = figure.subplots()
    for name, report in reports.items():
        if report.counts.pck:
            distances = report.counts.pck.in_heads
            distances = np.sort(distances[~np.isnan(distances)])
            share = np.searchsorted(distances, _PCKH_STEPS, side="right") / max(len(distances), 1)
            axes.plot(_PCKH_STEPS, 100 * share, label=_plain(name))
    axes.set_xlabel("distance, head sizes")
    axes.set_ylabel("annotated joints within it, percent")
    axes.set_ylim(0, 100)
    _legend(figure)


def _sweep(figure: Figure, name: str, sweep: Sweep) -> None:
    for axes, table, title in zip(figure.subplots(1, 2), (sweep.mota, sweep.ap), ("MOTA", "AP"), strict=True):
        low = np.nanpercentile(table, 30)  # thresholds that leave nothing would use up the colour scale
        shown = axes.imshow(table, origin="lower", vmin=low, vmax=np.nanmax(table))
        pose, joint, value = sweep.best(table)
        best = sweep.joint_scores.index(joint), sweep.pose_scores.index(pose)
        axes.plot(*best, marker="o", markersize=12, markerfacecolor="none", markeredgecolor="red")
        axes.set_xticks(range(len(sweep.joint_scores)), [f"{score:g}" for score in sweep.joint_scores])
        axes.set_yticks(range(len(sweep.pose_scores)), [f"{score:g}" for score in sweep.pose_scores])
        axes.set_xlabel("joints of at least this score")
        axes.set_ylabel("poses of at least this score")
        axes.set_title(f"{title}, best {value:.1f}")
        figure.colorbar(shown, ax=axes)
    figure.suptitle(_plain(name))


def _legend(figure: Figure) -> None:
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)


def _plain(name: str) -> str:
    """A literal label: a dollar sign would start a formula, a leading underscore hide it from the legend."""
    return name.replace("$", r"\$").lstrip("_") or name
