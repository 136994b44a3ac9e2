"""Learning rates over the steps of a training: warm-up, then one of the schedules that published recipes use."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from posetrail.errors import InputError, unknown_name

Kind = Literal["steps", "cosine", "linear", "constant"]
_LONGEST_WARMUP = 5  # a share of 1/5 of the steps
KINDS: tuple[Kind, ...] = ("steps", "cosine", "linear", "constant")


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A factor on the learning rate for every step; epochs may be fractions.

    Raises:
        InputError: the kind is unknown, or a number is outside its range.
    """

    kind: Kind = "steps"
    drops: tuple[float, ...] = ()  # steps: epochs at which the rate is multiplied by `drop_factor`
    drop_factor: float | tuple[float, ...] = 0.1  # of all drops, or of each
    flat_epochs: float = 0.0  # cosine and linear: the rate stays so long before it falls
    last_factor: float = 0.0  # cosine and linear: factor at the end
    warmup_steps: int = 0  # the rate rises linearly from `warmup_factor` over so many steps
    warmup_factor: float = 0.001

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise unknown_name("schedule", self.kind, KINDS)
        if (
            self.warmup_steps < 0
            or self.flat_epochs < 0
            or min(self._drop_factors, default=1.0) <= 0
            or len(self._drop_factors) != len(self.drops)
            or list(self.drops) != sorted(self.drops)
        ):
            raise InputError(f"schedule: expected numbers of 0 or more and ascending drops, got {self}")

    @property
    def _drop_factors(self) -> tuple[float, ...]:
        each = self.drop_factor
        return each if isinstance(each, tuple) else (each,) * len(self.drops)

    def fitted(self, factor: float, steps: int) -> Schedule:
        """The schedule of a training that is shorter or longer, so that its rate falls at the same places.

        Args:
            factor: epochs of the training, divided by those that the schedule was made for.
            steps: of the training; the warm-up is at most a fifth of them.
        """
        return replace(
            self,
            drops=tuple(drop * factor for drop in self.drops),
            flat_epochs=self.flat_epochs * factor,
            warmup_steps=min(self.warmup_steps, steps // _LONGEST_WARMUP),
        )

    def factor(self, step: int, steps: int, steps_per_epoch: float) -> float:
        """The factor on the learning rate in a step.

        Args:
            step: number of the step, from 0.
            steps: of the whole training.
            steps_per_epoch: to convert epochs to steps.
        """
        factor = 1.0
        if self.kind == "steps":
            for drop, drop_factor in zip(self.drops, self._drop_factors, strict=True):
                factor *= drop_factor if step >= round(drop * steps_per_epoch) else 1.0
        elif self.kind != "constant":
            flat = self.flat_epochs * steps_per_epoch
            share = min(max((step - flat) / max(steps - flat, 1), 0.0), 1.0)  # 0 when it begins to fall, 1 at the end
            falling = (1 + math.cos(math.pi * share)) / 2 if self.kind == "cosine" else 1 - share
            factor = self.last_factor + (1 - self.last_factor) * falling
        if step < self.warmup_steps:
            factor *= self.warmup_factor + (1 - self.warmup_factor) * step / self.warmup_steps
        return factor
