"""`posetrail eval3d`: parses, calls, prints."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter


def eval3d_command(
    ground_truth: Path,
    predictions: Path,
    /,
    *,
    match: Literal["error", "id"] = "error",
    style: Literal["terminal", "markdown", "latex"] = "terminal",
    json_file: Annotated[Path | None, Parameter(name="--json")] = None,
) -> int:
    """Score 3-D tracks against ground truth: MPJPE, P-MPJPE, N-MPJPE, MPJVE, PCK, AUC.

    Errors are in millimetres, relative to the pelvis, over the joints that both files have by name.

    Args:
        ground_truth: A run with 3-D tracks, a .csv file with the columns of tracks3d.csv, an .npz file, or a .mat or
            .h5 file of Human3.6M or HumanEva.
        predictions: A run, a .csv or an .npz file of the same frames.
        match: Pair people by least error over the clip, or by id.
        style: Format of the printed table: terminal, markdown or latex.
        json_file: Write all figures to this JSON file.

    Returns:
        the exit code, 0.
    """
    from rich.console import Console

    from eval_posetrack.evaluation_3d import Errors3D, evaluate_3d
    from eval_posetrack.reports.tables import Table, one_line
    from posetrail.errors import InputError

    report = evaluate_3d(ground_truth, predictions, match=match)

    def row(of: Errors3D) -> tuple[str, ...]:
        errors = (of.mpjpe_mm, of.p_mpjpe_mm, of.n_mpjpe_mm, of.mpjve_mm_per_frame, of.acceleration_error_mm_per_frame2)
        shares = (of.pck_150mm, of.auc)
        frames = f"{of.frames}/{of.ground_truth_frames}"
        return (of.person, of.predicted, frames, *(f"{value:.1f}" for value in (*errors, *shares)))

    columns = ("person", "prediction", "frames", "MPJPE", "P-MPJPE", "N-MPJPE", "MPJVE", "accel", "PCK", "AUC")
    title = "3-D joints: errors in mm, velocity per frame, acceleration per frame squared; PCK at 150 mm and AUC in %"
    table = Table(title, columns, tuple(row(each) for each in (*report.people, report.total)))
    if style == "terminal":
        (Console() if sys.stdout.isatty() else Console(width=120)).print(table.to_rich())
    else:
        print(table.to_markdown() if style == "markdown" else table.to_latex())  # noqa: T201
    for note in report.notes:
        print(one_line(note), file=sys.stderr)  # noqa: T201
    if json_file:
        try:
            json_file.write_text(json.dumps(report.to_json(), allow_nan=False, indent=1) + "\n", encoding="utf-8")
        except OSError as error:
            raise InputError(f"{json_file}: cannot be written ({error.strerror})") from None
    return 0
