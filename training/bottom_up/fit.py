"""A whole training of a bottom-up network: annotated images in, a folder as that of `training.fit` out, no report.

best.safetensors has the keys of the published checkpoint: `posetrail track --estimator NAME --estimator-weights` reads
it. Validation runs the network as tracking does, and scores all people of the validation's images by OKS AP.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from estimators.bottom_up import BottomUpNetwork
from estimators.trained import Training
from estimators.whole_image import GROUPED
from eval_posetrack.metrics.image_ap import AnnotatedPeople, PredictedPeople, count_images
from posetrail import skeleton_files
from posetrail.checkpoints import given_weights, load_checkpoint, load_into
from posetrail.errors import InputError, unknown_name
from posetrail.files import digest, folder_made, written_whole
from posetrail.frame import Frame
from posetrail.joint_mapping import mapped
from posetrail.layers import FromBytes
from posetrail.skeletons import Skeleton
from training.bottom_up.recipes import (
    BOTTOM_UP_RECIPES,
    PREFIX,
    BottomUpRecipe,
    Supervised,
    make_objective,
    trained_skeleton,
)
from training.bottom_up.whole_images import ImageBatches, WholeImages
from training.data.image_files import read_image
from training.fit import BEST, FitSettings, Fitted, clear, plan_of, split
from training.log import Log
from training.loop import train
from training.processes import locked, open_process
from training.recipes import fine_tuned
from training.record import Record, made_with
from training.samples import Samples
from training.tensorboard import opened

_MULTIPLE = 64  # of the sides of samples


def fit_bottom_up(
    samples: Samples,
    folder: Path,
    settings: FitSettings,
    *,
    validation: Samples | None = None,
    weights: Path | str | None = None,
    start_network: str | None = None,
    resume: bool = True,
    tensorboard: bool = False,
    on_event: Callable[[dict[str, Any]], None] = lambda _: None,
    on_step: Callable[[int, float, float], None] = lambda *_: None,
    stopped: Callable[[], bool] = lambda: False,
) -> Fitted:
    """Train a bottom-up network on whole images; arguments and errors are those of `training.fit.fit`.

    The joints are those of the network; maps of joints that the data do not have are not trained. `input_height` is the
    side of the square samples.
    """
    name = start_network or settings.recipe
    if name not in BOTTOM_UP_RECIPES:
        raise unknown_name("recipe", name, BOTTOM_UP_RECIPES)
    chosen = BOTTOM_UP_RECIPES[name]
    if start_network is not None and weights is None:
        weights = start_network
    recipe = chosen.recipe if weights is None else fine_tuned(chosen.recipe, epochs=settings.epochs or 20)
    side = settings.input_height or chosen.side_px
    if side % _MULTIPLE and side != chosen.side_px:
        raise InputError(f"input_height: expected a multiple of {_MULTIPLE}, or {chosen.side_px}, got {side}")
    skeleton = trained_skeleton(name)
    samples = with_joints(samples, skeleton)
    if validation is None:
        samples, validation = split(samples, settings.seed)
    else:
        validation = with_joints(validation, skeleton)
    training = Training(network=name, skeleton=skeleton, input_size=(side, side))
    network, state = _network(name, weights, settings.seed)
    images = WholeImages(samples, side, recipe.augmentation, chosen.around, settings.seed)
    plan = plan_of(recipe, settings, len(images.images), prefix=r"(network\.)*")
    plan = replace(plan, made_with=made_with(plan, recipe, training, samples, validation, state))
    known = torch.from_numpy(samples.labelled.any(axis=0))
    with (
        folder_made(folder),
        open_process(settings.device) as process,
        locked(folder, process),
        opened(folder, tensorboard and process.is_first) as board,
    ):
        if not resume:
            process.on_first(lambda: clear(folder))
        module = Supervised(network, name)
        record = Record(
            folder, training, recipe, settings, samples, validation, None, skeleton_files.sigma_sources(skeleton)
        )

        def show(event: dict[str, Any]) -> None:
            board(event)
            on_event(event)

        log = Log(folder, show, writes=process.is_first)
        start = {
            "event": "start",
            "network": name,
            "joints": len(skeleton),
            "people": len(samples),
            "validation": len(validation),
            "steps": plan.steps,
            "batch_size": plan.batch_size,
            "device": str(process.device),
            "processes": process.world_size,
            "joints_taken_over": list(skeleton.joints) if state else [],
            "joints_fresh": [] if state else list(skeleton.joints),
        }

        def on_start(steps: int) -> None:
            log.start(start | {"steps_done": steps}, steps)
            record.write(None, "")

        trained = train(
            module,
            make_objective(name, side, known),
            ImageBatches(images, settings.workers),
            plan,
            folder,
            process,
            validate=lambda _: figures(validation, estimator_of(network, chosen, side)),
            keep_best=lambda best, scores: _save(folder / BEST, best),
            log=log,
            on_start=on_start,
            on_step=on_step if process.is_first else lambda *_: None,
            stopped=stopped,
        )
        process.on_first(lambda: record.write(trained, digest(folder / BEST) if (folder / BEST).is_file() else ""))
    return Fitted(folder=folder, weights=folder / BEST, trained=trained)


def with_joints(samples: Samples, skeleton: Skeleton) -> Samples:
    """The people with the joints of a network, all of them, also crowds; necks and pelvises are computed.

    Raises:
        InputError: no joint of the skeleton is labelled.
    """
    if samples.skeleton != skeleton:
        seen = samples.labelled
        keypoints, is_labelled = mapped(
            samples.keypoints.astype(np.float64), seen.astype(float), samples.skeleton, skeleton
        )
        visibility = np.where((is_labelled > 0) & np.isfinite(keypoints).all(axis=2), 2, 0)
        keypoints = np.where(visibility[..., None] > 0, keypoints, np.nan)
        samples = replace(samples, skeleton=skeleton, keypoints=keypoints, visibility=visibility)
    if not samples.usable.any():
        raise InputError(
            f"data: expected people with joints of {skeleton.name} and boxes, got none; see `posetrail data check`"
        )
    with_people = np.unique(samples.image_rows[samples.usable])
    return samples[np.isin(samples.image_rows, with_people)]


def _network(name: str, weights: Path | str | None, seed: int) -> tuple[nn.Module, dict[str, Tensor]]:
    """The network, and the weights that it starts with."""
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        network = GROUPED[name].network()
    if weights is None:
        return network, {}
    from estimators.published import PUBLISHED

    path = given_weights(name, weights, source="given by the user", table=PUBLISHED).path
    load_into(network, load_checkpoint(path), path)
    return network, network.state_dict()


def estimator_of(network: nn.Module, chosen: BottomUpRecipe, side: int) -> BottomUpNetwork:
    """The estimator of a network in training, as `posetrail track` would run it."""
    grouped = GROUPED[chosen.recipe.network]
    share = side / chosen.side_px
    way = replace(grouped.way, side_px=round(grouped.way.side_px * share))
    module = FromBytes(network if grouped.maps is None else grouped.maps(network), way.preprocessing)
    device = next(network.parameters()).device
    module = module.to(device)

    def run(canvases: np.ndarray) -> tuple[np.ndarray, ...]:
        with torch.no_grad():
            answer = module(torch.from_numpy(np.ascontiguousarray(canvases)).to(device))
        return tuple(each.float().cpu().numpy() for each in ([answer] if isinstance(answer, Tensor) else answer))

    return BottomUpNetwork(run, way)


def figures(samples: Samples, estimator: BottomUpNetwork) -> dict[str, float]:
    """AP, AP50, AP75 and AR of OKS over all people of the samples' images, in percent; the first names the best."""
    images, keypoints, scores = [], [], []
    for number in np.unique(samples.image_rows).tolist():
        frame = Frame(number, 0.0, samples.images[number].name, read_image(samples.images[number]))
        [poses] = estimator([frame])
        placed, _ = mapped(
            poses.keypoints.astype(np.float64), poses.keypoint_scores, estimator.skeleton, samples.skeleton
        )
        images += [number] * len(poses)
        keypoints.append(placed)
        scores.append(poses.scores)
    order = np.argsort(samples.image_rows, kind="stable")
    people = AnnotatedPeople(
        samples.image_rows[order].astype(np.int64),
        samples.keypoints[order].astype(float),
        samples.boxes[order].astype(float),
        samples.oks_areas[order].astype(float),
        samples.is_crowd[order],
    )
    K = len(samples.skeleton)
    found = PredictedPeople(
        np.array(images, np.int64), np.concatenate([np.zeros((0, K, 2)), *keypoints]), np.concatenate([[], *scores])
    )
    known = count_images(people, found, np.array(samples.skeleton.oks_sigmas)).figures()
    return {name: round(float(np.nan_to_num(known[name])), 2) for name in ("AP", "AP50", "AP75", "AR")}


def _save(path: Path, state: dict[str, Tensor]) -> None:
    """Write weights under the keys of the published checkpoint; the file appears complete or not at all."""
    from safetensors.torch import save

    content = save({key.removeprefix(PREFIX): value.contiguous() for key, value in state.items()})
    with written_whole(path) as beside:
        beside.write_bytes(content)
