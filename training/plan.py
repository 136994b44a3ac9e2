"""How long and how fast a network is trained, and how that ended."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from posetrail.errors import InputError
from training.optimisers import Optimiser
from training.schedules import Schedule

Precision = Literal["float32", "bfloat16", "float16"]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How long and how fast to train.

    Raises:
        InputError: a number is outside its range.
    """

    epochs: float
    samples: int  # of one epoch
    batch_size: int  # over all processes
    optimiser: Optimiser = field(default_factory=Optimiser)
    schedule: Schedule = field(default_factory=Schedule)
    accumulate: int = 1  # parts into which a process divides its share of a batch, to save memory
    clip_norm: float | None = None  # largest norm of the gradient
    average_momentum: float | None = None  # keep an exponential moving average of the weights
    precision: Precision = "float32"
    seed: int = 0
    patience: int | None = None  # stop after so many validations without a better score
    validate_every: float = 1.0  # epochs
    save_every_s: float = 300.0
    log_every: int = 20  # steps
    made_with: Mapping[str, str] = field(default_factory=dict, repr=False)
    """What the results depend on, by name: a checkpoint that was made with others is refused, and they are named."""

    def __post_init__(self) -> None:
        if self.samples < 1 or self.batch_size < 1 or self.epochs <= 0 or self.accumulate < 1:
            raise InputError(f"training: expected at least one sample, epoch, batch and part, got {self}")

    @property
    def steps(self) -> int:
        """Number of steps in all."""
        return math.ceil(self.epochs * self.samples / self.batch_size)

    @property
    def steps_per_epoch(self) -> float:
        """Steps in which every sample is seen once."""
        return self.samples / self.batch_size


@dataclass(frozen=True, kw_only=True)
class Trained:
    """How a training ended."""

    steps: int
    best: dict[str, float]  # figures of the best validation
    best_step: int
    ended: Literal["complete", "no improvement", "stopped"]
