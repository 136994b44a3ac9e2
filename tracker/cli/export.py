"""`posetrail export`: parses, calls, prints."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from posetrail.errors import InputError
from tracker.cli.flags import Run, in_out
from tracker.cli.printing import Printer


def export_command(
    run: Run,
    *,
    to: Annotated[
        Literal["posetrack", "coco", "csv"],
        in_out("Format of the file: posetrack (2018), coco, or csv (the columns of tracks.csv)."),
    ],
    ground_truth: Annotated[
        bool,
        in_out(
            "Write ground truth: only frames that are marked as checked are labelled, and joints are where they were "
            "measured or where a person has put them.",
            negative=(),
            show_default=False,
        ),
    ] = False,
    smoothed: Annotated[
        bool, in_out("Ground truth with smoothed joints, as in tracks.csv.", negative=(), show_default=False)
    ] = False,
    output: Annotated[
        Path | None,
        in_out("The file to write [default: export.* or ground_truth.* in RUN].", name=["--output", "-o"]),
    ] = None,
) -> int:
    """Write the tracks of a run, with its corrections, to one file. Needs neither the video nor a network."""
    from tracker.runs.export import export_run

    if smoothed and not ground_truth:
        raise InputError("--smoothed: expected --ground-truth beside it; exported tracks are as smooth as those of RUN")
    path = export_run(run, to, ground_truth=ground_truth, smoothed=smoothed, output=output)
    Printer().result(str(path), file=path)
    return 0
