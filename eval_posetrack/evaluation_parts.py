"""Scores whole bodies in COCO-WholeBody JSON part by part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eval_posetrack.metrics.parts import part_figures
from eval_posetrack.readers.wholebody import annotated, predicted, read_wholebody
from eval_posetrack.reports.tables import Table
from posetrail.skeletons import COCO_WHOLEBODY_133

_SHOWN = ("people", "AP", "AP50", "AP75", "AP_medium", "AP_large", "AR", "NME", "PCK", "AUC", "EPE_px")
_WHOLE_NUMBERS = ("people", "faces")


@dataclass(frozen=True, eq=False)
class PartsReport:
    """The figures of body, foot, face, lefthand, righthand and wholebody."""

    parts: Mapping[str, Mapping[str, float]]  # by part, then by name, see `part_figures`
    notes: tuple[str, ...]  # one line each

    def to_json(self) -> dict[str, Any]:
        """The report as JSON holds it; figures that do not exist are null."""
        return {
            "parts": {
                part: {name: value if np.isfinite(value) else None for name, value in figures.items()}
                for part, figures in self.parts.items()
            },
            "notes": list(self.notes),
        }

    def table(self, title: str) -> Table:
        """One row for each part."""
        return part_table(self.parts, title)


def evaluate_parts(ground_truth: str | Path, predictions: str | Path) -> PartsReport:
    """Score the people of single images part by part: AP of OKS, NME of faces, PCK, AUC and EPE of hands.

    Args:
        ground_truth: COCO-WholeBody annotations; images whose `is_labeled` is false are left out.
        predictions: the same, or a list of results with those parts and `image_id`.

    Raises:
        InputError: a file cannot be read or used, or the two have no images in common.
    """
    truth_file = read_wholebody(Path(ground_truth))
    truth = annotated(truth_file)
    found, notes = predicted(read_wholebody(Path(predictions)), truth_file)
    return PartsReport(part_figures(truth, found, COCO_WHOLEBODY_133), notes)


def part_table(parts: Mapping[str, Mapping[str, float]], title: str) -> Table:
    """A table with one row for each part; figures that a part does not have are dashes."""

    def cell(name: str, value: float) -> str:
        if not np.isfinite(value):
            return "-"
        return f"{value:.0f}" if name in _WHOLE_NUMBERS else f"{value:.1f}"

    names = [name for name in _SHOWN if any(name in figures for figures in parts.values())]
    rows = [(part, *(cell(name, figures.get(name, float("nan"))) for name in names)) for part, figures in parts.items()]
    return Table(title, ("part", *(name.replace("_", " ") for name in names)), tuple(rows))
