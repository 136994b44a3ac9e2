"""Exports weights of `posetrail train` as an ONNX file that `posetrail track --estimator onnx:FILE` uses as it is."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from torch import Tensor, nn

from estimators.movenet_network import MoveNetNetwork
from estimators.networks.last_output import LastOutput
from estimators.recipes import Recipe
from estimators.trained import MOVENET, Training, load_trained, metadata_of
from posetrail.export import Exported, export_onnx
from posetrail.layers import CentreMap
from posetrail.preprocessing import MINUS_1_TO_1

_DECODED = ("heatmaps", "offsets")  # outputs with a choice of decoders


def export_trained(weights: Path, training: Training, path: Path) -> Exported:
    """Export trained weights with the description of their training, and check the file.

    Args:
        weights: a file of `posetrail train`.
        training: its description, from `estimators.trained.read_training`.
        path: the .onnx file; it appears complete or not at all. Its input is (batch, 3, height, width), normalised as
            its metadata say; its outputs are those that are decoded.

    Raises:
        InputError: the weights do not fit their description, or onnx and onnxscript are not installed.
        RuntimeError: the outputs of the file differ from those of the network.
    """
    network, known = load_trained(weights, training)
    width, height = training.input_size
    metadata = {
        "name": training.network,
        "weights": weights.name,
        "weights_sha256": known.sha256,
        "licence": known.licence,
        "source": known.source,
        **_for_other_programs(training),
        **metadata_of(training),
    }
    return export_onnx(_decoded_outputs(network, training), (height, width), path, metadata=metadata)


def _for_other_programs(training: Training) -> dict[str, str]:
    """Joints, normalisation and decoder as text; posetrail reads the description of the training instead."""
    is_movenet = training.network == MOVENET
    preprocessing = MINUS_1_TO_1 if is_movenet else training.recipe.preprocessing
    decoder = "movenet" if is_movenet else training.recipe.decoder if training.recipe.output in _DECODED else ""
    return {
        "joints": ",".join(training.skeleton.joints),
        "normalisation": json.dumps(asdict(preprocessing)),
        "decoder": decoder,
    }


def _decoded_outputs(network: nn.Module, training: Training) -> nn.Module:
    """The network from normalised images to the outputs that are decoded, without those of earlier stages."""
    if training.network == MOVENET:
        assert isinstance(network, MoveNetNetwork)
        return _Maps(network)
    decoded = network if training.recipe.output == "simcc" else LastOutput(network)
    return of_images(decoded, training.recipe)


def of_images(network: nn.Module, recipe: Recipe | None) -> nn.Module:
    """The network with the map of the centre in it, if its recipe has one, so that it takes images alone."""
    if recipe is None or recipe.centre_sigma_px is None:
        return network
    return CentreMap(network, recipe.centre_sigma_px)


class _Maps(nn.Module):
    """MoveNet's network for images that are normalised already."""

    def __init__(self, network: MoveNetNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Images (N, 3, 256, 256) of -1..1 to the four maps."""
        return self.network.maps(images)
