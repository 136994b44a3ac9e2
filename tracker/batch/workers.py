"""Worker processes on this machine that track clips side by side, each with its own networks, loaded once.

Each worker exchanges messages with the batch through a pipe. If a worker dies, its clip fails and another worker is
started; if a worker cannot load its networks, the others continue. If the batch dies, its workers find the pipe closed
at their next frame and end. Processes are spawned, not forked, because the threads of OpenCV and of the runtimes do not
survive a fork.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
import signal
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

from posetrail.errors import InputError
from posetrail.runtime import usable_cpus
from tracker.batch import worker_process
from tracker.batch.clip import OpenNetworks, Stopped, Task, logs_folder, track_listed_clip
from tracker.batch.clip_list import ListedClip
from tracker.batch.progress import Watch
from tracker.batch.table import Row
from tracker.runs.networks import open_networks
from tracker.settings import Settings
from tracker.signals import signals_blocked

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

_logger = logging.getLogger(__name__)

_POLL_S = 0.2  # a request to stop is noticed so soon
_REPORT_EVERY_S = 0.1
_START_METHOD = "spawn"
_REPLACEMENTS = 2  # of workers that were killed while loading, for all of them together


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
    """Track clips in worker processes.

    Args:
        clips: clips to track, in this order.
        task: what to do with each clip.
        jobs: number of processes; they share the CPUs.
        watch: called as the batch proceeds.
        stopped: called a few times a second; once it is true, clips in progress end as interrupted and no other begins.
        open_networks: loads the networks; must be picklable.
        start_method: of multiprocessing.

    Yields:
        A row for each clip when it ends.

    Raises:
        InputError: no worker could load the networks; the text has the reason.
    """
    context = multiprocessing.get_context(start_method)
    jobs = max(1, min(jobs, len(clips)))
    work = pickle.dumps(
        partial(_work, task=task, settings=part_of_cpus(task.settings, jobs), open_networks=open_networks)
    )
    log_folder = logs_folder(task.output)
    waiting = deque(clips)
    loading = _Loading(watch)
    workers: set[_Worker] = set()
    try:
        for _ in range(jobs if waiting else 0):
            workers.add(_Worker(context, log_folder, work))
        while workers:
            if stopped():
                waiting.clear()
                for worker in workers:
                    worker.stop()
            ready = wait([worker.pipe for worker in workers], _POLL_S)
            for worker in [worker for worker in workers if worker.pipe in ready]:
                if row := worker.receive(watch):
                    yield row
                loading.update(worker)
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
        raise InputError(loading.error)
    for clip in waiting:
        yield _unstarted(clip, loading.error, watch)


class _Loading:
    """Keeps track of which workers could load their networks."""

    def __init__(self, watch: Watch) -> None:
        self.has_succeeded = False
        self.error = ""  # of the last worker that could not, in one line
        self._unreported: list[str] = []
        self._watch = watch
        self._replacements = _REPLACEMENTS

    def update(self, worker: _Worker) -> None:
        """Take over the state of a worker; its error is a warning if the batch can continue with other workers."""
        self.has_succeeded |= worker.has_loaded
        if worker.is_gone and worker.unusable:
            self.error = worker.unusable
            self._unreported.append(worker.unusable)
        if self.has_succeeded:
            for text in dict.fromkeys(self._unreported):
                self._watch.warn(f"{text}; the batch continues with the workers it has")
            self._unreported.clear()

    def replaces(self, worker: _Worker) -> bool:
        """Whether to start another worker in place of one that has ended.

        A worker that was killed while it loaded is replaced; one that failed by an exception would fail again.
        """
        if worker.has_loaded:
            return True
        self._replacements -= worker.was_killed
        return worker.was_killed and self._replacements >= 0


def _unstarted(clip: ListedClip, error: str, watch: Watch) -> Row:
    """The row of a clip for which no worker is left."""
    why = f"no worker was left to begin it ({error}); the same command begins it"
    row = Row(clip=clip.name, status="pending", warnings=why, input=str(clip.path))
    watch.finished(clip.label, row)
    return row


def part_of_cpus(settings: Settings, jobs: int) -> Settings:
    """The same settings; if they leave the number of threads open, an equal share of the CPUs for each worker."""
    if settings.networks.threads is not None:
        return settings
    return replace(settings, networks=replace(settings.networks, threads=max(1, usable_cpus() // jobs)))


class _Worker:
    """A worker process, seen from the batch."""

    def __init__(self, context: Any, log_folder: Path, work: bytes) -> None:
        try:
            handle, log = tempfile.mkstemp(prefix="worker-", suffix=".log", dir=log_folder)
        except OSError as error:  # the folder was removed meanwhile
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
        _logger.debug("worker %s started, its log is %s", self._process.pid, log)
        self._clip: ListedClip | None = None
        self._is_asked = False
        self.is_free = self.is_gone = self.has_loaded = self.was_killed = False
        self.unusable = ""  # why it ended without a clip, in one line

    def give(self, clip: ListedClip) -> None:
        """Let it track a clip."""
        self._clip, self.is_free = clip, False
        self._send(clip)

    def stop(self) -> None:
        """Ask it to end its clip; kill it if it has none."""
        if self._is_asked:
            return
        self._is_asked = True
        if self._clip is None:
            self._process.kill()
        else:
            self._send(None)

    def receive(self, watch: Watch) -> Row | None:
        """Receive a message of the process; returns a row if a clip has ended."""
        label = self._clip.label if self._clip else ""
        row: Row | None = None
        try:
            kind, *content = self.pipe.recv()
        except (EOFError, OSError):
            kind, row = "lost", self._lost()
        if kind == "unusable":
            text, is_internal = content
            self.unusable = f"{text}; its traceback is in {self._log}" if is_internal else text
            row = self._failed(f"its worker ended: {self.unusable}", has_log=is_internal) if self._clip else None
            _logger.warning("worker %s ended: %s", self._process.pid, self.unusable)
            self._leave(keep_log=is_internal)
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
        last_line = _last_line(self._log)
        died = f"died ({_cause_of_death(self._process.exitcode)}{last_line})"
        _logger.warning("worker %s %s", self._process.pid, died)
        if self._clip is not None:
            return self._failed(f"its worker {died}; the same command continues it", has_log=bool(last_line))
        if not self._is_asked:
            self.was_killed = True
            self.unusable = f"a worker {died} while it loaded the networks"
        return None

    def _failed(self, why: str, *, has_log: bool) -> Row:
        assert self._clip is not None
        log = str(self._log) if has_log else ""
        return Row(clip=self._clip.name, status="failed", warnings=why, input=str(self._clip.path), log=log)

    def dismiss(self) -> None:
        """Let it end; it has no clip, and no other is waiting."""
        self._send(None)
        self._leave()

    def end(self) -> None:
        """End it at once; its clip can be continued."""
        self._process.kill()  # it ignores SIGINT and SIGTERM
        self._leave()

    def _leave(self, *, keep_log: bool = False) -> None:
        self.is_gone = True
        self._process.join()
        self.pipe.close()
        with suppress(OSError):  # the folder may have been removed
            if not keep_log or not self._log.stat().st_size:
                self._log.unlink()

    def _send(self, message: ListedClip | None) -> None:
        with suppress(OSError):  # it has died, which `receive` finds out
            self.pipe.send(message)


def _last_line(log: Path) -> str:
    """The last line that a worker wrote to stderr, and where the rest is; empty if it wrote nothing."""
    try:
        lines = log.read_text(encoding="utf-8", errors="backslashreplace").split("\n")
    except OSError:
        return ""
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return f": {last}; its whole output is in {log}" if last else ""


def _cause_of_death(code: int | None) -> str:
    if code is None or code >= 0:
        return f"exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
    return f"{name}, as when memory runs out" if name == "SIGKILL" else name  # Windows has no SIGKILL


# In the other process -------------------------------------------------------------------------------------------------


def _work(pipe: Connection, *, task: Task, settings: Settings, open_networks: OpenNetworks) -> None:
    """Track the clips that are received, until None is received or the pipe is closed."""
    worker_process.divide_threads(settings.networks.threads or 1)
    with ExitStack() as loaded:
        networks = loaded.enter_context(open_networks(settings))
        pipe.send(("free",))
        while (clip := pipe.recv()) is not None:
            row = track_listed_clip(
                clip,
                networks,
                task,
                on_open=lambda total: pipe.send(("opened", total)),
                on_frame=_Reporter(pipe),
            )
            pipe.send(("row", row))


class _Reporter:
    """Reports the progress of a clip a few times a second, and ends it on request or if the pipe is closed."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._frames = 0
        self._reported = 0.0

    def __call__(self, people: int) -> None:
        self._frames += 1
        if self._is_to_stop():
            raise Stopped
        if time.monotonic() - self._reported >= _REPORT_EVERY_S:
            self._reported = time.monotonic()
            self._pipe.send(("advanced", self._frames, people))

    def _is_to_stop(self) -> bool:
        try:
            return self._pipe.poll()  # a request to stop, or the end of the pipe
        except OSError:  # the end of the pipe on Windows
            return True
