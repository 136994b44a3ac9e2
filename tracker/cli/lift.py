"""`posetrail lift`: parses, calls, prints."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from posetrail.errors import InputError
from tracker.cli.flags import ClipPath, Progress, Run, in_out
from tracker.cli.printing import Printer
from tracker.progress import progress as show_progress
from tracker.settings import Device
from tracker.signals import stop_on_ctrl_c


def lift_command(
    run: Run,
    *,
    model: Annotated[
        str, in_out("blazepose_full, which looks at the clip again, or a network that lifts 2-D joints (--weights).")
    ] = "blazepose_full",
    weights: Annotated[Path | None, in_out("File of the weights of a network that lifts 2-D joints.")] = None,
    height_m: Annotated[
        str | None,
        in_out(
            "Height of the people in metres, 1.78, or by track id, 1=1.78,2=1.65 [default: as the model sees them].",
        ),
    ] = None,
    focal_px: Annotated[
        float | None, in_out("Focal length in pixels [default: 1.15 times the longer side of the picture].")
    ] = None,
    fov: Annotated[float | None, in_out("Horizontal angle of view of the camera in degrees, instead.")] = None,
    floor: Annotated[
        bool,
        in_out(
            "Fit the floor under the feet: the axes are level then, and y is 0 on the floor.",
            negative=(),
            show_default=False,
        ),
    ] = False,
    parquet: Annotated[
        bool, in_out("Write tracks3d.parquet beside tracks3d.csv.", negative=(), show_default=False)
    ] = False,
    input: Annotated[
        ClipPath | None, in_out("The clip [default: the path in run.json]. Needed if the file was moved.")
    ] = None,
    device: Annotated[Device, in_out("Where the model runs.")] = "auto",
    threads: Annotated[int | None, in_out("Threads of the model on the CPU [default: one per core].")] = None,
    progress: Progress = "auto",
) -> int:
    """Lift the tracks of a run to 3-D joints in metres: tracks3d.csv, all people in one scene.

    run.json says what was assumed. `posetrail export RUN --to trc` writes files for OpenSim.
    """
    from tracker.runs.lift import lift

    printer = Printer(as_json=progress == "json")
    with stop_on_ctrl_c() as stopped, show_progress(progress, run.name, None) as on_frame:
        outcome = lift(
            run,
            model=model,
            weights=weights,
            height_m=_heights(height_m),
            focal_px=focal_px,
            fov_deg=fov,
            floor=floor,
            parquet=parquet,
            input=input,
            device=device,
            threads=threads,
            on_frame=on_frame,
            stopped=stopped,
        )
    for warning in outcome.warnings:
        printer.warning(warning)
    path = run / outcome.files[0]
    people = f"{len(outcome.tracks)} poses of {len(outcome.record.people)} people in 3-D"
    printer.result(f"{path}: {people}", file=path, people=len(outcome.record.people), poses=len(outcome.tracks))
    return stopped.code


def _heights(text: str | None) -> float | dict[int, float] | None:
    """One height, or heights by track id.

    Raises:
        InputError: the text has another form.
    """
    if text is None:
        return None
    try:
        if "=" not in text:
            return float(text)
        pairs = [pair.split("=") for pair in text.split(",") if pair.strip()]
        return {int(track_id): float(height) for track_id, height in pairs}
    except ValueError:
        raise InputError(f"--height-m: expected metres, 1.78, or 1=1.78,2=1.65 by track id, got {text!r}") from None
