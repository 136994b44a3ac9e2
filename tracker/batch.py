"""Many clips, one folder of results each: what is done with one of them, and the table of all.

Who does it - processes of this machine (tracker/workers.py) or of several (tracker/cluster.py) - is another matter: all
of them call `follow_listed`, which never fails for what a clip may hold, and goes on with what it finds half done.
"""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Protocol

from filelock import FileLock, Timeout

from core.errors import InputError
from core.files import written_whole
from core.runtime import usable_cpus
from tracker.clip_list import ListedClip
from tracker.networks import Networks
from tracker.resume import Earlier
from tracker.run import OnFrame, track_to_folder
from tracker.settings import Settings
from tracker.video import Source, open_images, open_source
from tracker.writers import default_formats

TABLE = "batch.csv"
_LOCKS = ".posetrail"  # folder in the output
_CLIP_LOCK_S = 20.0  # a worker whose batch was killed notices at its next frame
_WRITE_TABLE_EVERY_S = 2.0


class Stopped(Exception):
    """Somebody asked for an end; what was seen is in the pose log."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is to be done with every clip."""

    output: Path
    settings: Settings
    more_saves: tuple[str, ...] = ()  # names in tracker.writers.WRITERS, besides those that suit the skeleton
    video: bool = False
    earlier: Earlier = "continue"
    start_s: float | None = None
    end_s: float | None = None
    stride: int = 1
    fps: float | None = None

    def open(self, listed: ListedClip) -> Source:
        """The clip, the part of it that is wanted."""
        part = {"start_s": self.start_s, "end_s": self.end_s, "stride": self.stride, "fps": self.fps}
        if listed.images:
            return open_images(listed.path, listed.images, listed.name, **part)  # type: ignore[arg-type]
        return open_source(listed.path, **part)  # type: ignore[arg-type]


@dataclass(frozen=True, kw_only=True)
class Row:
    """How it went with one clip."""

    clip: str  # name of its folder
    status: str  # complete, damaged (what could be read was followed), failed, interrupted
    frames: int = 0
    seconds: float = 0.0
    people: int = 0
    warnings: str = ""  # what went wrong, or is not as asked for; of several joined by "; "
    input: str = ""


class Watch(Protocol):
    """Told how a batch goes."""

    def opened(self, clip: str, total: int | None) -> None:
        """Work on a clip begins; it has so many frames, where that is known."""

    def advanced(self, clip: str, frames: int, people: int) -> None:
        """So many frames of it are done, with so many people in the last one."""

    def finished(self, row: Row) -> None:
        """Work on a clip has ended."""


def follow_listed(
    listed: ListedClip,
    networks: Networks,
    task: Task,
    *,
    on_open: Callable[[int | None], None] = lambda _: None,
    on_frame: OnFrame = lambda _: None,
) -> Row:
    """Follow one clip, or go on with it, or find that it is done. Whatever is wrong with the clip stands in the row.

    Args:
        listed: the clip.
        networks: opened with the task's settings.
        task: what is to be done.
        on_open: told the number of frames, where it is known.
        on_frame: told the number of people of each frame; may raise `Stopped`.
    """
    row = Row(clip=listed.name, status="failed", input=str(listed.path))
    started = time.perf_counter()
    try:
        with locked(task.output, listed.name, _CLIP_LOCK_S):
            source = task.open(listed)
            on_open(source.num_frames and source.num_frames * (2 if task.video else 1))  # seen, and drawn
            outcome = track_to_folder(
                source,
                task.output / listed.name,
                networks,
                task.settings,
                saves=(*default_formats(networks.estimator.skeleton), *task.more_saves),
                video=task.video,
                earlier=task.earlier,
                on_frame=on_frame,
                on_drawn=on_frame,
            )
    except Stopped:
        return replace(row, status="interrupted", warnings="stopped; the same command goes on")
    except (InputError, OSError, MemoryError) as error:
        return replace(row, seconds=time.perf_counter() - started, warnings=_one_line(error))
    except Exception as error:  # a fault of ours in one clip is no reason to lose the others
        return replace(row, seconds=time.perf_counter() - started, warnings=f"a fault of posetrail: {_one_line(error)}")
    return replace(
        row,
        status=outcome.status,
        frames=outcome.frames,
        seconds=outcome.seconds,
        people=outcome.people,
        warnings="; ".join(filter(None, (outcome.reason, *outcome.warnings))),
    )


def _one_line(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'output'}: {error.strerror}"
    text = " ".join(str(error).split())
    return text if isinstance(error, InputError) else f"{type(error).__name__}: {text}"


@contextmanager
def locked(output: Path, name: str, wait_s: float = 0.0) -> Iterator[None]:
    """Alone with a clip of an output folder, or with the batch of all; the lock of a process that died is free.

    Raises:
        InputError: another process has it.
    """
    folder = output / _LOCKS
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{output}: cannot be written to ({error.strerror}); choose another output folder") from None
    lock = FileLock(folder / f"{name}.lock", timeout=wait_s)
    try:
        lock.acquire()
    except Timeout:
        raise InputError(
            f"{output}: another posetrail is at work here ({name}); wait for its end, or share the work with --shard"
        ) from None
    except OSError as error:
        raise InputError(f"{output}: cannot be written to ({error.strerror}); choose another output folder") from None
    try:
        yield
    finally:
        lock.release()


def part_of_cpus(settings: Settings, jobs: int) -> Settings:
    """The same settings, the threads divided among so many workers where their number was left open."""
    if settings.networks.threads is not None:
        return settings
    return replace(settings, networks=replace(settings.networks, threads=max(1, usable_cpus() // jobs)))


# The table ------------------------------------------------------------------------------------------------------------


class Table:
    """batch.csv: a row for each clip, written anew every few seconds while there is news, whole at any time.

    Rows of clips that are not at work now are kept from the file as it was.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: dict[str, Row] = {row.clip: row for row in read_table(path)} if path.is_file() else {}
        self._written = 0.0

    def keep_only(self, clips: Iterable[str]) -> None:
        """Forget clips that are no longer asked for."""
        wanted = set(clips)
        self.rows = {clip: row for clip, row in self.rows.items() if clip in wanted}

    def add(self, row: Row) -> None:
        """A clip is done with."""
        self.rows[row.clip] = row
        if time.monotonic() - self._written > _WRITE_TABLE_EVERY_S:
            self.write()

    def write(self) -> None:
        """Write it, in the order of the names."""
        with written_whole(self.path) as beside, beside.open("w", encoding="utf-8", newline="") as file:
            table = csv.DictWriter(file, [field.name for field in fields(Row)], lineterminator="\n")
            table.writeheader()
            for clip in sorted(self.rows):
                row = self.rows[clip]
                table.writerow({**asdict(row), "seconds": f"{row.seconds:.2f}"})
        self._written = time.monotonic()


def read_table(path: Path) -> list[Row]:
    """The rows of a batch.csv.

    Raises:
        InputError: it cannot be read, or is none.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return [
                Row(
                    clip=row["clip"],
                    status=row["status"],
                    frames=int(row["frames"]),
                    seconds=float(row["seconds"]),
                    people=int(row["people"]),
                    warnings=row["warnings"],
                    input=row["input"],
                )
                for row in csv.DictReader(file)
            ]
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); run the batch first") from None
    except (KeyError, TypeError, ValueError, csv.Error):
        raise InputError(f"{path}: is no table of a batch; remove it and run the batch again") from None
