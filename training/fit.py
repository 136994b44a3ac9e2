"""A whole training: annotated images in, a folder with weights, a log and checkpoints out.

OUT/training.json     what is trained, on what, with which numbers, and how it ended
    best.safetensors  weights of the best validation, for `posetrail track --weights`
    last.pt           the checkpoint from which a stopped training continues
    log.jsonl         one event a line: losses, rates, validations
    times.jsonl       seconds of the steps, and of those the ones spent waiting for data
    report.html       curves, figures and the worst predictions, once the training has ended
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from estimators.recipes import RECIPES as ESTIMATORS
from estimators.recipes import Recipe
from estimators.refiner_recipes import REFINERS
from estimators.top_down import TopDown, from_bytes
from estimators.trained import MOVENET, Training, save_trained
from posetrail import skeleton_files
from posetrail.checkpoints import load_checkpoint
from posetrail.errors import InputError
from posetrail.files import digest, folder_made
from posetrail.protocols import Estimator
from posetrail.skeleton_files import SigmaSource
from posetrail.skeletons import Skeleton
from training.checkpoint import LAST
from training.initial import Started, initialise_head, start_from
from training.loader import CropBatches, Crops
from training.log import LOG, RECORD, TIMES, Log
from training.loop import BAD_BATCH, train
from training.objectives import make_objective
from training.plan import Plan, Precision, Trained
from training.processes import Process, locked, open_process
from training.recipes import TrainingRecipe
from training.record import Record, made_with
from training.refining import FromPoses, refined, refiner_in_training, with_errors_of_validation
from training.report import REPORT, write_report
from training.samples import Samples
from training.start import chosen_start
from training.targets.kinds import TARGETS
from training.tensorboard import opened
from training.validation import Estimates, estimated, figures

BEST = "best.safetensors"


@dataclass(frozen=True, kw_only=True)
class FitSettings:
    """What can be chosen for a training; None keeps the number of the recipe."""

    recipe: str = "hrnet_w32"
    """Recipe: a name from `posetrail train --list`. With --weights it is that of their network."""
    epochs: float | None = None
    """Number of times that every person is seen."""
    batch_size: int | None = None
    """People in a step, over all processes."""
    lr: float | None = None
    """Learning rate for the whole batch."""
    input_height: int | None = None
    """Height of the crops in pixels."""
    patience: int | None = None
    """Stop after so many validations without a better score."""
    validate_every: float = 1.0
    """Epochs between two validations."""
    freeze: tuple[str, ...] = ()
    """Parts of the network that are not trained: starts of the names of parameters, such as body."""
    slow: tuple[str, ...] = ()
    """Parts of the network that are trained at a tenth of the learning rate."""
    precision: Precision = "float32"
    """Precision of the forward pass; bfloat16 and float16 on devices that have them."""
    accumulate: int = 1
    """Parts into which each process divides its share of a batch, to save memory."""
    workers: int = 2
    """Processes that prepare crops, for each process that trains."""
    seed: int = 0
    """Seed of the order, the augmentation and the first weights."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Device that trains."""


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """How a training ended, and where its weights are."""

    folder: Path
    weights: Path
    trained: Trained
    started: Started | None = field(default=None)


def fit(
    samples: Samples,
    folder: Path,
    settings: FitSettings = FitSettings(),
    *,
    validation: Samples | None = None,
    skeleton: Skeleton | None = None,
    sigma_sources: Mapping[str, SigmaSource] | None = None,
    weights: Path | str | None = None,
    start_network: str | None = None,
    resume: bool = True,
    tensorboard: bool = False,
    on_event: Callable[[dict[str, Any]], None] = lambda _: None,
    on_step: Callable[[int, float, float], None] = lambda *_: None,
    stopped: Callable[[], bool] = lambda: False,
) -> Fitted:
    """Train an estimator; a training that was stopped in `folder` continues.

    Args:
        samples: annotated people to train on.
        folder: for the results, made if it does not exist.
        settings: choices.
        validation: annotated people to validate on; a tenth of the images of `samples` if not given.
        skeleton: joints to train; those of the samples if not given.
        sigma_sources: where the OKS sigmas of the skeleton come from, for training.json.
        weights: to start from: a file of `posetrail train`, a checkpoint of the recipe's network, or the name of
            published weights. With them, the schedule of fine-tuning is used.
        start_network: recipe or network whose weights the training starts from; those of `weights` if they are given,
            otherwise the stored or packaged ones of this name.
        resume: continue from the folder's checkpoint; otherwise start again.
        tensorboard: also write the events of the log for TensorBoard, into the folder `tensorboard`.
        on_event: called with every event of the log.
        on_step: called after every step with the number of steps done, the loss and the learning rate.
        stopped: whether to end after the current step.

    Raises:
        InputError: the settings, the weights or the samples cannot be used; the loss is not finite; TensorBoard is not
            installed; or the folder has the checkpoint of another training, or is used by another process.
    """
    given = None if settings.recipe == FitSettings.recipe else settings.recipe
    origin = chosen_start(given, start_network, weights, default=settings.recipe, epochs=settings.epochs)
    recipe, before, state = origin.recipe, origin.before, origin.state
    skeleton = skeleton or samples.skeleton
    samples = _usable(samples, skeleton)
    if validation is None:
        samples, validation = split(samples, settings.seed)
    else:
        validation = _usable(validation, skeleton)
    training = _training_of(recipe, skeleton, settings)
    recipe = recipe.for_crops(training.input_size)
    plan = plan_of(recipe, settings, len(samples))
    plan = replace(plan, made_with=made_with(plan, recipe, training, samples, validation, state))
    with (
        folder_made(folder),
        open_process(settings.device) as process,
        locked(folder, process),
        opened(folder, tensorboard and process.is_first) as board,
    ):
        if not resume:
            process.on_first(lambda: clear(folder))
        network, started = _network(training, before, state, settings.seed)
        module = _with_preprocessing(network, training)
        crops = Crops(
            samples,
            training.input_size,
            recipe.augmentation,
            recipe.last_augmentation,
            plan.epochs * (1 - recipe.last_epochs / recipe.epochs),
            settings.seed,
            with_errors=training.network in REFINERS,
        )
        estimate = _estimation(module, training, recipe, validation, settings.seed)
        sources = sigma_sources or skeleton_files.sigma_sources(skeleton)
        record = Record(folder, training, recipe, settings, samples, validation, started, sources)

        def show(event: dict[str, Any]) -> None:
            board(event)
            on_event(event)

        log = Log(folder, show, writes=process.is_first)
        start = _start_event(record, plan, process)

        def on_start(steps: int) -> None:
            log.start(start | {"steps_done": steps}, steps)
            record.write(None, "")

        trained = train(
            module,
            make_objective(recipe, network, training.input_size),
            CropBatches(crops, settings.workers),
            plan,
            folder,
            process,
            validate=lambda _: figures(validation, estimate()),
            keep_best=lambda best, scores: save_trained(
                folder / BEST, _without_prefix(best), replace(training, about=_about(samples, scores))
            ),
            log=log,
            on_start=on_start,
            on_step=on_step if process.is_first else lambda *_: None,
            stopped=stopped,
        )

        def report() -> None:
            has_best = (folder / BEST).is_file()
            record.write(trained, digest(folder / BEST) if has_best else "")
            if trained.ended == "stopped":
                return
            if has_best:
                network.load_state_dict(load_checkpoint(folder / BEST))
            module.eval()
            write_report(folder, validation, estimate(), of_best=has_best)

        process.on_first(report)
    return Fitted(folder=folder, weights=folder / BEST, trained=trained, started=started)


def split(samples: Samples, seed: int, share: float = 0.1) -> tuple[Samples, Samples]:
    """People to train on and people to validate on: those of a tenth of the images, at least of one.

    Raises:
        InputError: there are fewer than two images with people.
    """
    images = np.unique(samples.image_rows)
    if len(images) < 2:
        raise InputError("data: expected people in two images at least, got one; give --validation")
    order = np.random.default_rng([seed, 1]).permutation(images)
    held_out = np.isin(samples.image_rows, order[: max(1, round(share * len(images)))])
    return samples[~held_out], samples[held_out]


def clear(folder: Path) -> None:
    """Remove the files of a training."""
    for name in (LAST, BEST, LOG, TIMES, RECORD, REPORT, BAD_BATCH):
        (folder / name).unlink(missing_ok=True)


def _start_event(record: Record, plan: Plan, process: Process) -> dict[str, Any]:
    started, skeleton = record.started, record.training.skeleton
    return {
        "event": "start",
        "network": record.training.network,
        "joints": len(skeleton),
        "people": len(record.samples),
        "validation": len(record.validation),
        "steps": plan.steps,
        "batch_size": plan.batch_size,
        "device": str(process.device),
        "processes": process.world_size,
        "joints_taken_over": list(started.taken) if started else [],
        "joints_fresh": list(started.fresh) if started else list(skeleton.joints),
    }


def _usable(samples: Samples, skeleton: Skeleton) -> Samples:
    try:
        mapped = samples if samples.skeleton == skeleton else samples.mapped_to(skeleton)
    except ValueError as error:
        raise InputError(f"data: {error}; give another --skeleton") from None
    usable = mapped[mapped.usable]
    if not len(usable):
        raise InputError(
            f"data: expected people with joints of {skeleton.name} and boxes, got none; see `posetrail data check`"
        )
    return usable


def _training_of(recipe: TrainingRecipe, skeleton: Skeleton, settings: FitSettings) -> Training:
    if recipe.network == MOVENET:
        if settings.input_height not in (None, 256):
            raise InputError(f"input_height: expected 256, the only one of {MOVENET}, got {settings.input_height}")
        return Training(network=MOVENET, skeleton=skeleton, input_size=(256, 256))
    if recipe.network in REFINERS:
        crop = Recipe(input_size=REFINERS[recipe.network].input_size)
        size = crop.of_height(settings.input_height or recipe.input_height).input_size
        return Training(network=recipe.network, skeleton=skeleton, input_size=size)
    known = ESTIMATORS[recipe.network]
    if recipe.network.startswith("rtmpose"):
        known = replace(known, any_size=True)  # a head is made for the size
    decoder = TARGETS[recipe.target].decoder if known.output == "heatmaps" else ""
    return Training(
        network=recipe.network,
        skeleton=skeleton,
        input_size=known.of_height(settings.input_height or recipe.input_height).input_size,
        decoder="" if decoder == known.decoder else decoder,
    )


def plan_of(recipe: TrainingRecipe, settings: FitSettings, samples: int, *, prefix: str = r"(network\.)?") -> Plan:
    """The plan of a recipe with the chosen numbers; `prefix` matches the start of the names of parameters."""
    lr_factors = dict.fromkeys(settings.freeze, 0.0) | dict.fromkeys(settings.slow, 0.1)
    optimiser = replace(
        recipe.optimiser,
        lr=settings.lr or recipe.optimiser.lr,
        lr_factors={
            **{rf"{prefix}{start}": factor for start, factor in lr_factors.items()},
            **recipe.optimiser.lr_factors,
        },
    )
    epochs, batch_size = settings.epochs or recipe.epochs, settings.batch_size or recipe.batch_size
    return Plan(
        epochs=epochs,
        samples=samples,
        batch_size=batch_size,
        optimiser=optimiser,
        schedule=recipe.schedule.fitted(epochs / recipe.epochs, math.ceil(epochs * samples / batch_size)),
        accumulate=settings.accumulate,
        clip_norm=recipe.clip_norm,
        average_momentum=recipe.average_momentum,
        precision=settings.precision,
        seed=settings.seed,
        patience=settings.patience,
        validate_every=settings.validate_every,
    )


def _network(
    training: Training, before: Training | None, state: dict[str, Tensor], seed: int
) -> tuple[nn.Module, Started | None]:
    """The network with the weights to start from."""
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        network = training.make()
        if training.network in REFINERS or (
            training.network != MOVENET and ESTIMATORS[training.network].output in ("heatmaps", "offsets")
        ):
            initialise_head(network)
        if before is None:
            return network, None
        return network, start_from(network, state, before, training)


def _with_preprocessing(network: nn.Module, training: Training) -> nn.Module:
    """The network as the loop calls it: with crops of bytes, and for a refiner with poses."""
    if training.network == MOVENET:
        return network
    if training.network in REFINERS:
        return FromPoses(network, training.refiner)
    return from_bytes(network, ESTIMATORS[training.network])


def _estimation(
    module: nn.Module, training: Training, recipe: TrainingRecipe, validation: Samples, seed: int
) -> Callable[[], Estimates]:
    """A function that estimates the joints of the validation: in their boxes, or by a refiner from wrong poses."""
    if training.network in REFINERS:
        refiner, wrong = refiner_in_training(module, training.refiner), with_errors_of_validation(validation, seed)
        return lambda: refined(refiner, validation, wrong)
    estimator = _estimator(module, training, recipe)
    return lambda: estimated(estimator, validation)


def _estimator(module: nn.Module, training: Training, recipe: TrainingRecipe) -> Estimator:
    """The estimator of a network in training, as `posetrail track` would run it."""
    device = next(module.parameters()).device

    def run(crops: np.ndarray) -> tuple[np.ndarray, ...]:
        with torch.no_grad():
            answer = module(torch.from_numpy(np.ascontiguousarray(crops)).to(device))
        parts = answer.values() if isinstance(answer, dict) else answer
        flat = [answer] if isinstance(answer, Tensor) else list(parts)
        while not isinstance(flat[-1], Tensor):
            flat = list(flat[-1])
        kept = flat if recipe.target == "movenet" or len(flat) == 2 else flat[-1:]
        return tuple(each.float().cpu().numpy() for each in kept)

    if training.network == MOVENET:
        from estimators.movenet import MoveNet

        return MoveNet.of(run, training.skeleton)
    return TopDown(run, training.recipe)


def _without_prefix(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights without the layer that preprocesses."""
    return {name.removeprefix("network."): value for name, value in state.items()}


def _about(samples: Samples, scores: dict[str, float]) -> str:
    shown = ", ".join(f"{name} {value:.1f}" for name, value in scores.items())
    return f"trained on {len(samples)} people of {samples.name}" + (f"; validation: {shown}" if shown else "")
