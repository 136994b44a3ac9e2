"""Detectors: frames to person boxes.

A detector is added by its file and a line in DETECTORS; see `posetrail.protocols.Detector`. Importing this package does
not import torch.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from detectors import rtmdet, thundernet, torchvision_models, yolox
from detectors.from_file import BoxesFromFile
from detectors.nanodet import NanoDet
from detectors.networks import NETWORKS as NETWORKS
from detectors.onnx_file import OnnxDetector
from posetrail.errors import unknown_name
from posetrail.options import BOXES_PREFIX, ONNX_PREFIX, boxes_path, onnx_path, suited
from posetrail.protocols import Detector
from posetrail.runtime import Runtime

BUILT_IN = {
    "nanodet": NanoDet,
}
"""Detectors whose weights are in the package; `BUILT_IN[name].network.weights` describes them without loading them."""

DETECTORS: dict[str, Callable[..., Detector]] = {
    **BUILT_IN,
    **{name: partial(yolox.YOLOX, network=name) for name in yolox.NAMES},
    **{name: partial(rtmdet.RTMDet, network=name) for name in rtmdet.NAMES},
    **{name: partial(thundernet.ThunderNet, network=name) for name in thundernet.NAMES},
    **{
        f"torchvision:{name}": partial(torchvision_models.TorchvisionDetector, network=name)
        for name in torchvision_models.NAMES
    },
}
"""Detectors by name. Those that are not built in have an option `weights`; see `detectors.published`."""


def create_detector(name: str, *, runtime: Runtime, **options: Any) -> Detector:
    """Create a detector by its name, with the options of its class.

    >>> create_detector("yolox_s", runtime=runtime, weights="yolox_s.pth")
    >>> create_detector("onnx:rtmdet-m.onnx", runtime=runtime)
    >>> create_detector("boxes:det.txt", runtime=runtime)

    Raises:
        InputError: the name is unknown, an option is unknown or unusable, or the weights are missing or damaged.
    """
    make: Callable[..., Detector]
    if path := onnx_path(name):
        make = partial(OnnxDetector, path=path)
    elif path := boxes_path(name):
        make = partial(BoxesFromFile, path=path)
    elif name in DETECTORS:
        make = DETECTORS[name]
    else:
        raise unknown_name("detector", name, (*DETECTORS, f"{ONNX_PREFIX}FILE", f"{BOXES_PREFIX}FILE"))
    return make(runtime, **suited(options, make, f"detector {name}"))
