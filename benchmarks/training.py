"""How fast crops are made for training, and how fast a network is trained on them.

    uv run python -m benchmarks.training
    uv run python -m benchmarks.training --recipes simplebaseline_r18 mobilenetv2_simple --height 128 --steps 10

Rows of the first table, in crops per second of one thread; a worker process of `posetrail train` makes as many:

    crops            the augmented crops of a recipe from images that are decoded once and kept
    warp             only the warp, cv2.warpAffine, of the same images to crops of the same size, as a uint8 image: what
                     every training must do at least
    warp, normalise  the same, and normalised in float32, as most data loaders do it in their workers

The second table has steps per second of the whole loop with its targets, loss and optimiser on one thread, and of the
forward and backward pass alone on a crop that is always the same. Each row has the median of the rounds, and the
ratio to the last row, within the rounds. All images are drawn.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch

from estimators.recipes import RECIPES as ESTIMATORS
from estimators.top_down import from_bytes
from estimators.trained import Training
from posetrail.preprocessing import IMAGENET
from posetrail.skeletons import COCO_17
from training.figures import draw_figures
from training.loader import CropBatches, Crops
from training.loop import train
from training.objectives import make_objective
from training.plan import Plan
from training.processes import Process
from training.recipes import RECIPES
from training.samples import Samples

IMAGE = (640, 480)  # width and height, pixels
Rates = dict[str, list[float]]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipes", nargs="+", default=["hrnet_w32"], choices=sorted(RECIPES), metavar="RECIPE")
    parser.add_argument("--height", type=int, help="height of the crops, pixels [default: that of the network]")
    parser.add_argument("--crops", type=int, default=500, help="crops in a round [%(default)s]")
    parser.add_argument("--steps", type=int, default=5, help="steps in a round; 0: none [%(default)s]")
    parser.add_argument("--batch", type=int, default=8, help="crops in a step [%(default)s]")
    parser.add_argument("--rounds", type=int, default=3, help="[%(default)s]")
    given = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        samples = annotated_figures(Path(folder))
        for name in given.recipes:
            size = ESTIMATORS[RECIPES[name].network].of_height(given.height).input_size
            print(f"{name}, crops of {size[0]} x {size[1]} from images of {IMAGE[0]} x {IMAGE[1]}\n")
            print(table(crop_rates(samples, name, size, given.crops, given.rounds), "crops/s"))
            if given.steps:
                print(table(step_rates(samples, name, size, given.batch, given.steps, given.rounds), "steps/s"))


def annotated_figures(folder: Path, number: int = 16) -> Samples:
    """Drawn figures in images of the size of COCO's."""
    images, keypoints, visibility = draw_figures(number, 0, IMAGE)
    paths = tuple(folder / f"{i}.png" for i in range(number))
    for path, image in zip(paths, images, strict=True):
        cv2.imwrite(str(path), image[:, :, ::-1])
    boxes = np.concatenate([keypoints.min(axis=1), keypoints.max(axis=1)], axis=1)
    return Samples(
        name="figures",
        skeleton=COCO_17,
        images=paths,
        image_rows=np.arange(number),
        boxes=boxes,
        keypoints=keypoints,
        visibility=visibility,
    )


def crop_rates(samples: Samples, name: str, size: tuple[int, int], crops: int, rounds: int) -> Rates:
    """Crops per second of a recipe, and of the warp alone."""
    dataset = Crops(samples, size, RECIPES[name].augmentation)
    images = [dataset._image(i) for i in range(len(samples.images))]  # decoded once
    matrices = [_matrix(box, size) for box in samples.boxes]
    mean, std = (np.array(each, np.float32) for each in (IMAGENET.mean, IMAGENET.std))

    def warp(i: int) -> np.ndarray:
        return np.asarray(cv2.warpAffine(images[i % len(images)], matrices[i % len(images)], size))

    return measured(
        {
            "crops": lambda: [dataset[i // len(samples), i % len(samples)] for i in range(crops)],
            "warp": lambda: [warp(i) for i in range(crops)],
            "warp, normalise": lambda: [(warp(i) - mean) / std for i in range(crops)],
        },
        crops,
        rounds,
    )


def _matrix(box: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The map (2, 3) of a box to a crop."""
    scale = np.array(size) / (box[2:] - box[:2])
    return np.column_stack([np.diag(scale), -box[:2] * scale])


def step_rates(samples: Samples, name: str, size: tuple[int, int], batch: int, steps: int, rounds: int) -> Rates:
    """Steps per second of the whole loop, and of the network alone."""
    recipe = RECIPES[name]
    network = Training(network=recipe.network, skeleton=COCO_17, input_size=size).make()
    module = from_bytes(network, ESTIMATORS[recipe.network])
    objective = make_objective(recipe, network, size)
    loader = CropBatches(Crops(samples, size, recipe.augmentation))
    fixed = next(loader(0, batch, 0, 1))
    plan = Plan(epochs=steps, samples=batch, batch_size=batch, optimiser=recipe.optimiser, clip_norm=recipe.clip_norm)

    def loop() -> None:
        with tempfile.TemporaryDirectory() as folder:
            train(module, objective, loader, plan, Path(folder), Process(0, 1, torch.device("cpu")))

    def alone() -> None:
        module.train()
        for _ in range(steps):
            objective(module(fixed.crops), fixed.keypoints, fixed.visibility).backward()  # type: ignore[no-untyped-call]
        module.zero_grad()

    return measured({"loop": loop, "forward and backward": alone}, steps, rounds)


def measured(works: dict[str, Callable[[], object]], number: int, rounds: int) -> Rates:
    """Rates of each work in every round, after one that does not count; every second round is in reverse."""
    rates: Rates = {name: [] for name in works}
    for i in range(rounds + 1):
        for name in list(works) if i % 2 else list(works)[::-1]:
            start = time.perf_counter()
            works[name]()
            if i:
                rates[name].append(number / (time.perf_counter() - start))
    return rates


def table(rates: Rates, unit: str) -> str:
    """A Markdown table: medians, and ratios to the last row within the rounds."""
    last = np.array(rates[list(rates)[-1]])
    lines = [f"|  | {unit} | ratio |", "| --- | --- | --- |"]
    for name, each in rates.items():
        lines.append(f"| {name} | {np.median(each):.3g} | {np.median(np.array(each) / last):.2f} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
