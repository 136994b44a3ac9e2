"""`posetrail follow`: parses, calls, prints."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from posetrail.errors import InputError
from posetrail.paths import distinct_names
from tracker.cli.exit_codes import SOME_FAILED
from tracker.cli.flags import (
    Association,
    Config,
    Online,
    Preset,
    Progress,
    Set,
    format_names,
    in_out,
    online_or_offline,
    required_output,
)
from tracker.cli.outcome import print_outcome
from tracker.cli.printing import Printer
from tracker.settings import AssociationSettings


def follow_command(
    poses: Annotated[
        Path,
        in_out(
            "Folder of a run; or poses of another program: a PoseTrack .json, a folder of them, a .csv or .parquet "
            "table of joints, boxes in a MOTChallenge .txt, or a poses.arrow."
        ),
    ],
    *,
    output: Annotated[
        Path | None, in_out("Folder for the new tracks [default: that of the run].", name=["--output", "-o"])
    ] = None,
    fps: Annotated[
        float | None, in_out("Frame rate of poses without times, in frames per second [default: 30].")
    ] = None,
    save: Annotated[
        str, in_out("Further file formats as in `posetrail track`, besides those of the run.", show_default=False)
    ] = "",
    corrections: Annotated[
        bool,
        in_out("Honour what was corrected in the run (corrections.jsonl). With --no-corrections the file stays."),
    ] = True,
    carry_corrections: Annotated[
        bool,
        in_out(
            "After a run was tracked again: find the poses that its corrections name among the new ones.",
            negative=(),
            show_default=False,
        ),
    ] = False,
    online: Online = False,
    both: Annotated[
        bool,
        in_out(
            "Associate both online and offline, to OUTPUT/online and OUTPUT/offline, and print a table of differences.",
            negative=(),
            show_default=False,
        ),
    ] = False,
    ground_truth: Annotated[Path | None, in_out("PoseTrack file by which --both scores online and offline.")] = None,
    preset: Preset = "default",
    config: Config = None,
    set: Set = (),
    progress: Progress = "auto",
    association: Association = AssociationSettings(),
) -> int:
    """Assign track ids to existing poses, of a run or of another program. Needs neither the video nor a network.

    Ids in the input are ignored. Scores may have any range. What a person has corrected in the run holds.
    """
    from tracker.runs.follow import follow_poses

    more_formats, printer = format_names(save), Printer(as_json=progress == "json")
    if ground_truth and not both:
        raise InputError("--ground-truth goes with --both only; score other tracks by `posetrail eval`")
    if both:
        options = {"fps": fps, "more_formats": more_formats, "ground_truth": ground_truth}
        _follow_both(poses, association, required_output(output), printer, **options)
        return 0
    association = online_or_offline(association, online)
    clips = _clips_of_folder(poses)
    if not clips:
        outcome = follow_poses(
            poses,
            association,
            output=output,
            fps=fps,
            more_formats=more_formats,
            corrections=corrections,
            carry=carry_corrections,
        )
        print_outcome(outcome, printer)
        return 0
    folder, code = required_output(output), 0
    for name, file in clips.items():
        try:
            outcome = follow_poses(file, association, output=folder / name, fps=fps, more_formats=more_formats)
        except InputError as error:
            printer.warning(str(error))
            code = SOME_FAILED
        else:
            print_outcome(outcome, printer)
    return code


def _follow_both(poses: Path, association: AssociationSettings, output: Path, printer: Printer, **options: Any) -> None:
    from rich.console import Console

    from tracker.runs.comparison import follow_both

    outcomes, table = follow_both(poses, association, output, **options)
    for outcome in outcomes.values():
        print_outcome(outcome, printer)
    if printer.as_json:
        rows = [dict(zip(table.columns[1:], row[1:], strict=True)) for row in table.rows]
        printer.result(
            "", event="comparison", **{str(row[0]): each for row, each in zip(table.rows, rows, strict=True)}
        )
    else:
        Console().print(table.to_rich())


def _clips_of_folder(poses: Path) -> dict[str, Path]:
    """The PoseTrack files in a folder, by the name of each clip's output folder; empty for the folder of a run."""
    from tracker.runs.record import LOG, RUN

    is_run = (poses / RUN).is_file() or (poses / LOG).is_file()
    files = [] if is_run or not poses.is_dir() else sorted(poses.glob("*.json"))
    return dict(zip(distinct_names([file.stem for file in files]), files, strict=True))
