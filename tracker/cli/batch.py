"""`posetrail batch`: parses, calls, prints."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from posetrail.errors import InputError
from posetrail.wording import counted
from tracker.batch import MOTA_JOINT_SCORE
from tracker.cli.arguments import clip_path
from tracker.cli.exit_codes import SOME_FAILED
from tracker.cli.flags import (
    Association,
    Config,
    End,
    Fps,
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
    distribution,
    format_names,
    in_out,
    online_or_offline,
)
from tracker.cli.printing import Printer
from tracker.settings import AssociationSettings, InferenceSettings, NetworkSettings, Settings
from tracker.signals import stop_on_ctrl_c

if TYPE_CHECKING:
    from eval_posetrack.formats.clip import Clip
    from tracker.batch.clip_list import ListedClip
    from tracker.batch.table import Table


def show(table: Table, printer: Printer) -> None:
    """Print the rows and the counts by status; as JSON only the counts, since each row was printed as it ended."""
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
    """The clips that the arguments name."""
    from tracker.batch.clip_list import find_clips

    if not inputs:
        raise InputError("batch: expected clips, directories, quoted globs or .txt lists of clips, got none")
    for each in inputs:
        clip_path(each)  # refuses URLs and cameras
    return find_clips(inputs, output)


def batch_command(
    *inputs: Annotated[
        str,
        in_out("Video files, folders of images, directories that contain them, quoted globs, or .txt lists of paths."),
    ],
    output: Output = Path("posetrail_out"),
    jobs: Annotated[
        int, distribution("Number of processes; each tracks one clip at a time.", name=["--jobs", "-j"])
    ] = 1,
    shard: Annotated[
        str | None, distribution("I/N: track only every N-th clip, from the I-th on, for job arrays on N machines.")
    ] = None,
    retry_failed: Annotated[
        bool, in_out("Only the clips that batch.csv lists as failed.", negative=(), show_default=False)
    ] = False,
    posetrack: Annotated[
        Path | None,
        in_out(
            "PoseTrack data set, with annotations/ and images/ in it, instead of INPUTS. Also writes submission/, for "
            "AP, and submission_mota/, for MOTA."
        ),
    ] = None,
    split: Annotated[str, in_out("Split of the PoseTrack data set: val, test, ...")] = "val",
    mota_joint_score: Annotated[
        float,
        in_out(
            "With --posetrack: joints with a lower score are left out of submission_mota/ (0..1). submission/ has all "
            "joints of the runs."
        ),
    ] = MOTA_JOINT_SCORE,
    segment_s: Annotated[
        float | None,
        distribution(
            "Divide longer clips into segments of about this length, in seconds, whose inference runs in parallel; "
            "association joins them."
        ),
    ] = None,
    redo: Annotated[
        bool,
        in_out(
            "Replace results of other settings or another clip; keep what is still valid.",
            negative=(),
            show_default=False,
        ),
    ] = False,
    engine: Annotated[Literal["local", "ray"], distribution("local processes, or tasks on a Ray cluster.")] = "local",
    address: Annotated[
        str | None, distribution("Address of the Ray cluster [default: a new one on this machine].")
    ] = None,
    cpus: Annotated[float, distribution("CPUs reserved for each Ray task.")] = 1,
    gpus: Annotated[
        float, distribution("GPUs reserved for each Ray task, for networks on CUDA; 0.5 lets two tasks share one.")
    ] = 0,
    video: Video = False,
    save: Save = "",
    start: Start = None,
    end: End = None,
    stride: Stride = 1,
    fps: Fps = None,
    online: Online = False,
    preset: Preset = "default",
    config: Config = None,
    set: Set = (),
    progress: Progress = "auto",
    networks: Networks = NetworkSettings(),
    inference: Inference = InferenceSettings(),
    association: Association = AssociationSettings(),
) -> int:
    """Track many clips, on one machine or several. The same command again resumes what was interrupted.

    A clip that fails does not stop the others; OUTPUT/batch.csv has a row for each.
    """
    from tracker.batch.batch import run_batch
    from tracker.batch.clip import Task
    from tracker.batch.posetrack_set import annotations_of, listed_sequences
    from tracker.batch.table import FINE

    task = Task(
        output=output,
        settings=Settings(networks=networks, inference=inference, association=online_or_offline(association, online)),
        more_formats=format_names(save),
        video=video,
        if_exists="adapt" if redo else "continue",
        start_s=start,
        end_s=end,
        stride=stride,
        fps=fps,
        segment_s=segment_s,
    )
    if not 0 <= mota_joint_score <= 1:
        raise InputError(
            f"mota_joint_score: expected a score from 0 to 1, got {mota_joint_score:g}; 0 keeps all joints"
        )
    ground_truth = annotated(posetrack, split, inputs, whole=(start, end, stride) == (None, None, 1))
    clips = listed_sequences(posetrack, ground_truth) if posetrack else listed(inputs, output)
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
    all_fine = all(row.status in FINE for row in table.rows.values())
    if posetrack and not shard:
        is_right = submit(
            output,
            annotations_of(posetrack, split),
            ground_truth,
            printer,
            mota_joint_score=mota_joint_score,
            min_output_joint_score=association.min_output_joint_score,
        )
        all_fine = all_fine and is_right
    return 0 if all_fine else SOME_FAILED


def annotated(root: Path | None, split: str, inputs: Sequence[str], *, whole: bool) -> dict[str, Clip]:
    """The sequences of --posetrack; empty without it."""
    if root is None:
        return {}
    if inputs or not whole:
        raise InputError("--posetrack: expected whole sequences; leave out INPUTS, --start, --end and --stride")
    from tracker.batch.posetrack_set import sequences

    return sequences(root, split)


def submit(
    output: Path,
    annotations: Path,
    ground_truth: dict[str, Clip],
    printer: Printer,
    *,
    mota_joint_score: float = MOTA_JOINT_SCORE,
    min_output_joint_score: float = 0.0,
) -> bool:
    """Write the submissions; print their errors, and the scores where there are annotations.

    Args:
        output: folder of the batch.
        annotations: folder of the split's annotations.
        ground_truth: the sequences in it by name.
        printer: prints.
        mota_joint_score: joints with a lower score are left out of submission_mota/.
        min_output_joint_score: of the runs; above 0, a warning says that submission/ lacks joints.

    Returns:
        whether the submissions have no errors.
    """
    from rich.console import Console

    from eval_posetrack.evaluation import evaluate
    from eval_posetrack.reports.tables import benchmark_tables
    from tracker.batch.posetrack_set import (
        MOTA_SUBMISSION,
        SUBMISSION,
        has_ground_truth,
        write_submissions,
        zip_of,
    )

    errors = write_submissions(output, ground_truth, mota_joint_score=mota_joint_score)
    for line in errors:
        printer.warning(line)
    if min_output_joint_score > 0:
        printer.warning(
            f"min_output_joint_score: expected 0 for {SUBMISSION}/, got {min_output_joint_score:g}; joints with a "
            "lower score are missing there, which lowers AP; --min-output-joint-score 0 --redo writes all"
        )
    kinds = {SUBMISSION: "all joints, for AP", MOTA_SUBMISSION: f"joints from score {mota_joint_score:g} on, for MOTA"}
    for name, joints in kinds.items():
        file = zip_of(output / name)
        text = f"{file}: {counted(len(ground_truth), 'sequence')}, {joints}"
        printer.result(text, event="submission", file=file, sequences=len(ground_truth))
    if has_ground_truth(ground_truth) and all(
        (output / SUBMISSION / f"{name}.json").is_file() for name in ground_truth
    ):
        reports = {name: evaluate(annotations, output / name) for name in kinds}
        if printer.as_json:
            for name, report in reports.items():
                printer.result("", event="scores", submission=name, **report.to_json())
            return not errors
        console = Console(width=None if sys.stdout.isatty() else 160)
        for table in benchmark_tables(reports):
            console.print(table.to_rich())
    return not errors
