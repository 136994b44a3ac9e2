"""Published networks with the weights that the user has."""

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
    """A network of NETWORKS with its numbers, and where they are from.

    Raises:
        InputError: no weights, or not those of this network.
    """
    known = given_weights(name, weights, source="its authors' page", table=PUBLISHED)
    network = NETWORKS[name]()
    load_into(network, load_checkpoint(known.path), known.path)
    return network, known
