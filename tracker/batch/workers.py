"""Processes of this machine that track clips side by side, each with its own networks, loaded once.

Each talks with the batch through a pipe. A worker that dies takes one clip with it, and another one is started; one
that cannot load its networks takes none, and the others go on. A batch that dies, however, ends its workers: they find
the pipe closed at their next frame. Processes are spawned, not forked, because the threads of OpenCV and the runtimes
do not survive a fork.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import replace
from functools import partial
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

from posetrail.errors import InputError
from posetrail.runtime import usable_cpus
from tracker.batch import worker_process
from tracker.batch.clip import Stopped, Task, logs_folder, track_listed_clip
from tracker.batch.clip_list import ListedClip
from tracker.batch.progress import Watch
from tracker.batch.table import Row
from tracker.runs.networks import Networks, open_networks
from tracker.settings import Settings
from tracker.signals import signals_blocked

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

OpenNetworks = Callable[[Settings], AbstractContextManager[Networks]]

_POLL_S = 0.2  # how soon a request to stop is noticed
_TELL_EVERY_S = 0.1
_START_METHOD = "spawn"
_REPLACEMENTS = 2  # started in all for workers that were killed while loading


def track_in_processes(
    clips: Sequence[ListedClip],
    task: Task,
    jobs: int,
    watch: Watch,
    *,
    stopped: Callable[[], bool] = lambda: False,
    open_networks: OpenNetworks = open_networks,
    start_method: str = _START_METHOD,
) -> Iterator[Row]:
    """Track clips in `jobs` processes; a row for each as it ends.

    Args:
        clips: what to track, in this order.
        task: what to do with each.
        jobs: processes; the threads of each are its part of the CPUs.
        watch: called as it proceeds.
        stopped: asked a few times a second; once true, every clip at work ends as interrupted, and no other begins.
        open_networks: loads them; can be sent to another process.
        start_method: of multiprocessing.

    Raises:
        InputError: not one worker could load the networks; the text says why.
    """
    context = multiprocessing.get_context(start_method)
    jobs = max(1, min(jobs, len(clips)))
    work = pickle.dumps(
        partial(_work, task=task, settings=part_of_cpus(task.settings, jobs), open_networks=open_networks)
    )
    log_folder = logs_folder(task.output)
    waiting = deque(clips)
    loading = _Loading(watch)
    workers = {_Worker(context, log_folder, work) for _ in range(jobs if waiting else 0)}
    try:
        while workers:
            if stopped():
                waiting.clear()
                for worker in workers:
                    worker.stop()
            ready = wait([worker.pipe for worker in workers], _POLL_S)
            for worker in [worker for worker in workers if worker.pipe in ready]:
                if row := worker.hear(watch):
                    yield row
                loading.learn(worker)
                if worker.is_gone:
                    workers.remove(worker)
                    if waiting and loading.replaces(worker):
                        workers.add(_Worker(context, log_folder, work))
                elif worker.is_free and not waiting:
                    worker.dismiss()
                    workers.remove(worker)
                elif worker.is_free:
                    worker.give(waiting.popleft())
    finally:
        for worker in workers:
            worker.end()
    if waiting and not loading.has_succeeded:
        raise InputError(loading.trouble)
    for clip in waiting:
        yield _left(clip, loading.trouble, watch)


class _Loading:
    """Whether any worker could load its networks, and what kept others from it."""

    def __init__(self, watch: Watch) -> None:
        self.has_succeeded = False
        self.trouble = ""  # the latest, in one line
        self._unreported: list[str] = []
        self._watch = watch
        self._replacements = _REPLACEMENTS

    def learn(self, worker: _Worker) -> None:
        """Take in how a worker is; trouble is no more than a warning where the batch can go on."""
        self.has_succeeded |= worker.has_loaded
        if worker.is_gone and worker.unusable:
            self.trouble = worker.unusable
            self._unreported.append(worker.unusable)
        if self.has_succeeded:
            for text in dict.fromkeys(self._unreported):
                self._watch.warn(f"{text}; the batch goes on with the workers it has")
            self._unreported.clear()

    def replaces(self, worker: _Worker) -> bool:
        """Whether another worker is to take the place of one that is gone.

        One that was killed while it loaded may have been unlucky; an exception would be the same again.
        """
        if worker.has_loaded:
            return True
        self._replacements -= worker.was_killed
        return worker.was_killed and self._replacements >= 0


def _left(clip: ListedClip, trouble: str, watch: Watch) -> Row:
    """The row of a clip for which no worker is left."""
    why = f"no worker was left to begin it ({trouble}); the same command begins it"
    row = Row(clip=clip.name, status="pending", warnings=why, input=str(clip.path))
    watch.finished(clip.label, row)
    return row


def part_of_cpus(settings: Settings, jobs: int) -> Settings:
    """The same settings, the threads divided among so many workers where their number was left open."""
    if settings.networks.threads is not None:
        return settings
    return replace(settings, networks=replace(settings.networks, threads=max(1, usable_cpus() // jobs)))


class _Worker:
    """A process as the batch sees it."""

    def __init__(self, context: Any, log_folder: Path, work: bytes) -> None:
        try:
            handle, log = tempfile.mkstemp(prefix="worker-", suffix=".log", dir=log_folder)
        except OSError as error:  # such as a folder that was taken away meanwhile
            raise InputError(f"{log_folder}: cannot be written to ({error.strerror}); give the command again") from None
        os.close(handle)
        self._log = Path(log)
        self.pipe, other_end = context.Pipe()
        self._process: BaseProcess = context.Process(
            target=worker_process.run, args=(other_end, self.pipe, log, work), daemon=True
        )
        with signals_blocked():
            self._process.start()
        other_end.close()
        self._clip: ListedClip | None = None
        self._is_asked = False
        self.is_free = self.is_gone = self.has_loaded = self.was_killed = False
        self.unusable = ""  # why it ended without a clip, in one line

    def give(self, clip: ListedClip) -> None:
        self._clip, self.is_free = clip, False
        self._send(clip)

    def stop(self) -> None:
        """Ask it to end its clip; without one there is nothing to keep."""
        if self._is_asked:
            return
        self._is_asked = True
        if self._clip is None:
            self._process.kill()
        else:
            self._send(None)

    def hear(self, watch: Watch) -> Row | None:
        """Take a message of the process; a row when it is done with a clip."""
        label = self._clip.label if self._clip else ""
        row: Row | None = None
        try:
            kind, *content = self.pipe.recv()
        except (EOFError, OSError):
            kind, row = "lost", self._lost()
        if kind == "unusable":
            row = self._failed(f"its worker ended: {content[0]}") if self._clip else None
            self.unusable = content[0]
            self._leave()
        elif kind == "opened":
            watch.opened(label, content[0])
        elif kind == "advanced":
            watch.advanced(label, *content)
        elif kind == "free":
            self.is_free = self.has_loaded = True
        elif kind == "row":
            self._clip, self.is_free, row = None, True, content[0]
        if row:
            watch.finished(label, row)
        return row

    def _lost(self) -> Row | None:
        self._leave(keep_log=True)
        died = f"died ({_cause_of_death(self._process.exitcode)}{_last_line(self._log)})"
        if self._clip is not None:
            return self._failed(f"its worker {died}; the same command goes on with it")
        if not self._is_asked:
            self.was_killed = True
            self.unusable = f"a worker {died} while it loaded the networks"
        return None

    def _failed(self, why: str) -> Row:
        assert self._clip is not None
        return Row(clip=self._clip.name, status="failed", warnings=why, input=str(self._clip.path))

    def dismiss(self) -> None:
        """Let it end: it has no clip, and no other is waiting."""
        self._send(None)
        self._leave()

    def end(self) -> None:
        """End it at once; a clip at work can be gone on with."""
        self._process.kill()  # it ignores the signals that ask
        self._leave()

    def _leave(self, *, keep_log: bool = False) -> None:
        self.is_gone = True
        self._process.join()
        self.pipe.close()
        with suppress(OSError):  # the folder may have been taken away
            if not keep_log or not self._log.stat().st_size:
                self._log.unlink()

    def _send(self, message: ListedClip | None) -> None:
        with suppress(OSError):  # it has died, which `hear` finds out
            self.pipe.send(message)


def _last_line(log: Path) -> str:
    """What a worker last wrote to stderr, and where the rest is; empty if nothing."""
    try:
        lines = log.read_text(encoding="utf-8", errors="backslashreplace").split("\n")
    except OSError:
        return ""
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return f": {last}; all it wrote is in {log}" if last else ""


def _cause_of_death(code: int | None) -> str:
    if code is None or code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name + (", as when memory runs out" if -code == signal.SIGKILL else "")
    except ValueError:
        return f"signal {-code}"


# In the other process -------------------------------------------------------------------------------------------------


def _work(pipe: Connection, *, task: Task, settings: Settings, open_networks: OpenNetworks) -> None:
    """Track the clips that come through the pipe, until None comes or the batch is gone."""
    divide_threads(settings.networks.threads or 1)
    with ExitStack() as loaded:
        networks = loaded.enter_context(open_networks(settings))
        pipe.send(("free",))
        while (clip := pipe.recv()) is not None:
            row = track_listed_clip(
                clip,
                networks,
                task,
                on_open=lambda total: pipe.send(("opened", total)),
                on_frame=_Teller(pipe),
            )
            pipe.send(("row", row))


def divide_threads(threads: int) -> None:
    """Let no library of this process take more than its part of the CPUs."""
    import cv2

    os.environ["OMP_NUM_THREADS"] = str(threads)  # read by torch, which is not imported yet
    cv2.setNumThreads(threads)


class _Teller:
    """Reports now and then how far a clip is, and ends it when asked to, or when the batch is gone."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._frames = 0
        self._reported = 0.0

    def __call__(self, people: int) -> None:
        self._frames += 1
        if self._pipe.poll():  # only a request to stop comes now, or the end of the pipe
            raise Stopped
        if time.monotonic() - self._reported >= _TELL_EVERY_S:
            self._reported = time.monotonic()
            self._pipe.send(("advanced", self._frames, people))
