"""Weights of `posetrail train`: network, skeleton and recipe are in the metadata of the file.

The metadata of a safetensors file, or of an ONNX file that was exported from one, has a JSON text under the key
`posetrail_training`.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from estimators.recipes import RECIPES, TOP_DOWN, Recipe
from estimators.refiner_recipes import REFINERS, RefinerRecipe
from posetrail.checkpoints import load_checkpoint, load_into
from posetrail.errors import InputError
from posetrail.files import digest, written_whole
from posetrail.skeleton_files import skeleton_from_dict, skeleton_to_dict
from posetrail.skeletons import Skeleton
from posetrail.weights import Weights

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

_KEY = "posetrail_training"
MOVENET = "movenet_thunder"


@dataclass(frozen=True, kw_only=True)
class Training:
    """What weights were trained for."""

    network: str  # a name in estimators.ESTIMATORS, or a refiner
    skeleton: Skeleton
    input_size: tuple[int, int]  # width and height of the crops, pixels
    decoder: str = ""  # of heatmaps; empty for the one of the network's recipe
    about: str = ""  # data, steps and score, one line

    @property
    def recipe(self) -> Recipe:
        """Preprocessing, crop and decoding.

        Raises:
            InputError: it is of a refiner.
        """
        if self.network in REFINERS:
            raise InputError(f"weights: expected those of an estimator, got those of the refiner {self.network}")
        recipe = RECIPES[self.network].with_decoder(self.decoder or None)
        return replace(recipe, skeleton=self.skeleton, input_size=self.input_size)

    @property
    def refiner(self) -> RefinerRecipe:
        """Crop and inputs of a refiner."""
        return REFINERS[self.network].of(self.skeleton, self.input_size)

    def make(self) -> nn.Module:
        """The network with random weights."""
        if self.network in REFINERS:
            return REFINERS[self.network].make(joints=len(self.skeleton))
        if self.network == MOVENET:
            from estimators.movenet_network import MoveNetNetwork

            return MoveNetNetwork(len(self.skeleton))
        sizes = {"input_size": self.input_size} if self.network.startswith("rtmpose") else {}
        return TOP_DOWN[self.network][1](joints=len(self.skeleton), **sizes)


def save_trained(path: Path, state: Mapping[str, Tensor], training: Training) -> None:
    """Write weights with their description; the file appears complete or not at all."""
    from safetensors.torch import save

    content = save({name: value.contiguous() for name, value in state.items()}, metadata_of(training))
    with written_whole(path) as beside:
        beside.write_bytes(content)  # save_file would make a file that others may not read, whatever the umask


def metadata_of(training: Training) -> dict[str, str]:
    """Metadata that describe a training, as `training_in` reads them."""
    described = asdict(training) | {"skeleton": skeleton_to_dict(training.skeleton)}
    return {_KEY: json.dumps(described)}


def read_training(path: Path) -> Training | None:
    """The description in a weights file; None for files of other programs.

    Raises:
        InputError: the description is damaged, or the network is unknown to this posetrail.
    """
    from safetensors import SafetensorError, safe_open

    if path.suffix != ".safetensors" or not path.is_file():
        return None
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise InputError(f"weights {path}: cannot be read ({error}); it may be incomplete") from None
    return training_in(metadata, f"weights {path}")


def training_in(metadata: Mapping[str, str], where: str) -> Training | None:
    """The training that the metadata of a file describe; None for files of other programs.

    Args:
        metadata: of the file.
        where: the file, for error messages.

    Raises:
        InputError: the description is damaged, or the network is unknown to this posetrail.
    """
    if _KEY not in metadata:
        return None
    try:
        values: dict[str, Any] = json.loads(metadata[_KEY])
        width, height = map(int, values["input_size"])
        training = Training(
            network=str(values["network"]),
            skeleton=skeleton_from_dict(values["skeleton"]),
            input_size=(width, height),
            decoder=str(values["decoder"]),
            about=str(values["about"]),
        )
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{where}: expected the description of a training, got others ({error})") from None
    if training.network not in (*TOP_DOWN, *REFINERS, MOVENET):
        raise InputError(f"{where}: is of the network {training.network!r}, which this posetrail does not have")
    without_heatmaps = training.network in (MOVENET, *REFINERS) or RECIPES[training.network].output != "heatmaps"
    if training.decoder and without_heatmaps:
        raise InputError(f"{where}: expected no decoder of heatmaps for {training.network}, got {training.decoder!r}")
    return training


def load_trained(path: Path, training: Training) -> tuple[nn.Module, Weights]:
    """The network of a weights file, and the description of its weights.

    Raises:
        InputError: the weights do not fit their description.
    """
    network = training.make()
    load_into(network, load_checkpoint(path), path)
    return network, trained_weights(path, training)


def trained_weights(path: Path, training: Training) -> Weights:
    """How run.json describes these weights."""
    return Weights(
        name=training.network,
        path=path,
        sha256=digest(path),
        licence="that of the training's data",
        source="posetrail train",
        about=training.about,
    )
