"""Many clips to one folder of results each, under a lock of the output folder.

An engine tracks the clips and yields a row for each when it ends: processes on this machine (tracker/batch/workers.py)
or a Ray cluster (tracker/batch/cluster.py).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Literal

from posetrail.errors import InputError
from posetrail.files import digest
from posetrail.options import boxes_path
from tracker.batch.clip import Task, split_into_segments
from tracker.batch.clip_list import ListedClip, select_shard
from tracker.batch.progress import Watch, batch_progress
from tracker.batch.table import INFERRED, Row, Table, printable
from tracker.io.pose_log import read_pose_log
from tracker.progress import ProgressStyle
from tracker.runs.locks import batch_lock
from tracker.runs.record import LOG, RUN, read_record
from tracker.runs.resume import differences, plain, weights_files, without_paths

_log = logging.getLogger(__name__)

EngineName = Literal["local", "ray"]
Engine = Callable[..., Iterator[Row]]
"""A function of clips, task, jobs, watch and stopped=... that yields rows."""


def run_batch(
    clips: Sequence[ListedClip],
    task: Task,
    *,
    jobs: int = 1,
    shard: str | None = None,
    retry_failed: bool = False,
    engine: EngineName = "local",
    address: str | None = None,
    cpus: float = 1,
    gpus: float = 0,
    progress: ProgressStyle = "auto",
    stopped: Callable[[], bool] = lambda: False,
    run_clips: Engine | None = None,
) -> Table:
    """Track all clips and write the table, under a lock of the output folder.

    Args:
        clips: all clips of the batch, of every shard.
        task: what to do with each clip.
        jobs: number of processes on this machine.
        shard: "i/n": the part of the clips that is tracked here, with a table of its own.
        retry_failed: only clips that have the status failed in the table; they keep it until their retry ends.
        engine: processes on this machine, or Ray.
        address: of the Ray cluster.
        cpus: CPUs of the cluster for each clip.
        gpus: GPUs of the cluster for each clip; a fraction shares one.
        progress: how progress is shown.
        stopped: called a few times a second; once it is true, the batch ends.
        run_clips: replaces the function of the engine.

    Returns:
        The table, with a row for each clip.

    Raises:
        InputError: another batch uses the folder, all clips begun there have other settings, the networks cannot be
            loaded, or nothing can be written.
    """
    if jobs < 1:
        raise InputError(f"--jobs: expected 1 or more, got {jobs}")
    if task.segment_s is not None and not task.segment_s > 0:
        raise InputError(f"--segment-s: expected seconds, more than 0, got {task.segment_s}")
    mine = select_shard(split_into_segments(clips, task), shard)
    name = f"batch.{shard.replace('/', 'of')}" if shard else "batch"
    if retry_failed and not (task.output / f"{name}.csv").is_file():
        raise InputError(f"{task.output}: expected {name}.csv with failed clips, got none; leave out --retry-failed")
    _refuse_boxes_for_several_clips(clips, task)
    with batch_lock(task.output, name) as lock:
        _log.info("%s: %d clips, engine %s", task.output, len(mine), engine)
        refuse_other_settings(clips, task)
        table = Table(task.output / f"{name}.csv")
        table.keep_only(clip.name for clip in mine)
        failed = {clip for clip, row in table.rows.items() if row.status == "failed"}
        selected = [clip for clip in mine if clip.name in failed or not retry_failed]
        run = run_clips or _engine(engine, jobs, address, cpus, gpus)
        with batch_progress(progress, len(selected)) as watch:
            for row in run(selected, task, jobs, watch, stopped=stopped):
                lock.check()
                table.add(_table_row(row, retry_failed))
            if not shard and not stopped():
                for row in _associate_left(run, selected, task, jobs, watch, table, stopped):
                    lock.check()
                    table.add(_table_row(row, retry_failed))
        for clip in mine:
            table.rows.setdefault(clip.name, _pending(clip, retry_failed))
        table.write()
    return table


def _associate_left(
    run: Engine,
    selected: Sequence[ListedClip],
    task: Task,
    jobs: int,
    watch: Watch,
    table: Table,
    stopped: Callable[[], bool],
) -> Iterator[Row]:
    """Associate clips whose segments are all inferred, but were locked by a worker of a batch that was just killed."""
    left = {clip.name: replace(clip, segment=0) for clip in selected if table.status(clip.name) == INFERRED}
    return run(list(left.values()), task, jobs, watch, stopped=stopped) if left else iter(())


def _refuse_boxes_for_several_clips(clips: Sequence[ListedClip], task: Task) -> None:
    detector = task.settings.networks.detector
    names = {clip.name for clip in clips}
    if boxes_path(detector) and len(names) > 1:
        raise InputError(
            f"detector: {detector} has the boxes of one clip, got {len(names)} clips; run `posetrail track` for each"
        )


def refuse_other_settings(clips: Sequence[ListedClip], task: Task) -> None:
    """Refuse settings that differ from those of every clip begun so far, which suggests a mistake in the command.

    If some clips have the same settings, the others fail one by one in their rows.

    Raises:
        InputError: all clips differ, and the task does not replace results.
    """
    if task.if_exists != "continue":
        return
    weights = {setting: digest(path) for setting, path in weights_files(task.settings).items() if path.is_file()}
    changes = [_changed_settings(task.output / clip.name, task, weights) for clip in clips]
    done = [each for each in changes if each is not None]
    if done and all(done):
        many = f"all {len(done)} clips begun here were" if len(done) > 1 else "the one clip begun here was"
        raise InputError(
            f"{task.output}: {many} made with other settings ({'; '.join(done[0])}); nothing was done: give those "
            "again, choose another output folder, or give --redo to replace what is there"
        )


def _changed_settings(folder: Path, task: Task, weights: Mapping[str, str]) -> list[str] | None:
    """Differences from the settings with which the clip was begun; None if it was not begun.

    Args:
        folder: of the clip.
        task: the new settings.
        weights: sha256 of the files of weights that the new settings name, by setting.
    """
    try:
        header, _ = read_pose_log(folder / LOG)
        was = header.inference_settings | header.provenance
        if (folder / RUN).is_file():
            was |= read_record(folder).settings.association
    except InputError:
        return None  # an error is reported in the clip's row
    groups = plain(asdict(task.settings))
    now = {setting: value for group in groups.values() for setting, value in group.items()}
    now |= {"start_s": task.start_s, "end_s": task.end_s, "stride": task.stride}
    now.pop("device")  # "auto" may stand for the recorded one
    known = {model["sha256"] for model in header.models}
    others = {f"weights of {name}": sha256 for name, sha256 in weights.items() if sha256 not in known}
    if not others:  # the same content under other paths
        was, now = without_paths(was), without_paths(now)
    both = [name for name in now if name in was]
    changes = differences({name: was[name] for name in both}, {name: now[name] for name in both})
    return changes + [f"{name} were others than {sha256[:12]}" for name, sha256 in others.items()]


def _table_row(row: Row, retry_failed: bool) -> Row:
    """A row as it is written to the table."""
    if retry_failed and row.status == "interrupted":  # the same command continues failed clips only
        row = replace(row, status="failed", warnings="stopped during its retry; the same command continues it")
    return replace(row, warnings=printable(row.warnings), input=printable(row.input))


def _pending(clip: ListedClip, retry_failed: bool) -> Row:
    left_out = "left out by --retry-failed; the same command without it begins it"
    why = left_out if retry_failed else "stopped before its turn; the same command begins it"
    return Row(clip=clip.name, status="pending", warnings=why, input=printable(str(clip.path)))


def _engine(engine: EngineName, jobs: int, address: str | None, cpus: float, gpus: float) -> Engine:
    if engine == "ray":
        if jobs != 1:
            raise InputError(
                "--jobs: a Ray cluster tracks as many clips as its CPUs allow; leave it out, or see --cpus"
            )
        from tracker.batch.cluster import track_on_ray

        def on_ray(
            clips: Sequence[ListedClip], task: Task, jobs: int, watch: Watch, *, stopped: Callable[[], bool]
        ) -> Iterator[Row]:
            return track_on_ray(clips, task, watch, address=address, cpus=cpus, gpus=gpus, stopped=stopped)

        return on_ray
    if address or (cpus, gpus) != (1, 0):
        raise InputError("--address, --cpus, --gpus: expected --engine ray with them, got local; leave them out")
    from tracker.batch.workers import track_in_processes

    return track_in_processes
