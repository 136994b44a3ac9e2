"""Loads published networks with their weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from estimators.networks import NETWORKS
from estimators.published import PUBLISHED
from posetrail.checkpoints import given_weights, load_checkpoint, load_into
from posetrail.weights import Weights

if TYPE_CHECKING:
    from torch import nn


def loaded(name: str, weights: Path | str | None) -> tuple[nn.Module, Weights]:
    """Build a network of NETWORKS, load its weights and describe them.

    Raises:
        InputError: the weights are missing or of another network.
    """
    known = given_weights(name, weights, source="its authors' page", table=PUBLISHED)
    network = NETWORKS[name]()
    load_into(network, load_checkpoint(known.path), known.path)
    return network, known
