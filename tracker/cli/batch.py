"""`posetrail batch`: parses, calls, prints."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from posetrail.errors import InputError
from posetrail.wording import counted
from tracker.cli.app import (
    SOME_FAILED,
    Association,
    Config,
    End,
    Inference,
    Networks,
    Online,
    Output,
    Preset,
    Progress,
    Save,
    Set,
    Start,
    Stride,
    Video,
    names_of_formats,
    way,
)
from tracker.cli.arguments import recorded
from tracker.cli.printing import Printer
from tracker.settings import AssociationSettings, InferenceSettings, NetworkSettings, Settings
from tracker.signals import stop_on_ctrl_c

if TYPE_CHECKING:
    from eval_posetrack.clip import Clip
    from tracker.batch.clip_list import ListedClip
    from tracker.batch.table import Table


def show(table: Table, printer: Printer) -> None:
    """Print the rows, and how many ended how; as JSON the latter alone, since each row was reported as it ended."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table as Printed

    from tracker.batch.table import counts, printable, summary

    if printer.as_json:
        printer.result("", table=printable(str(table.path)), counts=counts(table), summary=summary(table))
        return
    console = Console(width=None if sys.stdout.isatty() else 160)
    printed = Printed()
    printed.add_column("clip", overflow="fold")
    printed.add_column("status")
    for column in ("frames", "seconds", "people"):
        printed.add_column(column, justify="right")
    printed.add_column("warnings", overflow="fold")
    for _, row in sorted(table.rows.items()):
        printed.add_row(
            escape(printable(row.clip, console.encoding)),
            row.status,
            str(row.frames),
            f"{row.seconds:.1f}",
            str(row.people),
            escape(printable(row.warnings, console.encoding)),
        )
    console.print(printed)
    path = printable(str(table.path), console.encoding)
    console.print(f"{path}: {summary(table)}", highlight=False, markup=False, soft_wrap=True)


def listed(inputs: Sequence[str], output: Path) -> list[ListedClip]:
    """The clips of the arguments."""
    from tracker.batch.clip_list import find_clips

    if not inputs:
        raise InputError("expected clips, directories, globs or .txt lists of clips, got none")
    for each in inputs:
        recorded(each)  # a URL or a camera is none
    return find_clips(inputs, output)


def batch_command(
    *inputs: Annotated[str, Parameter(help="Video files, folders of images, directories of them, globs, .txt lists.")],
    output: Output = Path("posetrail_out"),
    jobs: Annotated[int, Parameter(name=["--jobs", "-j"], help="Clips at a time, in a process each.")] = 1,
    shard: Annotated[str | None, Parameter(help="i/n: only the i-th of n parts, for n machines.")] = None,
    retry_failed: Annotated[bool, Parameter(negative=(), help="Only the clips that failed last time.")] = False,
    posetrack: Annotated[
        Path | None, Parameter(help="Instead of INPUT: a PoseTrack data set, with annotations/ and images/ in it.")
    ] = None,
    split: Annotated[str, Parameter(help="Of the data set: val, test, ...")] = "val",
    segment_s: Annotated[
        float | None, Parameter(help="See longer clips in segments of so many seconds, side by side.")
    ] = None,
    redo: Annotated[
        bool, Parameter(negative=(), help="Replace results of other settings; what still fits is kept.")
    ] = False,
    engine: Annotated[
        Literal["local", "ray"], Parameter(help="local, or ray for the machines of a Ray cluster.")
    ] = "local",
    address: Annotated[
        str | None, Parameter(help="Of the Ray cluster; a new one on this machine if not given.")
    ] = None,
    cpus: Annotated[float, Parameter(help="Of a machine of the cluster that a clip takes.")] = 1,
    gpus: Annotated[float, Parameter(help="Likewise, where the networks run on CUDA; 0.5 is shared by two.")] = 0,
    video: Video = False,
    save: Save = "",
    start: Start = None,
    end: End = None,
    stride: Stride = 1,
    fps: Annotated[float | None, Parameter(help="Frames per second of folders of images [default: 30].")] = None,
    online: Online = False,
    preset: Preset = "default",
    config: Config = None,
    set: Set = (),
    progress: Progress = "auto",
    networks: Networks = NetworkSettings(),
    inference: Inference = InferenceSettings(),
    association: Association = AssociationSettings(),
) -> int:
    """Follow everybody in many clips. Stopped or killed, the same command goes on where it was."""
    from tracker.batch.batch import run_batch
    from tracker.batch.clip import Task
    from tracker.batch.posetrack_set import annotations_of, listed_sequences
    from tracker.batch.table import FINE

    task = Task(
        output=output,
        settings=Settings(networks=networks, inference=inference, association=way(association, online)),
        more_formats=names_of_formats(save),
        video=video,
        if_exists="adapt" if redo else "continue",
        start_s=start,
        end_s=end,
        stride=stride,
        fps=fps,
        segment_s=segment_s,
    )
    truth = annotated(posetrack, split, inputs, whole=(start, end, stride) == (None, None, 1))
    clips = listed_sequences(posetrack, truth) if posetrack else listed(inputs, output)
    printer = Printer(as_json=progress == "json")
    with stop_on_ctrl_c() as stopped:
        table = run_batch(
            clips,
            task,
            jobs=jobs,
            shard=shard,
            retry_failed=retry_failed,
            engine=engine,
            address=address,
            cpus=cpus,
            gpus=gpus,
            progress=progress,
            stopped=stopped,
        )
        show(table, printer)
        if stopped():
            return stopped.code
    fine = all(row.status in FINE for row in table.rows.values())
    if posetrack and not shard:
        fine = submit(output, annotations_of(posetrack, split), truth, printer) and fine
    return 0 if fine else SOME_FAILED


def annotated(root: Path | None, split: str, inputs: Sequence[str], *, whole: bool) -> dict[str, Clip]:
    """The sequences of --posetrack; none without."""
    if root is None:
        return {}
    if inputs or not whole:
        raise InputError("--posetrack takes whole sequences: leave out INPUT, --start, --end and --stride")
    from tracker.batch.posetrack_set import sequences

    return sequences(root, split)


def submit(output: Path, annotations: Path, truth: dict[str, Clip], printer: Printer) -> bool:
    """Write the submission, print every complaint and the score; whether there was nothing to complain of."""
    from rich.console import Console

    from eval_posetrack.evaluation import evaluate
    from eval_posetrack.tables import benchmark_tables
    from tracker.batch.posetrack_set import SUBMISSION, ZIP, has_ground_truth, write_submission

    complaints = write_submission(output, truth)
    for line in complaints:
        printer.warning(line)
    printer.result(
        f"{output / ZIP}: {counted(len(truth), 'sequence')}",
        event="submission",
        file=output / ZIP,
        sequences=len(truth),
    )
    if has_ground_truth(truth) and all((output / SUBMISSION / f"{name}.json").is_file() for name in truth):
        report = evaluate(annotations, output / SUBMISSION)
        if printer.as_json:
            printer.result("", event="scores", **report.to_json())
            return not complaints
        console = Console(width=None if sys.stdout.isatty() else 160)
        for table in benchmark_tables({annotations.name: report}):
            console.print(table.to_rich())
    return not complaints
