"""`posetrail batch`: parses, calls, prints."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal
from unicodedata import category

from cyclopts import Parameter

from core.errors import InputError
from tracker.batch_progress import batch_progress
from tracker.cli import (
    INTERRUPTED,
    SOME_FAILED,
    Config,
    End,
    Follow,
    Networks,
    Online,
    Output,
    Preset,
    Progress,
    Save,
    See,
    Set,
    Start,
    Stride,
    Video,
    names_of_formats,
    stop_on_ctrl_c,
    way,
)
from tracker.progress import ProgressStyle
from tracker.settings import FollowSettings, NetworkSettings, SeeSettings, Settings

if TYPE_CHECKING:
    from eval_posetrack.clip import Clip
    from tracker.batch import Row, Table, Task, Watch
    from tracker.clip_list import ListedClip

Engine = Literal["local", "ray"]


def run_batch(
    clips: Sequence[ListedClip],
    task: Task,
    *,
    jobs: int = 1,
    shard: str | None = None,
    retry_failed: bool = False,
    engine: Engine = "local",
    address: str | None = None,
    cpus: float = 1,
    gpus: float = 0,
    progress: ProgressStyle = "auto",
    stopped: Callable[[], bool] = lambda: False,
    follow: Callable[..., Iterator[Row]] | None = None,
) -> Table:
    """Follow all clips, alone in the output folder, and write the table.

    Args:
        clips: all clips of the batch, of every shard.
        task: what to do with each.
        jobs: clips at a time.
        shard: "i/n", the part that is done here; its table is a file of its own.
        retry_failed: only clips that stand as failed in the table; they do so until a retry has come to its end.
        engine: processes of this machine, or Ray.
        address: of the Ray cluster.
        cpus: of a machine of the cluster that a clip takes.
        gpus: likewise; parts of one are shared.
        progress: how it is told.
        stopped: asked a few times a second.
        follow: instead of an engine's own function.

    Raises:
        InputError: another batch is at work there, all that is done was made with other settings, the networks cannot
            be loaded, or nothing can be written.
    """
    from tracker import batch
    from tracker.clip_list import of_shard

    if jobs < 1:
        raise InputError(f"--jobs: wanted 1 or more, got {jobs}")
    mine = of_shard(batch.in_segments(clips, task), shard)
    name = f"batch.{shard.replace('/', 'of')}" if shard else "batch"
    if retry_failed and not (task.output / f"{name}.csv").is_file():
        raise InputError(f"{task.output}: has no {name}.csv to tell what failed; leave out --retry-failed")
    with batch.locked(task.output, name):
        refuse_other_settings(clips, task)
        table = batch.Table(task.output / f"{name}.csv")
        table.keep_only(clip.name for clip in mine)
        failed = {clip for clip, row in table.rows.items() if row.status == "failed"}
        wanted = [clip for clip in mine if clip.name in failed or not retry_failed]
        run = follow or _engine(engine, address, cpus, gpus)
        with batch_progress(progress, len(wanted)) as watch:
            for row in run(wanted, task, jobs, watch, stopped=stopped):
                table.add(_told(row, retry_failed))
            # A worker of an earlier batch, killed just now, may still have been at a clip when its segments were seen.
            left = [clip for clip in clips if table.status(clip.name) == batch.SEEN and not shard and not stopped()]
            for row in run(left, task, jobs, watch, stopped=stopped) if left else ():
                table.add(_told(row, retry_failed))
        for clip in mine:
            table.rows.setdefault(clip.name, _not_begun(clip, retry_failed))
        table.write()
    return table


def refuse_other_settings(clips: Sequence[ListedClip], task: Task) -> None:
    """All that is done was made with other settings: a slip in the command, which would make new clips unlike the old.

    Where some clips agree, those that do not were meant to differ, and fail in their rows.

    Raises:
        InputError: that is so, and the task does not replace results.
    """
    if task.earlier != "continue":
        return
    changes = [_changed_settings(task.output / clip.name, task) for clip in clips]
    done = [each for each in changes if each is not None]
    if done and all(done):
        many = f"all {len(done)} clips begun here were" if len(done) > 1 else "the one clip begun here was"
        raise InputError(
            f"{task.output}: {many} made with other settings ({'; '.join(done[0])}); nothing was done: give those "
            "again, choose another output folder, or give --redo to replace what is there"
        )


def _changed_settings(folder: Path, task: Task) -> list[str] | None:
    """What is not as it was when the clip was begun; None if it was not."""
    from tracker import run_file
    from tracker.pose_log import read_pose_log

    try:
        header, _ = read_pose_log(folder / run_file.LOG)
        was = header.see_settings | header.made_of
        if (folder / run_file.RUN).is_file():
            was |= run_file.read(folder)["settings"].get("follow", {})
    except InputError:
        return None  # or it cannot be told; its row will
    rooms = run_file.plain(asdict(task.settings))
    wanted = {setting: value for room in rooms.values() for setting, value in room.items()}
    wanted |= {"start_s": task.start_s, "end_s": task.end_s, "stride": task.stride}
    wanted.pop("device")  # "auto" may be what it was
    return [
        f"{name} was {was[name]}, now {wanted[name]}" for name in wanted if wanted[name] != was.get(name, wanted[name])
    ]


def _told(row: Row, retry_failed: bool) -> Row:
    """A row as the table has it."""
    if retry_failed and row.status == "interrupted":  # or the same command, which takes what failed, would not go on
        row = replace(row, status="failed", warnings="stopped while it was tried again; the same command goes on")
    return replace(row, warnings=printable(row.warnings), input=printable(row.input))


def _not_begun(clip: ListedClip, retry_failed: bool) -> Row:
    from tracker.batch import Row

    left_out = "left out by --retry-failed; the same command without it begins it"
    said = left_out if retry_failed else "stopped before its turn; the same command begins it"
    return Row(clip=clip.name, status="not begun", warnings=said, input=printable(str(clip.path)))


def printable(text: str, encoding: str = "utf-8") -> str:
    """A path as tables and terminals take it: what they cannot - control characters, bytes that are no UTF-8 - escaped.

    >>> printable(os.fsdecode(b"clip\\xff\\n.mp4"))
    'clip\\\\udcff\\\\n.mp4'
    """
    escaped = (c.encode("unicode_escape").decode() if category(c) in ("Cc", "Zl", "Zp") else c for c in text)
    return "".join(escaped).encode(encoding, "backslashreplace").decode(encoding)


def _engine(engine: Engine, address: str | None, cpus: float, gpus: float) -> Callable[..., Iterator[Row]]:
    if engine == "ray":
        from tracker.cluster import follow_on_ray

        def on_ray(
            clips: Sequence[ListedClip], task: Task, jobs: int, watch: Watch, *, stopped: Callable[[], bool]
        ) -> Iterator[Row]:
            return follow_on_ray(clips, task, watch, address=address, cpus=cpus, gpus=gpus, stopped=stopped)

        return on_ray
    if address or (cpus, gpus) != (1, 0):
        raise InputError("--address, --cpus and --gpus go with --engine ray")
    from tracker.workers import follow_here

    return follow_here


def show(table: Table) -> None:
    """Print the rows, and how many ended how."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table as Printed

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


def summary(table: Table) -> str:
    """Like "12 clips: 10 complete, 1 damaged, 1 failed"."""
    counts = Counter(row.status for row in table.rows.values())
    return f"{len(table.rows)} clips: " + ", ".join(f"{count} {status}" for status, count in counts.most_common())


def listed(inputs: Sequence[str], output: Path) -> list[ListedClip]:
    """The clips of the arguments."""
    from tracker.clip_list import find_clips

    if not inputs:
        raise InputError("wanted clips, directories, globs or .txt lists of clips, got none")
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
    engine: Annotated[Engine, Parameter(help="local, or ray for the machines of a Ray cluster.")] = "local",
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
    see: See = SeeSettings(),
    follow: Follow = FollowSettings(),
) -> int:
    """Follow everybody in many clips. Stopped or killed, the same command goes on where it was."""
    from tracker.batch import FINE, Task
    from tracker.posetrack_set import annotations_of, listed_sequences

    task = Task(
        output=output,
        settings=Settings(networks=networks, see=see, follow=way(follow, online)),
        more_saves=names_of_formats(save),
        video=video,
        earlier="adapt" if redo else "continue",
        start_s=start,
        end_s=end,
        stride=stride,
        fps=fps,
        segment_s=segment_s,
    )
    truth = annotated(posetrack, split, inputs, whole=(start, end, stride) == (None, None, 1) and not shard)
    clips = listed_sequences(posetrack, truth) if posetrack else listed(inputs, output)
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
        show(table)
        if stopped():
            return INTERRUPTED
    fine = all(row.status in FINE for row in table.rows.values())
    if posetrack:
        fine = submit(output, annotations_of(posetrack, split), truth) and fine
    return 0 if fine else SOME_FAILED


def annotated(root: Path | None, split: str, inputs: Sequence[str], *, whole: bool) -> dict[str, Clip]:
    """The sequences of --posetrack; none without."""
    if root is None:
        return {}
    if inputs or not whole:
        raise InputError("--posetrack takes whole sequences: leave out INPUT, --start, --end, --stride and --shard")
    from tracker.posetrack_set import sequences

    return sequences(root, split)


def submit(output: Path, annotations: Path, truth: dict[str, Clip]) -> bool:
    """Write the submission, print every complaint and the score; whether there was nothing to complain of."""
    from rich.console import Console

    from eval_posetrack.evaluation import evaluate
    from eval_posetrack.tables import benchmark_tables
    from tracker.posetrack_set import SUBMISSION, ZIP, has_truth, write_submission

    complaints = write_submission(output, truth)
    for line in complaints:
        sys.stderr.write(f"posetrail: {line}\n")
    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(f"{output / ZIP}: {len(truth)} sequences", highlight=False, markup=False, soft_wrap=True)
    if has_truth(truth) and all((output / SUBMISSION / f"{name}.json").is_file() for name in truth):
        report = evaluate(annotations, output / SUBMISSION)
        for table in benchmark_tables({annotations.name: report}):
            console.print(table.to_rich())
    return not complaints
