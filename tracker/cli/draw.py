"""`posetrail draw`: parses, calls, prints."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tracker.cli.flags import ClipPath, Progress, Run, in_out
from tracker.cli.printing import Printer
from tracker.progress import progress as show_progress
from tracker.signals import stop_on_ctrl_c


def draw_command(
    run: Run,
    *,
    input: Annotated[
        ClipPath | None, in_out("The clip [default: the path in run.json]. Needed if the file was moved.")
    ] = None,
    output: Annotated[
        Path | None, in_out("The video to write [default: video.mp4 in RUN].", name=["--output", "-o"])
    ] = None,
    jobs: Annotated[
        int,
        in_out(
            "Number of processes that draw. One process keeps two cores busy; with more cores, more are faster.",
            name=["--jobs", "-j"],
        ),
    ] = 1,
    progress: Progress = "auto",
) -> int:
    """Draw the tracks of a run on its clip: skeletons coloured by track id."""
    from tracker.runs.draw import draw_run

    printer = Printer(as_json=progress == "json")
    with stop_on_ctrl_c() as stopped, show_progress(progress, run.name, None) as on_frame:
        path = draw_run(
            run, input=input, output=output, jobs=jobs, on_frame=on_frame, on_note=printer.warning, stopped=stopped
        )
    printer.result(str(path), file=path)
    return stopped.code
