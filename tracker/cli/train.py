"""`posetrail train`: parses, calls, prints."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Group, Parameter

from posetrail.errors import InputError
from tracker.cli.exit_codes import UNUSABLE
from tracker.cli.flags import Progress, in_out, required_output
from tracker.cli.printing import Printer
from tracker.cli.train_progress import training_progress
from tracker.signals import stop_on_ctrl_c
from training.fit import FitSettings

_SETTINGS = Annotated[FitSettings, Parameter(name="*", group=Group("Training", sort_key=4))]


def train_command(
    *,
    data: Annotated[
        tuple[Path, ...],
        in_out("File of annotated people, or a folder with one; several are used together.", negative=()),
    ] = (),
    output: Annotated[Path | None, in_out("Folder for weights, log and checkpoint.", name=["--output", "-o"])] = None,
    weights: Annotated[
        str | None,
        in_out(
            "Weights to start from: a file of `posetrail train`, a checkpoint of the recipe's network, or a name from "
            "`posetrail models`. movenet_thunder starts from those of the package.",
            name=["--weights"],
        ),
    ] = None,
    start: Annotated[
        str | None,
        in_out(
            "Network to start from, and recipe: a name from --list. Its weights are those of --weights; without them, "
            "the downloaded ones of this name, or those of the package for movenet_thunder.",
            name=["--from"],
        ),
    ] = None,
    validation: Annotated[
        Path | None, in_out("Annotated people to validate on [default: a tenth of the images of --data].")
    ] = None,
    images: Annotated[Path | None, in_out("Folder of the images [default: searched near the annotations].")] = None,
    skeleton: Annotated[
        Path | None, in_out("TOML file of the joints to train [default: the joints of the data].")
    ] = None,
    redo: Annotated[
        bool, in_out("Start again instead of continuing from the checkpoint in the folder.", negative=())
    ] = False,
    tensorboard: Annotated[
        bool,
        in_out(
            "Also write losses and scores for TensorBoard, into OUTPUT/tensorboard.", negative=(), show_default=False
        ),
    ] = False,
    list: Annotated[bool, in_out("List the recipes.", negative=(), show_default=False)] = False,
    progress: Progress = "auto",
    settings: _SETTINGS = FitSettings(),
) -> int:
    """Train a pose estimator on annotated people, from the beginning or from trained weights.

    The weights of the best validation are written to OUTPUT/best.safetensors; `posetrail track --weights` uses them.
    The same command continues a training that was stopped. Start it with torchrun to train on several devices.
    """
    printer = Printer(as_json=progress == "json")
    if list:
        _print_recipes(printer)
        return 0
    if not data:
        raise InputError("--data: expected annotated people, got none; give a file or a folder of annotations")
    from posetrail.skeleton_files import read_skeleton_and_sources
    from training.bottom_up.fit import fit_bottom_up
    from training.bottom_up.recipes import BOTTOM_UP_RECIPES
    from training.data.read import read_samples
    from training.fit import fit
    from training.processes import EndedElsewhere, is_first_process
    from training.samples import Samples

    folder = required_output(output)
    samples = Samples.concatenate([read_samples(path, images=images) for path in data])
    held_out = None if validation is None else read_samples(validation, images=images)
    joints, sources = (None, None) if skeleton is None else read_skeleton_and_sources(skeleton)
    is_bottom_up = (start or settings.recipe) in BOTTOM_UP_RECIPES
    if is_bottom_up and joints is not None:
        raise InputError(
            f"skeleton: expected none for {start or settings.recipe}, whose joints are fixed, got {skeleton}"
        )
    with stop_on_ctrl_c() as stopped, training_progress(progress) as shown:
        common: dict[str, Any] = {
            "validation": held_out,
            "weights": weights,
            "start_network": start,
            "resume": not redo,
            "tensorboard": tensorboard,
            "on_event": shown.on_event,
            "on_step": shown.on_step,
            "stopped": stopped,
        }
        try:
            if is_bottom_up:
                fitted = fit_bottom_up(samples, folder, settings, **common)
            else:
                fitted = fit(samples, folder, settings, skeleton=joints, sigma_sources=sources, **common)
        except EndedElsewhere:
            return UNUSABLE
    if not is_first_process():
        return stopped.code
    trained = fitted.trained
    scores = ", ".join(f"{name} {value:.1f}" for name, value in trained.best.items())
    text = f"{fitted.weights}: {trained.ended} after {trained.steps} steps" + (f"; best: {scores}" if scores else "")
    printer.result(text, weights=str(fitted.weights), **asdict(trained))
    return stopped.code


def _print_recipes(printer: Printer) -> None:
    from training.bottom_up.recipes import BOTTOM_UP_RECIPES
    from training.recipes import RECIPES

    for name, recipe in (RECIPES | {name: each.recipe for name, each in BOTTOM_UP_RECIPES.items()}).items():
        facts = f"{recipe.target}, {recipe.epochs:g} epochs, batch {recipe.batch_size}, {recipe.optimiser.kind}"
        published = f"; published: {recipe.published}" if recipe.published else ""
        printer.result(f"{name}: {facts}, lr {recipe.optimiser.lr:g}{published}", recipe=name)
