"""`posetrail angles`: parses, calls, prints."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Group, Parameter

from tracker.cli.flags import Run, in_out
from tracker.cli.printing import Printer
from tracker.lifting.angle_settings import AngleSettings

Angles = Annotated[AngleSettings, Parameter(name="*", group=Group("Angles and speeds", sort_key=4))]


def angles_command(
    run: Run,
    *,
    source: Annotated[
        Literal["auto", "2d", "3d"],
        in_out(
            "Joints to use: 2d (in the picture) or 3d (of tracks3d.csv). auto is 3d if the run has 3-D tracks that are "
            "not stale and neither --height-m nor --facing is given.",
            name="--from",
        ),
    ] = "auto",
    save: Annotated[
        Literal["csv", "parquet"], in_out("Also write angles.parquet. angles.csv is always written.")
    ] = "csv",
    figure: Annotated[
        Literal["png", "svg", "none"], in_out("Format of the figures, one for each person; they need matplotlib.")
    ] = "png",
    settings: Angles = AngleSettings(),
) -> int:
    """Compute joint and segment angles and speeds of the people of a run, with its corrections.

    Writes angles.csv and a figure of each person in RUN, and what was assumed to run.json. Needs neither the video nor
    a network.
    """
    from tracker.runs.angles import write_angles

    printer = Printer()
    for path in write_angles(
        run, settings, source=source, parquet=save == "parquet", figure=figure, on_note=printer.warning
    ):
        printer.result(str(path), file=path)
    return 0
