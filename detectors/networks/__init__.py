"""Published person detectors as torch modules, with the keys of the published checkpoints.

One file per family. A network is added by its file, a function in `detectors.makers` and a line in NETWORKS. Importing
this package does not import torch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from detectors import makers

if TYPE_CHECKING:
    from torch import nn


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    # YOLOX
    "yolox_nano": lambda: makers.yolox(0.33, 0.25, separable=True),
    "yolox_tiny": lambda: makers.yolox(0.33, 0.375),
    "yolox_s": lambda: makers.yolox(0.33, 0.5),
    "yolox_m": lambda: makers.yolox(0.67, 0.75),
    # RTMDet
    "rtmdet_tiny": lambda: makers.rtmdet(0.167, 0.375),
    "rtmdet_s": lambda: makers.rtmdet(0.33, 0.5),
    "rtmdet_m": lambda: makers.rtmdet(0.67, 0.75, logarithmic=True),
    "rtmdet_m_person": lambda: makers.rtmdet(0.67, 0.75, classes=1, logarithmic=True),
    "rtmdet_nano_person": lambda: makers.rtmdet(0.33, 0.25, classes=1, shared=False, separable=True),
    # ThunderNet
    "thundernet_snet49": lambda: makers.thundernet("snet49"),
    "thundernet_snet146": lambda: makers.thundernet("snet146"),
    "thundernet_snet535": lambda: makers.thundernet("snet535"),
    "thundernet_snet146_rpn": lambda: makers.thundernet_rpn(),
}
"""Functions that build a network with random weights, by its name."""
