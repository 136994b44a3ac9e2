"""Processes of this machine that follow clips side by side, each with its own networks, loaded once.

Each talks with the batch through a pipe. A worker that dies takes one clip with it, and another one is started; a batch
that dies, however, ends its workers: they find the pipe closed at their next frame. Processes are spawned, not forked,
because the threads of OpenCV and the runtimes do not survive a fork.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any

from core.errors import InputError
from core.runtime import usable_cpus
from tracker.batch_clip import Stopped, Task, follow_listed
from tracker.batch_progress import Watch
from tracker.batch_table import Row
from tracker.clip_list import ListedClip
from tracker.networks import Networks, open_networks
from tracker.settings import Settings

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

OpenNetworks = Callable[[Settings], AbstractContextManager[Networks]]

_POLL_S = 0.2  # how soon a wish to stop is noticed
_TELL_EVERY_S = 0.1
_START_METHOD = "spawn"


def follow_here(
    clips: Sequence[ListedClip],
    task: Task,
    jobs: int,
    watch: Watch,
    *,
    stopped: Callable[[], bool] = lambda: False,
    open_networks: OpenNetworks = open_networks,
    start_method: str = _START_METHOD,
) -> Iterator[Row]:
    """Follow clips in `jobs` processes; a row for each as it ends.

    Args:
        clips: what to follow, in this order.
        task: what to do with each.
        jobs: processes; the threads of each are its part of the CPUs.
        watch: told how it goes.
        stopped: asked a few times a second; once true, every clip at work ends as interrupted, and no other begins.
        open_networks: loads them; can be sent to another process.
        start_method: of multiprocessing.

    Raises:
        InputError: the networks cannot be loaded.
    """
    context = multiprocessing.get_context(start_method)
    jobs = max(1, min(jobs, len(clips)))
    settings = part_of_cpus(task.settings, jobs)
    waiting = deque(clips)
    workers = {_Worker(context, task, settings, open_networks) for _ in range(jobs if waiting else 0)}
    try:
        while workers:
            asked = stopped()
            if asked:
                waiting.clear()
            for worker in workers:
                if asked:
                    worker.stop()
            ready = wait([worker.pipe for worker in workers], _POLL_S)
            for worker in [worker for worker in workers if worker.pipe in ready]:
                if row := worker.hear(watch):
                    yield row
                if worker.is_gone:
                    workers.remove(worker)
                    if waiting:
                        workers.add(_Worker(context, task, settings, open_networks))
                elif worker.is_free and not waiting:
                    worker.dismiss()
                    workers.remove(worker)
                elif worker.is_free:
                    worker.give(waiting.popleft())
    finally:
        for worker in workers:
            worker.end()


def part_of_cpus(settings: Settings, jobs: int) -> Settings:
    """The same settings, the threads divided among so many workers where their number was left open."""
    if settings.networks.threads is not None:
        return settings
    return replace(settings, networks=replace(settings.networks, threads=max(1, usable_cpus() // jobs)))


class _Worker:
    """A process as the batch sees it."""

    def __init__(self, context: Any, task: Task, settings: Settings, open_networks: OpenNetworks) -> None:
        self.pipe, other_end = context.Pipe()
        self._process: BaseProcess = context.Process(
            target=_work, args=(other_end, self.pipe, task, settings, open_networks), daemon=True
        )
        self._process.start()
        other_end.close()
        self._clip: ListedClip | None = None
        self._is_asked = False
        self.is_free = self.is_gone = False

    def give(self, clip: ListedClip) -> None:
        self._clip, self.is_free = clip, False
        self._send(clip)

    def stop(self) -> None:
        if not self._is_asked:
            self._is_asked = True
            self._send(None)

    def hear(self, watch: Watch) -> Row | None:
        """What the process has to say; a row when it is done with a clip."""
        label = self._clip.label if self._clip else ""
        row: Row | None = None
        try:
            kind, *told = self.pipe.recv()
        except (EOFError, OSError):
            kind, row = "lost", self._lost()
        if kind == "unusable":
            raise InputError(told[0])
        if kind == "opened":
            watch.opened(label, told[0])
        elif kind == "advanced":
            watch.advanced(label, *told)
        elif kind == "free":
            self.is_free = True
        elif kind == "row":
            self._clip, self.is_free, row = None, True, told[0]
        if row:
            watch.finished(label, row)
        return row

    def _lost(self) -> Row | None:
        self.is_gone = True
        self._process.join()
        if self._clip is None:
            if self._is_asked:
                return None
            raise RuntimeError(f"a worker ended before it could begin (exit code {self._process.exitcode})")
        said = f"its worker died ({_cause_of_death(self._process.exitcode)}); the same command goes on with it"
        return Row(clip=self._clip.name, status="failed", warnings=said, input=str(self._clip.path))

    def dismiss(self) -> None:
        self._send(None)
        self._process.join()
        self.pipe.close()

    def end(self) -> None:
        self._process.terminate()
        self._process.join()
        self.pipe.close()

    def _send(self, message: ListedClip | None) -> None:
        with suppress(OSError):  # it has died, which `hear` finds out
            self.pipe.send(message)


def _cause_of_death(code: int | None) -> str:
    if code is None or code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name + (", as when memory runs out" if -code == signal.SIGKILL else "")
    except ValueError:
        return f"signal {-code}"


# In the other process -------------------------------------------------------------------------------------------------


def _work(pipe: Connection, batch_end: Connection, task: Task, settings: Settings, open_networks: OpenNetworks) -> None:
    """Follow the clips that come through the pipe, until None comes or the batch is gone."""
    batch_end.close()  # or a forked worker would keep its own pipe open when the batch dies
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole terminal; the batch decides
    divide_threads(settings.networks.threads or 1)
    try:
        with open_networks(settings) as networks:
            pipe.send(("free",))
            while (clip := pipe.recv()) is not None:
                row = follow_listed(
                    clip,
                    networks,
                    task,
                    on_open=lambda total: pipe.send(("opened", total)),
                    on_frame=_Teller(pipe),
                )
                pipe.send(("row", row))
    except InputError as error:
        pipe.send(("unusable", str(error)))
    except (EOFError, OSError):  # the batch is gone
        return


def divide_threads(threads: int) -> None:
    """Let no library of this process take more than its part of the CPUs."""
    import cv2

    os.environ["OMP_NUM_THREADS"] = str(threads)  # read by torch, which is not imported yet
    cv2.setNumThreads(threads)


class _Teller:
    """Passes on how far a clip is, now and then, and ends it when asked to, or when nobody is there to hear."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._frames = 0
        self._told = 0.0

    def __call__(self, people: int) -> None:
        self._frames += 1
        if self._pipe.poll():  # only a wish to stop comes now, or the end of the pipe
            raise Stopped
        if time.monotonic() - self._told >= _TELL_EVERY_S:
            self._told = time.monotonic()
            self._pipe.send(("advanced", self._frames, people))
