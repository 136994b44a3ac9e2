"""`posetrail export`: parses, calls, prints."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from posetrail.errors import InputError
from tracker.cli.flags import ClipPath, Run, in_out
from tracker.cli.printing import Printer


def export_command(
    run: Run,
    *,
    to: Annotated[
        Literal[
            "posetrack",
            "coco",
            "csv",
            "trc",
            "c3d",
            "bvh",
            "npz",
            "vibe",
            "multiview",
            "pose2sim",
            "sleap",
            "dlc",
            "movement",
        ],
        in_out(
            "Format of the file: posetrack (2018), coco, csv (the columns of tracks.csv); sleap, dlc (DeepLabCut), "
            "movement; folders for vibe, multiview (4D association), pose2sim; after `posetrail lift` also trc, c3d, "
            "bvh, npz."
        ),
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
    persons: Annotated[
        str | None, in_out("Track ids of the people in a trc, c3d, bvh or npz file, such as 1,2 [default: all].")
    ] = None,
    output: Annotated[
        Path | None,
        in_out("The file or folder to write [default: export.* or ground_truth.* in RUN].", name=["--output", "-o"]),
    ] = None,
    images: Annotated[
        Path | None,
        in_out("Folder for the images of the labelled frames, with --ground-truth: data for `posetrail train`."),
    ] = None,
    input: Annotated[
        ClipPath | None, in_out("The clip, for --images [default: the path in run.json]. Needed if it was moved.")
    ] = None,
) -> int:
    """Write the tracks of a run, with its corrections, for other programs. Only --images needs the video.

    Files of 3-D joints have y up; trc and bvh hold one person each.
    """
    from tracker.runs.export import export_run
    from tracker.runs.export3d import FORMATS_3D, export_3d
    from tracker.runs.handover import HANDOVER_FORMATS, hand_over

    if to in (*FORMATS_3D, *HANDOVER_FORMATS) and (ground_truth or smoothed or images is not None):
        raise InputError(f"--ground-truth: expected --to posetrack, coco or csv beside it, got {to}")
    if to in FORMATS_3D:
        for path in export_3d(run, to, persons=_ids(persons), output=output):
            Printer().result(str(path), file=path)
        return 0
    if persons is not None:
        raise InputError(f"--persons: expected --to trc, c3d, bvh or npz beside it, got {to}")
    if to in HANDOVER_FORMATS:
        path = hand_over(run, to, output=output)
        Printer().result(str(path), file=path)
        return 0
    if smoothed and not ground_truth:
        raise InputError("--smoothed: expected --ground-truth beside it; exported tracks are as smooth as those of RUN")
    if images is not None and not ground_truth:
        raise InputError("--images: expected --ground-truth beside it; the images are those of the labelled frames")
    path = export_run(run, to, ground_truth=ground_truth, smoothed=smoothed, output=output, images=images, input=input)
    Printer().result(str(path), file=path)
    return 0


def _ids(text: str | None) -> tuple[int, ...]:
    try:
        return tuple(int(each) for each in (text or "").split(",") if each.strip())
    except ValueError:
        raise InputError(f"--persons: expected track ids such as 1,2, got {text!r}") from None
