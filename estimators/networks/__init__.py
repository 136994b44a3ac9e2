"""Published pose and appearance networks as torch modules, with the keys of the published checkpoints.

One file per family. A network is added by its file, a function in `estimators.makers` and a line in a table:
`estimators.recipes.TOP_DOWN`, `estimators.whole_image.GROUPED` for bottom-up networks, or for appearance networks the
one below. Importing this package does not import torch.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from estimators import makers
from estimators.recipes import TOP_DOWN
from estimators.whole_image import GROUPED

if TYPE_CHECKING:
    from torch import nn

NETWORKS: dict[str, Callable[[], nn.Module]] = {
    **{name: make for name, (_, make) in TOP_DOWN.items()},
    **{name: grouped.network for name, grouped in GROUPED.items()},
    # Landmarks in the image and in metres
    **{name: partial(makers.blazepose, name) for name in ("blazepose_lite", "blazepose_full", "blazepose_heavy")},
    # Appearance
    "osnet_x0_25": lambda: makers.osnet(0.25),
    "osnet_x0_5": lambda: makers.osnet(0.5),
    "osnet_x0_75": lambda: makers.osnet(0.75),
    "osnet_x1_0": lambda: makers.osnet(1.0),
    "osnet_ibn_x1_0": lambda: makers.osnet(1.0, norm=True),
    "osnet_ain_x1_0": makers.osnet_ain,
}
"""Functions that build a network with random weights, by its name."""
