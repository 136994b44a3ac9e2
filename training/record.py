"""What a training is: the description in training.json, and what its results depend on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from estimators.trained import Training
from posetrail.files import written_whole
from posetrail.skeleton_files import SigmaSource
from training.initial import Started
from training.log import RECORD
from training.plan import Plan, Trained
from training.recipes import TrainingRecipe
from training.samples import Samples

if TYPE_CHECKING:
    from training.fit import FitSettings


@dataclass(frozen=True)
class Record:
    """The content of training.json."""

    folder: Path
    training: Training
    recipe: TrainingRecipe
    settings: FitSettings
    samples: Samples
    validation: Samples
    started: Started | None
    sigma_sources: Mapping[str, SigmaSource]  # of the joints

    def write(self, trained: Trained | None, weights_sha256: str) -> None:
        """Write the file.

        Args:
            trained: how the training ended; None before its end.
            weights_sha256: of the best weights, "" if there are none.
        """
        recipe = {name: value for name, value in asdict(replace(self.recipe, loss=None)).items() if name != "loss"}
        content = {
            "network": self.training.network,
            "skeleton": asdict(self.training.skeleton),
            "sigma_sources": dict(self.sigma_sources),
            "input_size": self.training.input_size,
            "recipe": recipe | {"loss": _name(self.recipe.loss)},
            "settings": asdict(self.settings),
            "samples": {"name": self.samples.name, "people": len(self.samples), "validation": len(self.validation)},
            "started": None if self.started is None else asdict(self.started),
            "trained": None if trained is None else asdict(trained),
            "weights_sha256": weights_sha256,
        }
        with written_whole(self.folder / RECORD) as beside:
            beside.write_text(json.dumps(content, indent=2, default=str) + "\n", encoding="utf-8")


def made_with(
    plan: Plan,
    recipe: TrainingRecipe,
    training: Training,
    samples: Samples,
    validation: Samples,
    state: Mapping[str, Tensor],
) -> dict[str, str]:
    """What the results of a training depend on, by names that a message can show.

    Stopping early, workers and devices are left out: they may change when a training continues.
    """
    optimiser = plan.optimiser
    factors = {name.removeprefix(r"(network\.)?"): factor for name, factor in optimiser.lr_factors.items()}
    weights = hashlib.sha256()
    for name, value in state.items():
        weights.update(name.encode() + value.cpu().contiguous().numpy().tobytes())
    rest = replace(recipe, loss=None, epochs=0, batch_size=0, optimiser=replace(optimiser, lr=1, lr_factors={}))
    return {
        "--recipe": recipe.network,
        "--data": _digest(samples),
        "--validation": _digest(validation),
        "--weights": weights.hexdigest() if state else "none",
        "--skeleton": repr(training.skeleton),
        "--input-height": str(training.input_size[1]),
        "--epochs": f"{plan.epochs:g}",
        "--batch-size": str(plan.batch_size),
        "--lr": f"{optimiser.lr:g}",
        "--freeze": " ".join(name for name, factor in factors.items() if factor == 0) or "none",
        "--slow": " ".join(name for name, factor in factors.items() if factor != 0) or "none",
        "--precision": plan.precision,
        "--accumulate": str(plan.accumulate),
        "--seed": str(plan.seed),
        "--validate-every": f"{plan.validate_every:g}",
        "numbers of the recipe": repr((rest, _name(recipe.loss))),
    }


def _digest(samples: Samples) -> str:
    """A digest of people, and of the names of their images."""
    parts = hashlib.sha256()
    for array in (samples.keypoints, samples.visibility, samples.boxes, samples.image_rows):
        parts.update(np.ascontiguousarray(array).tobytes())
    parts.update("\n".join(path.name for path in samples.images).encode(errors="surrogateescape"))
    return parts.hexdigest()


def _name(loss: Any) -> str:
    """The name of a loss and its options: the same in every process, unlike its address."""
    if isinstance(loss, partial):
        return f"{_name(loss.func)}({', '.join(f'{name}={value!r}' for name, value in loss.keywords.items())})"
    return "of the network" if loss is None else f"{loss.__module__}.{loss.__qualname__}"
