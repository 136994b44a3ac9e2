"""The processes of a training: one, or those that `torchrun` started, on one or many machines."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch
import torch.distributed as dist
from filelock import FileLock, Timeout

from posetrail.errors import InputError

_LONGEST_WAIT = timedelta(days=2)  # while process 0 validates; a process that dies ends the others at once
Result = TypeVar("Result")


class EndedElsewhere(InputError):
    """Another process of the training ended with an error, which it reports itself."""


@dataclass(frozen=True)
class Process:
    """One of the processes that train together."""

    rank: int  # 0..world_size - 1; process 0 validates, logs and saves
    world_size: int
    device: torch.device

    @property
    def is_first(self) -> bool:
        """Whether this process validates, logs and saves."""
        return self.rank == 0

    def on_first(self, function: Callable[[], Result]) -> Result:
        """What a function returns in process 0, in all processes; the others wait for it.

        Raises:
            EndedElsewhere: in the other processes, where the function raised an exception in process 0.
        """
        if self.world_size == 1:
            return function()
        result: Any = None
        error: Exception | None = None
        if self.is_first:
            try:
                result = function()
            except Exception as caught:
                error = caught
        shared = [(result, None if error is None else str(error))]
        dist.broadcast_object_list(shared, src=0, device=self.device)
        if error is not None:
            raise error
        result, message = shared[0]
        if message is not None:
            raise EndedElsewhere(message)
        return result

    def any_of(self, *here: bool) -> list[bool]:
        """For each of the values, whether it is true in any process."""
        return [value > 0 for value in self._totals([float(value) for value in here])]

    def mean(self, value: float) -> float:
        """The mean over all processes."""
        return self._totals([value])[0] / self.world_size

    def _totals(self, values: list[float]) -> list[float]:
        if self.world_size == 1:
            return values
        shared = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.all_reduce(shared)
        return shared.tolist()


def is_first_process() -> bool:
    """Whether this is the only process, or the one of those that torchrun started that reports."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def open_process(device: Literal["auto", "cpu", "cuda"] = "auto") -> Iterator[Process]:
    """Join the processes of torchrun, if the environment variable RANK says that it started this one.

    Raises:
        InputError: there is no CUDA device, though it was asked for.
        EndedElsewhere: another process ended, so that this one cannot go on.
    """
    cuda = torch.cuda.is_available() and device != "cpu"
    if device == "cuda" and not cuda:
        raise InputError("device cuda: no CUDA device that torch can use was found; use --device cpu")
    if "RANK" not in os.environ:
        yield Process(0, 1, torch.device("cuda" if cuda else "cpu"))
        return
    here = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(here)
    dist.init_process_group("nccl" if cuda else "gloo", timeout=_LONGEST_WAIT)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Grad strides do not match")  # of 1 x 1 and depth-wise convolutions
            yield Process(dist.get_rank(), dist.get_world_size(), here)
    except RuntimeError as error:
        if "closed by peer" not in str(error) and "Connection reset" not in str(error):
            raise
        raise EndedElsewhere("another process of the training ended; see its message") from None
    finally:
        dist.destroy_process_group()


@contextmanager
def locked(folder: Path, process: Process) -> Iterator[None]:
    """Keep other trainings out of a folder. A lock of a process that was killed is free.

    Raises:
        InputError: another training uses the folder, or nothing can be written there.
    """
    lock = FileLock(folder / ".posetrail.lock", timeout=0)

    def acquire() -> None:
        try:
            lock.acquire()
        except Timeout:
            raise InputError(f"{folder}: another training writes there; choose another output folder") from None
        except OSError as error:
            raise InputError(
                f"{folder}: cannot be written to ({error.strerror}); choose another output folder"
            ) from None

    process.on_first(acquire)
    try:
        yield
    finally:
        lock.release()
        if process.is_first:
            with suppress(OSError):  # Windows keeps a file that another process has open
                Path(lock.lock_file).unlink()
