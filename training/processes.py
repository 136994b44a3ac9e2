"""The processes of a training: one, or those that `torchrun` started, on one or many machines."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch
import torch.distributed as dist

from posetrail.errors import InputError


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

    def from_first(self, value: float) -> float:
        """The number that process 0 has, in all processes."""
        if self.world_size == 1:
            return value
        shared = torch.tensor([value], dtype=torch.float64, device=self.device)
        dist.broadcast(shared, src=0)
        return float(shared)

    def any_of(self, here: bool) -> bool:
        """Whether it is true in any process."""
        return bool(self.total(float(here)))

    def total(self, value: float) -> float:
        """The sum over all processes."""
        if self.world_size == 1:
            return value
        shared = torch.tensor([value], dtype=torch.float64, device=self.device)
        dist.all_reduce(shared)
        return float(shared)


@contextmanager
def open_process(device: Literal["auto", "cpu", "cuda"] = "auto") -> Iterator[Process]:
    """Join the processes of torchrun, if the environment variable RANK says that it started this one.

    Raises:
        InputError: there is no CUDA device, though it was asked for.
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
    dist.init_process_group("nccl" if cuda else "gloo")
    try:
        yield Process(dist.get_rank(), dist.get_world_size(), here)
    finally:
        dist.destroy_process_group()
