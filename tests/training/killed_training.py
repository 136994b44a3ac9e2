"""Trains in processes that kill themselves at chosen moments, then with nothing in the way.

python killed_training.py FOLDER: each folder inside gets the same training. The parent process has imported everything
and forks, so that a training takes a second.
"""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import torch

from posetrail.errors import InputError
from tests.training.test_loader import figures
from training import checkpoint, fit, log
from training.fit import FitSettings

SETTINGS = FitSettings(
    recipe="rtmpose_t", epochs=3.0, batch_size=3, input_height=128, lr=1e-3, workers=0, device="cpu", validate_every=1.5
)
MOMENTS = ("step", "checkpoint", "validation", "report")


def die(*_: Any, **__: Any) -> Any:
    """What a process does when it is killed."""
    os.kill(os.getpid(), signal.SIGKILL)


def at_call(number: int, module: Any, name: str, instead: Callable[..., Any] = die) -> None:
    """Do something else at the n-th call of a function."""
    original, calls = getattr(module, name), iter(range(1, 1000))
    setattr(module, name, lambda *a, **k: (instead if next(calls) == number else original)(*a, **k))


def half_written(content: Any, file: Any) -> None:
    """Write half of a checkpoint, then be killed."""
    whole = io.BytesIO()
    _save(content, whole)
    file.write(whole.getvalue()[: len(whole.getvalue()) // 2])
    file.flush()
    die()


def torn_line(path: Path, event: dict[str, Any]) -> None:
    """Write half of a line of the log, then be killed."""
    with path.open("a") as file:
        file.write('{"event": "validation", "st')
    die()


_save = torch.save


def prepare(moment: str) -> None:
    """Make this process kill itself at a moment."""
    if moment == "step":
        fit.train = stepping(fit.train)
    elif moment == "checkpoint":
        at_call(2, checkpoint.torch, "save", half_written)
    elif moment == "validation":
        at_call(2, log, "_append", torn_line)
    elif moment == "report":
        at_call(1, fit, "write_report")


def stepping(train: Callable[..., Any]) -> Callable[..., Any]:
    """A training that is killed after step 4, whose last checkpoint is of step 3."""
    return lambda *a, **k: train(*a, **k | {"on_step": lambda step, *_: die() if step == 4 else None})


def main(folder: Path) -> None:
    cv2.setNumThreads(1)
    samples = figures(folder)
    for moment in ("whole", *MOMENTS):
        for again in (False, True):
            if moment == "whole" and again:
                continue
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    if not again:
                        prepare(moment)
                    fit.fit(samples, folder / moment, SETTINGS)
                    code = 0
                except InputError as error:
                    sys.stderr.write(f"{moment}: {error}\n")
                finally:
                    os._exit(code)
            ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            expected = -signal.SIGKILL if moment != "whole" and not again else 0
            if ended != expected:
                sys.exit(f"{moment}, again {again}: ended in {ended}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
