"""A batch on the machines of a Ray cluster: one Ray task for each clip or segment. `pip install posetrail[cluster]`.

Ray, because labs run it and it starts on one machine without set-up; it is imported here only. All machines see the
input and the output under the same paths. A worker that is lost loses nothing but its place: Ray gives the clip to
another one, which goes on from the pose log. Each Ray process loads the networks once and keeps them.
"""

from __future__ import annotations

import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from posetrail.errors import InputError
from tracker.batch.clip import Task, internal_error, one_line, track_listed_clip
from tracker.batch.clip_list import ListedClip
from tracker.batch.progress import Watch
from tracker.batch.table import FINE, Row
from tracker.batch.worker_process import not_loaded
from tracker.batch.workers import OpenNetworks, divide_threads
from tracker.runs.networks import Networks, open_networks
from tracker.settings import Settings

_POLL_S = 0.5
_RETRIES = 5  # of a clip whose worker was lost


def track_on_ray(
    clips: Sequence[ListedClip],
    task: Task,
    watch: Watch,
    *,
    address: str | None = None,
    cpus: float = 1,
    gpus: float = 0,
    stopped: Callable[[], bool] = lambda: False,
    open_networks: OpenNetworks = open_networks,
) -> Iterator[Row]:
    """Follow clips wherever the cluster has room; a row for each as it ends.

    Args:
        clips: what to follow.
        task: what to do with each; its output is absolute and seen by every machine.
        watch: called as it proceeds, twice a second.
        address: of the cluster, as `ray.init` takes it; a new one on this machine when not given.
        cpus: that a clip takes; the networks run in so many threads, at least one.
        gpus: that a clip takes; parts of one are shared.
        stopped: asked now and then; once true, clips at work are cancelled, and go on with the next batch.
        open_networks: loads them; can be sent to another machine.

    Raises:
        InputError: Ray is not installed, the cluster does not answer, has no machine with so much room, or none of its
            workers could load the networks.
    """
    ray = _ray()
    was_running = ray.is_initialized()
    if not was_running:
        _start(ray, address)
    try:
        _check_room(ray, cpus, gpus)
        settings = task.settings
        if settings.networks.threads is None:
            settings = replace(settings, networks=replace(settings.networks, threads=max(1, int(cpus))))
        remote = ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=_RETRIES)(_follow)
        yield from _run(
            ray, remote, clips, replace(task, output=task.output.resolve()), settings, watch, stopped, open_networks
        )
    finally:
        if not was_running:
            ray.shutdown()


def _run(
    ray: Any,
    remote: Any,
    clips: Sequence[ListedClip],
    task: Task,
    settings: Settings,
    watch: Watch,
    stopped: Callable[[], bool],
    open_networks: OpenNetworks,
) -> Iterator[Row]:
    waiting = deque(clips)
    at_work: dict[Any, ListedClip] = {}
    unloaded: list[tuple[ListedClip, str]] = []  # clips whose workers could not load the networks, and why
    has_loaded = False
    most = 2 * max(1, int(ray.cluster_resources().get("CPU", 1)))  # queued ahead, so that no machine waits for us
    board = ray.remote(num_cpus=0, max_restarts=-1)(_Board).remote()
    news = _News(ray, board, watch)
    while waiting or at_work:
        if stopped():
            waiting.clear()
            for reference in at_work:
                ray.cancel(reference, force=True)
        while waiting and len(at_work) < most:
            clip = waiting.popleft()
            at_work[remote.remote(clip, task, settings, open_networks, board)] = clip
        done, _ = ray.wait(list(at_work), timeout=_POLL_S) if at_work else ([], None)
        news.pass_on({clip.label for clip in at_work.values()})
        for reference in done:
            clip = at_work.pop(reference)
            row = _row(ray, reference, clip, task.output)
            if isinstance(row, str):
                unloaded.append((clip, row))
                if not has_loaded and len(unloaded) >= most:
                    waiting.clear()  # no worker of this cluster can
                continue
            has_loaded |= row.status in FINE
            watch.finished(clip.label, row)
            yield row
    if unloaded and not has_loaded:
        raise InputError(unloaded[0][1])
    for clip, why in unloaded:
        row = _failed(clip, f"{why}; the same command tries again")
        watch.finished(clip.label, row)
        yield row


class _Board:
    """An actor of Ray on which tasks write how far they are."""

    def __init__(self) -> None:
        self._notes: dict[str, tuple[int | None, int, int]] = {}

    def write(self, label: str, total: int | None, frames: int, people: int) -> None:
        self._notes[label] = total, frames, people

    def take(self) -> dict[str, tuple[int | None, int, int]]:
        notes, self._notes = self._notes, {}
        return notes


class _News:
    """Passes on what stands on the board; should its machine be lost, less is told, and the work goes on."""

    def __init__(self, ray: Any, board: Any, watch: Watch) -> None:
        self._ray, self._board, self._watch = ray, board, watch
        self._asked = board.take.remote()
        self._opened: set[str] = set()

    def pass_on(self, at_work: set[str]) -> None:
        """What there is, of clips that are still at work."""
        if not self._ray.wait([self._asked], timeout=0)[0]:
            return
        with suppress(self._ray.exceptions.RayError):
            for label, (total, frames, people) in self._ray.get(self._asked).items():
                if label not in at_work:
                    continue
                if label not in self._opened:
                    self._opened.add(label)
                    self._watch.opened(label, total)
                self._watch.advanced(label, frames, people)
        self._asked = self._board.take.remote()


def _row(ray: Any, reference: Any, clip: ListedClip, output: Path) -> Row | str:
    """How it went with a clip; a text, why the worker that had it could not load the networks."""
    try:
        row: Row | str = ray.get(reference)
    except ray.exceptions.TaskCancelledError:
        return replace(_failed(clip, "stopped; the same command goes on"), status="interrupted")
    except ray.exceptions.WorkerCrashedError:
        return _failed(clip, f"its workers died, {_RETRIES + 1} times; the same command goes on")
    except ray.exceptions.RayTaskError as error:  # its text is the traceback of the other process
        return _failed(clip, internal_error(clip, output, error))
    except ray.exceptions.RayError as error:  # the cluster's fault, or its environment's
        return _failed(clip, f"Ray: {one_line(error)}; see `ray status`, then give the same command again")
    return row


def _failed(clip: ListedClip, why: str) -> Row:
    return Row(clip=clip.name, status="failed", warnings=why, input=str(clip.path))


def _ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a cluster of ours reports its use to no one
    # Started by `uv run`, Ray would have every worker make an environment of its own, from what lies in this folder.
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    try:
        import ray
    except ImportError as error:
        why = "" if isinstance(error, ModuleNotFoundError) else f" ({one_line(error)})"
        raise InputError(f"--engine ray needs Ray{why}: pip install posetrail[cluster]") from None
    return ray


def _start(ray: Any, address: str | None) -> None:
    """Connect to a cluster, or start one here.

    Raises:
        InputError: Ray cannot; why, in one line.
    """
    stop = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR", include_dashboard=False)
    except (
        Exception
    ) as error:  # Ray has no common one: ConnectionError, RuntimeError, a plain Exception after a timeout
        where = (
            f"--address {address}: no Ray cluster answers there" if address else "--engine ray: Ray cannot start here"
        )
        raise InputError(f"{where} ({type(error).__name__}: {one_line(error)}); see `ray status`") from None
    finally:
        if callable(stop) and signal.getsignal(signal.SIGTERM) is not stop:
            signal.signal(signal.SIGTERM, stop)  # Ray takes it for its own


def _check_room(ray: Any, cpus: float, gpus: float) -> None:
    """Ray would wait for such a machine for ever."""
    rooms = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if not any(room.get("CPU", 0) >= cpus and room.get("GPU", 0) >= gpus for room in rooms):
        raise InputError(f"no machine of the Ray cluster has {cpus:g} CPUs and {gpus:g} GPUs; ask for less")


# In a Ray process -----------------------------------------------------------------------------------------------------


def _follow(clip: ListedClip, task: Task, settings: Settings, open_networks: OpenNetworks, board: Any) -> Row | str:
    started = time.perf_counter()
    note = _Note(clip.label, board)
    try:
        networks = _networks(settings, open_networks)
    except Exception as error:  # also such as a CUDA library that this machine lacks: another one may have it
        return not_loaded(error)
    row = track_listed_clip(clip, networks, task, on_open=note.opened, on_frame=note.advanced)
    return replace(row, seconds=row.seconds or time.perf_counter() - started)


class _Note:
    """Writes on the board now and then how far a clip is."""

    def __init__(self, label: str, board: Any) -> None:
        self._label, self._board = label, board
        self._total: int | None = None
        self._frames = 0
        self._told = 0.0

    def opened(self, total: int | None) -> None:
        self._total = total

    def advanced(self, people: int) -> None:
        self._frames += 1
        if time.monotonic() - self._told >= _POLL_S:
            self._told = time.monotonic()
            self._board.write.remote(self._label, self._total, self._frames, people)


def _networks(settings: Settings, open_networks: OpenNetworks) -> Networks:
    return _opened(settings, open_networks)[0]


@lru_cache(maxsize=1)
def _opened(settings: Settings, open_networks: OpenNetworks) -> tuple[Networks, ExitStack]:
    """Loaded once in a process; they end with it, because what would close them is kept too."""
    divide_threads(settings.networks.threads or 1)
    stack = ExitStack()
    return stack.enter_context(open_networks(settings)), stack
