"""Functions that build detection networks with random weights; each imports its module when it is called.

Importing this module does not import torch, so that tables of networks are cheap to read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

    from detectors.networks.thundernet import ThunderNet
    from detectors.networks.thundernet_head import Pooling


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


def thundernet(backbone: str, *, classes: int = 21, pooling: Pooling = "max") -> ThunderNet:
    """ThunderNet with a backbone of this name; classes include the background."""
    from detectors.networks.thundernet import ThunderNet

    return ThunderNet(backbone, classes=classes, pooling=pooling)


def thundernet_rpn() -> nn.Module:
    """The first stage of ThunderNet with SNet146, with the keys of another port."""
    from detectors.networks.thundernet_rpn import ThunderNetRPN

    return ThunderNetRPN()
