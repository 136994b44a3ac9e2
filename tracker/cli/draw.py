"""`posetrail draw`: parses, calls, prints."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tracker.cli.flags import ClipPath, Drawing, End, Progress, Run, Start, in_out
from tracker.cli.printing import Printer
from tracker.draw_settings import DrawSettings
from tracker.progress import progress as show_progress
from tracker.signals import stop_on_ctrl_c


def draw_command(
    run: Run,
    *,
    input: Annotated[
        ClipPath | None, in_out("The clip [default: the path in run.json]. Needed if the file was moved.")
    ] = None,
    output: Annotated[
        Path | None, in_out("The video to write, .mp4 or .gif [default: video.mp4 in RUN].", name=["--output", "-o"])
    ] = None,
    start: Start = None,
    end: End = None,
    jobs: Annotated[
        int,
        in_out(
            "Number of processes that draw. One process keeps two cores busy; with more cores, more are faster.",
            name=["--jobs", "-j"],
        ),
    ] = 1,
    progress: Progress = "auto",
    settings: Drawing = DrawSettings(),
) -> int:
    """Draw the tracks of a run on its clip: skeletons coloured by track id, to an MP4 file or a GIF."""
    from tracker.runs.draw import draw_run

    printer = Printer(as_json=progress == "json")
    with stop_on_ctrl_c() as stopped, show_progress(progress, run.name, None) as on_frame:
        path = draw_run(
            run,
            input=input,
            output=output,
            start_s=start,
            end_s=end,
            settings=settings,
            jobs=jobs,
            on_frame=on_frame,
            on_note=printer.warning,
            stopped=stopped,
        )
    printer.result(str(path), file=path)
    return stopped.code
