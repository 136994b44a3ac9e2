"""The training loop, to be read from top to bottom.

One process, or several under `torchrun`. Step t trains on the samples t B to (t + 1) B of an endless sequence, in which
every epoch is one permutation of all samples, so all batches are full and B need not divide their number. Order,
augmentation and dropout are drawn from (seed, epoch, index) and (seed, step): the number of worker processes changes
nothing, and a training that is killed and resumed ends with the same bytes as one that was not.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.nn.utils import clip_grad_norm_

from posetrail.errors import InputError
from posetrail.files import written_whole
from training.averages import WeightAverage, weights_of
from training.checkpoint import load_checkpoint, save_checkpoint
from training.optimisers import make_optimiser, set_rate, set_train_mode
from training.plan import Plan, Trained
from training.processes import Process

_DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}
BAD_BATCH = "bad_batch.pt"


@dataclass(frozen=True)
class Batch:
    """Crops of people with their joints."""

    crops: Tensor  # (B, H, W, 3) uint8 RGB
    keypoints: Tensor  # (B, K, 2) float32 pixels of the crop; NaN where not labelled
    visibility: Tensor  # (B, K) uint8: 0 not labelled, 1 occluded, 2 visible
    poses: Tensor | None = None  # (B, K, 2) float32 pixels of the crop: the second input of a refiner

    def to(self, device: torch.device) -> Batch:
        """The batch on a device."""
        every = (self.crops, self.keypoints, self.visibility, *(() if self.poses is None else (self.poses,)))
        return Batch(*(each.to(device, non_blocking=True) for each in every))

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """What the network takes."""
        return (self.crops,) if self.poses is None else (self.crops, self.poses)


Objective = Callable[[Any, Tensor, Tensor], Tensor]
"""Outputs of the network, keypoints (B, K, 2) in pixels of the crop, visibility (B, K) -> the loss, averaged over B."""

Batches = Callable[[int, int, int, int], Generator[Batch]]
"""Called with the first sample of the sequence, the samples of a batch over all processes, the rank and the number of
processes: an endless generator of this process's parts of the batches, each of the same size."""


class Validation(Protocol):
    """Scores the weights; the larger the better."""

    def __call__(self, network: nn.Module) -> dict[str, float]:
        """Figures by name; the first decides which weights are the best, the next ones where it is equal."""


def train(
    network: nn.Module,
    objective: Objective,
    batches: Batches,
    plan: Plan,
    folder: Path,
    process: Process,
    *,
    validate: Validation | None = None,
    keep_best: Callable[[dict[str, Tensor], dict[str, float]], None] = lambda *_: None,
    log: Callable[[dict[str, Any]], None] = lambda _: None,
    on_start: Callable[[int], None] = lambda _: None,
    on_step: Callable[[int, float, float], None] = lambda *_: None,
    stopped: Callable[[], bool] = lambda: False,
) -> Trained:
    """Train a network, from the checkpoint in `folder` if there is one. Process 0 writes; all return the same.

    Args:
        network: takes crops (B, H, W, 3) uint8; changed in place. It ends with the last weights, or their averages.
        objective: the loss.
        batches: the samples.
        plan: of the training.
        folder: of the checkpoint.
        process: this process.
        validate: scores the weights; the last ones are the best without it.
        keep_best: called with the weights of the best validation so far and its figures.
        log: called with events as dicts of numbers and text.
        on_start: called with the number of steps that the checkpoint has done, before the first one here.
        on_step: called after every step with the number of steps done, the loss and the learning rate.
        stopped: whether to end after the current step, with a checkpoint.

    Raises:
        InputError: a batch cannot be divided among the processes; the loss is not finite (the batch is saved); or the
            checkpoint is damaged, of another training, or cannot be written.
    """
    part, rest = divmod(plan.batch_size, process.world_size * plan.accumulate)
    if rest or not part:
        raise InputError(
            f"batch_size: expected a multiple of {process.world_size * plan.accumulate} (processes times parts), got "
            f"{plan.batch_size}"
        )
    network.to(process.device)
    optimiser = make_optimiser(network, plan.optimiser)
    set_train_mode(network)
    average = None if plan.average_momentum is None else WeightAverage(network, plan.average_momentum)
    scaler = torch.amp.GradScaler(process.device.type, enabled=plan.precision == "float16")
    state = _State()
    saved = process.on_first(lambda: load_checkpoint(folder, plan.made_with))
    if saved is not None:
        network.load_state_dict(saved["network"])
        optimiser.load_state_dict(saved["optimiser"])
        scaler.load_state_dict(saved["scaler"])
        if average is not None:
            average.load(saved["average"])
        state = _State(**saved["state"])
        del saved
    process.on_first(lambda: on_start(state.step))

    def save() -> None:
        content = {
            "made_with": dict(plan.made_with),
            "network": network.state_dict(),
            "optimiser": optimiser.state_dict(),
            "average": None if average is None else average.state,
            "scaler": scaler.state_dict(),
            "state": vars(state),
        }
        process.on_first(lambda: save_checkpoint(folder, content))

    model: nn.Module = network
    if process.world_size > 1:
        model = DistributedDataParallel(network, [process.device] if process.device.type == "cuda" else None)
    autocast = torch.autocast(process.device.type, _DTYPES.get(plan.precision), enabled=plan.precision in _DTYPES)
    first_sample, size = state.step * plan.batch_size, plan.batch_size // plan.accumulate
    ended: Literal["complete", "no improvement", "stopped"] = "complete"
    saved_s, clock = time.monotonic(), _Clock()
    with (
        closing(batches(first_sample, size, process.rank, process.world_size)) as stream,
        torch.random.fork_rng([process.device] if process.device.type == "cuda" else []),
    ):
        while state.step < plan.steps and not state.is_done(plan):
            is_stopped, is_due = process.any_of(stopped(), time.monotonic() - saved_s > plan.save_every_s)
            if is_stopped:
                ended = "stopped"
                break
            if is_due:
                save()
                saved_s = time.monotonic()
            lr = plan.optimiser.lr * plan.schedule.factor(state.step, plan.steps, plan.steps_per_epoch)
            set_rate(optimiser, lr)
            torch.manual_seed(_seed(plan.seed, state.step, process.rank))
            step_loss = 0.0
            for i in range(plan.accumulate):
                with clock.waiting():
                    batch = next(stream).to(process.device)
                is_last = i == plan.accumulate - 1
                with nullcontext() if is_last or process.world_size == 1 else model.no_sync():  # type: ignore[operator]
                    with autocast:
                        outputs = model(*batch.inputs)
                    loss = objective(_in_float32(outputs), batch.keypoints, batch.visibility) / plan.accumulate
                    step_loss += process.mean(float(loss.detach()))  # not finite in all if it is not in one
                    if not math.isfinite(step_loss):
                        raise _not_finite(batch, state.step, folder, process)
                    scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
            if plan.clip_norm is not None:
                scaler.unscale_(optimiser)
                clip_grad_norm_(network.parameters(), plan.clip_norm)
            scaler.step(optimiser)
            scaler.update()
            optimiser.zero_grad(set_to_none=True)
            if average is not None:
                average.update(network, state.step)
            state.add(step_loss)
            on_step(state.step, step_loss, lr)
            is_end = state.step == plan.steps
            if state.step % plan.log_every == 0 or is_end:
                log(_step_event(state, plan, lr, clock))
                state.loss_sum, state.loss_count, clock = 0.0, 0, _Clock()
            if validate is not None and (is_end or _crosses(state.step, plan)):
                _validate(network, average, validate, state, plan, process, keep_best, log)
                save()
                saved_s = time.monotonic()
        else:
            ended = "no improvement" if state.step < plan.steps else "complete"
    save()
    if validate is None and ended != "stopped":
        process.on_first(lambda: keep_best(weights_of(network, average), {}))
    if average is not None:
        network.load_state_dict(average.state)
    return Trained(steps=state.step, best=state.best, best_step=state.best_step, ended=ended)


@dataclass
class _State:
    """What a checkpoint keeps besides weights."""

    step: int = 0  # steps done
    best: dict[str, float] = field(default_factory=dict)
    best_step: int = 0
    validations_since_best: int = 0
    loss_sum: float = 0.0  # of the steps since the last event of the log
    loss_count: int = 0

    def add(self, loss: float) -> None:
        """Count a step."""
        self.step += 1
        self.loss_sum += loss
        self.loss_count += 1

    def is_done(self, plan: Plan) -> bool:
        """Whether the score no longer improves."""
        return plan.patience is not None and self.validations_since_best >= plan.patience


@dataclass
class _Clock:
    """Time since the last event of the log."""

    waited_s: float = 0.0  # for data
    started: float = field(default_factory=time.monotonic)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        start = time.monotonic()
        yield
        self.waited_s += time.monotonic() - start


def _step_event(state: _State, plan: Plan, lr: float, clock: _Clock) -> dict[str, Any]:
    return {
        "event": "step",
        "step": state.step,
        "steps": plan.steps,
        "epoch": round(state.step / plan.steps_per_epoch, 3),
        "loss": state.loss_sum / state.loss_count,
        "lr": lr,
        "seconds": round(time.monotonic() - clock.started, 3),
        "seconds_waiting_for_data": round(clock.waited_s, 3),
    }


def _crosses(step: int, plan: Plan) -> bool:
    """Whether a validation falls due with this step."""
    every = plan.validate_every * plan.steps_per_epoch
    return int(step / every) > int((step - 1) / every)


def _validate(
    network: nn.Module,
    average: WeightAverage | None,
    validate: Validation,
    state: _State,
    plan: Plan,
    process: Process,
    keep_best: Callable[[dict[str, Tensor], dict[str, float]], None],
    log: Callable[[dict[str, Any]], None],
) -> None:
    """Score the weights, or their averages, in process 0, and keep them if they are the best so far."""

    def scored() -> dict[str, float]:
        trained = None if average is None else weights_of(network, None)
        if average is not None:
            network.load_state_dict(average.state)
        figures = validate(network.eval())
        if trained is not None:
            network.load_state_dict(trained)
        set_train_mode(network)
        return figures

    figures = process.on_first(scored)
    log({"event": "validation", "step": state.step, "epoch": round(state.step / plan.steps_per_epoch, 3)} | figures)
    if not state.best or tuple(figures.values()) > tuple(state.best.values()):
        state.best, state.best_step, state.validations_since_best = figures, state.step, 0
        process.on_first(lambda: keep_best(weights_of(network, average), figures))
    else:
        state.validations_since_best += 1


def _in_float32(outputs: Any) -> Any:
    """The outputs with all tensors in float32, in which losses are computed."""
    if isinstance(outputs, Tensor):
        return outputs.float()
    if isinstance(outputs, dict):
        return {name: _in_float32(each) for name, each in outputs.items()}
    return [_in_float32(each) for each in outputs]


def _seed(seed: int, step: int, rank: int) -> int:
    """The seed of dropout in a step."""
    return (seed * 1_000_003 + step) * 4099 + rank


def _not_finite(batch: Batch, step: int, folder: Path, process: Process) -> InputError:
    """Save a batch whose loss is not finite, and describe it."""
    path = folder / (BAD_BATCH if process.world_size == 1 else f"{process.rank}_{BAD_BATCH}")
    with written_whole(path) as beside:
        torch.save({"step": step, **vars(batch.to(torch.device("cpu")))}, beside)
    return InputError(
        f"step {step}: the loss is not finite; the batch is saved as {path}; lower the learning rate, clip the "
        "gradient, or train in float32"
    )
