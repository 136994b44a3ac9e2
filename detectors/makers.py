"""Functions that build detection networks with random weights; each imports its module when it is called.

Importing this module does not import torch, so that tables of networks are cheap to read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


def yolox(deepen: float, widen: float, *, separable: bool = False) -> nn.Module:
    """YOLOX with factors on its depth and width."""
    from detectors.networks.yolox import YOLOX

    return YOLOX(deepen, widen, separable=separable)


def rtmdet(
    deepen: float,
    widen: float,
    *,
    classes: int = 80,
    shared: bool = True,
    logarithmic: bool = False,
    separable: bool = False,
) -> nn.Module:
    """RTMDet with factors on its depth and width."""
    from detectors.networks.rtmdet import RTMDet

    return RTMDet(deepen, widen, classes=classes, shared=shared, logarithmic=logarithmic, separable=separable)
