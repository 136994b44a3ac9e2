"""`posetrail export`: parses, calls, prints."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from tracker.cli.flags import Run, in_out
from tracker.cli.printing import Printer


def export_command(
    run: Run,
    *,
    to: Annotated[
        Literal["posetrack", "coco", "csv"],
        in_out("Format of the file: posetrack (2018), coco, or csv (the columns of tracks.csv)."),
    ],
    output: Annotated[
        Path | None, in_out("The file to write [default: export.* in RUN].", name=["--output", "-o"])
    ] = None,
) -> int:
    """Write the tracks of a run to one file of another format. Needs neither the video nor a network."""
    from tracker.runs.export import export_run

    path = export_run(run, to, output=output)
    Printer().result(str(path), file=path)
    return 0
