"""A batch on a Ray cluster: one Ray task for each clip or segment. `pip install posetrail[cluster]`.

Ray is imported here only. All machines must have the input and the output under the same paths. If a worker is lost,
Ray gives its clip to another one, which continues from the pose log. Each Ray process loads the networks once.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from posetrail.errors import InputError
from tracker.batch.clip import OpenNetworks, Task, internal_error, one_line, track_listed_clip
from tracker.batch.clip_list import ListedClip
from tracker.batch.progress import Watch
from tracker.batch.table import FINE, Row
from tracker.batch.worker_process import divide_threads, is_internal, loading_error
from tracker.runs.networks import Networks, open_networks
from tracker.settings import Settings

_log = logging.getLogger(__name__)

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
    """Track clips on a Ray cluster.

    Args:
        clips: clips to track.
        task: what to do with each clip; every machine needs its output folder under the same path.
        watch: called as the batch proceeds, twice a second.
        address: of the cluster, as in `ray.init`; a new cluster on this machine if not given.
        cpus: CPUs for each clip; the networks run in as many threads, at least one.
        gpus: GPUs for each clip; a fraction shares one.
        stopped: called twice a second; once it is true, clips in progress are cancelled; the next batch continues them.
        open_networks: loads the networks; must be picklable.

    Yields:
        A row for each clip when it ends.

    Raises:
        InputError: Ray is not installed, the cluster does not answer or has no machine with so many CPUs and GPUs, or
            none of its workers could load the networks.
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
        remote = ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=_RETRIES)(_track)
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
    unloaded: list[tuple[ListedClip, _NotLoaded]] = []
    has_loaded = False
    most = 2 * max(1, int(ray.cluster_resources().get("CPU", 1)))  # queued ahead, so that no machine is idle
    board = ray.remote(num_cpus=0, max_restarts=-1)(_ProgressBoard).remote()
    progress = _ProgressReader(ray, board, watch)
    while waiting or at_work:
        if stopped():
            waiting.clear()
            for reference in at_work:
                ray.cancel(reference, force=True)
        while waiting and len(at_work) < most:
            clip = waiting.popleft()
            at_work[remote.remote(clip, task, settings, open_networks, board)] = clip
        done, _ = ray.wait(list(at_work), timeout=_POLL_S) if at_work else ([], None)
        progress.report({clip.label for clip in at_work.values()})
        for reference in done:
            clip = at_work.pop(reference)
            row = _row(ray, reference, clip, task.output)
            if isinstance(row, _NotLoaded):
                _log.warning("%s: %s", clip.label, row.reason)
                unloaded.append((clip, row))
                if not has_loaded and len(unloaded) >= most:
                    waiting.clear()  # no worker of this cluster can load them
                continue
            has_loaded |= row.status in FINE
            watch.finished(clip.label, row)
            yield row
    if unloaded and not has_loaded:
        raise InputError(unloaded[0][1].reason)
    for clip, failure in unloaded:
        row = replace(_failed(clip, f"{failure.reason}; the same command tries again"), log=failure.log)
        watch.finished(clip.label, row)
        yield row


@dataclass(frozen=True)
class _NotLoaded:
    """A worker could not load its networks."""

    reason: str  # one line
    log: str  # file with the traceback of an internal error, or empty


class _ProgressBoard:
    """A Ray actor that holds the progress of each clip."""

    def __init__(self) -> None:
        self._progress: dict[str, tuple[int | None, int, int]] = {}

    def write(self, label: str, total: int | None, frames: int, people: int) -> None:
        self._progress[label] = total, frames, people

    def take(self) -> dict[str, tuple[int | None, int, int]]:
        progress, self._progress = self._progress, {}
        return progress


class _ProgressReader:
    """Reports what is on the board; if the machine of the board is lost, some progress is not reported."""

    def __init__(self, ray: Any, board: Any, watch: Watch) -> None:
        self._ray, self._board, self._watch = ray, board, watch
        self._asked = board.take.remote()
        self._opened: set[str] = set()

    def report(self, at_work: set[str]) -> None:
        """Report the progress of these clips, if there is any."""
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


def _row(ray: Any, reference: Any, clip: ListedClip, output: Path) -> Row | _NotLoaded:
    """The result of a Ray task; an error of Ray becomes a row."""
    try:
        row: Row | _NotLoaded = ray.get(reference)
    except ray.exceptions.TaskCancelledError:
        return replace(_failed(clip, "stopped; the same command continues it"), status="interrupted")
    except ray.exceptions.WorkerCrashedError:
        return _failed(clip, f"its workers died, {_RETRIES + 1} times; the same command continues it")
    except ray.exceptions.RayTaskError as error:  # its text is the traceback of the other process
        text, log = internal_error(clip, output, error)
        return replace(_failed(clip, text), log=log)
    except ray.exceptions.RayError as error:  # the cluster's fault, or its environment's
        return _failed(clip, f"Ray: {one_line(error)}; see `ray status`, then give the same command again")
    return row


def _failed(clip: ListedClip, why: str) -> Row:
    return Row(clip=clip.name, status="failed", warnings=why, input=str(clip.path))


def _ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray would report its use otherwise
    # Under `uv run`, Ray would make each worker build an environment from the current folder.
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    try:
        import ray
    except ImportError as error:
        why = "" if isinstance(error, ModuleNotFoundError) else f" ({one_line(error)})"
        raise InputError(f"--engine ray needs Ray{why}: pip install posetrail[cluster]") from None
    return ray


def _start(ray: Any, address: str | None) -> None:
    """Connect to a cluster, or start one on this machine.

    Raises:
        InputError: Ray cannot do that; the line has the reason.
    """
    stop = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR", include_dashboard=False)
    except Exception as error:  # Ray raises ConnectionError, RuntimeError or, after a timeout, a plain Exception
        where = (
            f"--address {address}: no Ray cluster answers there" if address else "--engine ray: Ray cannot start here"
        )
        raise InputError(f"{where} ({type(error).__name__}: {one_line(error)}); see `ray status`") from None
    finally:
        if callable(stop) and signal.getsignal(signal.SIGTERM) is not stop:
            signal.signal(signal.SIGTERM, stop)  # Ray replaces the handler


def _check_room(ray: Any, cpus: float, gpus: float) -> None:
    """Refuse a request for which Ray would wait forever."""
    rooms = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if not any(room.get("CPU", 0) >= cpus and room.get("GPU", 0) >= gpus for room in rooms):
        raise InputError(f"no machine of the Ray cluster has {cpus:g} CPUs and {gpus:g} GPUs; ask for less")


# In a Ray process -----------------------------------------------------------------------------------------------------


def _track(
    clip: ListedClip, task: Task, settings: Settings, open_networks: OpenNetworks, board: Any
) -> Row | _NotLoaded:
    started = time.perf_counter()
    progress = _ProgressWriter(clip.label, board)
    try:
        networks = _networks(settings, open_networks)
    except Exception as error:  # this machine may lack a CUDA library that another one has
        log = internal_error(clip, task.output, error)[1] if is_internal(error) else ""
        return _NotLoaded(loading_error(error), log)
    row = track_listed_clip(clip, networks, task, on_open=progress.opened, on_frame=progress.advanced)
    return replace(row, seconds=row.seconds or time.perf_counter() - started)


class _ProgressWriter:
    """Writes the progress of a clip on the board twice a second."""

    def __init__(self, label: str, board: Any) -> None:
        self._label, self._board = label, board
        self._total: int | None = None
        self._frames = 0
        self._written = 0.0

    def opened(self, total: int | None) -> None:
        self._total = total

    def advanced(self, people: int) -> None:
        self._frames += 1
        if time.monotonic() - self._written >= _POLL_S:
            self._written = time.monotonic()
            self._board.write.remote(self._label, self._total, self._frames, people)


def _networks(settings: Settings, open_networks: OpenNetworks) -> Networks:
    return _opened(settings, open_networks)[0]


@lru_cache(maxsize=1)
def _opened(settings: Settings, open_networks: OpenNetworks) -> tuple[Networks, ExitStack]:
    """Networks that are loaded once in a process and end with it; the stack that would close them is kept."""
    divide_threads(settings.networks.threads or 1)
    stack = ExitStack()
    return stack.enter_context(open_networks(settings)), stack
