"""`posetrail report`: parses, calls, prints."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tracker.cli.flags import ClipPath, Run, in_out
from tracker.cli.printing import Printer


def report_command(
    run: Run,
    *,
    input: Annotated[
        ClipPath | None, in_out("The clip [default: the path in run.json]. Without it, the report has no stills.")
    ] = None,
    output: Annotated[
        Path | None, in_out("The file to write [default: report.html in RUN].", name=["--output", "-o"])
    ] = None,
    blur_faces: Annotated[
        bool, in_out("Make the faces of tracked people unrecognisable in the stills.", negative=(), show_default=False)
    ] = False,
) -> int:
    """Write a report of a run, one HTML file: timeline, figures of each person, doubtful places, paths, joints."""
    from tracker.runs.report import write_report

    path = write_report(run, output, input=input, blur_faces=blur_faces)
    Printer().result(str(path), file=path)
    return 0
