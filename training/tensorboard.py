"""Losses, rates and scores of a training for TensorBoard, beside the log of JSON lines.

Needs posetrail[tensorboard].
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from posetrail.errors import InputError

FOLDER = "tensorboard"
_OF_STEPS = {"loss": "training/loss", "lr": "training/learning_rate", "seconds_waiting_for_data": "training/waiting_s"}
_NO_SCORES = frozenset({"event", "step", "epoch"})


class TensorBoard:
    """Writes events of a training as scalars; use as a context manager.

    Raises:
        InputError: TensorBoard is not installed.
    """

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise InputError(
                "--tensorboard: expected the package tensorboard, got none; install it with "
                "`pip install 'posetrail[tensorboard]'`, or read log.jsonl"
            ) from None
        self._writer = SummaryWriter(str(folder), flush_secs=10)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()

    def __call__(self, event: dict[str, Any]) -> None:
        """Add an event of the log."""
        for name, value in scalars(event).items():
            self._writer.add_scalar(name, value, event["step"])


def scalars(event: dict[str, Any]) -> dict[str, float]:
    """The numbers of an event by their names in TensorBoard."""
    if event["event"] == "step":
        return {name: event[key] for key, name in _OF_STEPS.items() if key in event}
    if event["event"] == "validation":
        return {f"validation/{key}": value for key, value in event.items() if key not in _NO_SCORES}
    return {}


def opened(folder: Path, chosen: bool) -> AbstractContextManager[Callable[[dict[str, Any]], None]]:
    """A writer into `folder`/tensorboard, or one that does nothing."""
    return TensorBoard(folder / FOLDER) if chosen else nullcontext(lambda _: None)
