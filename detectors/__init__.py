"""Images to person boxes: one network per file, one line in DETECTORS, or BRING_WEIGHTS if it travels without."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from detectors import rtmdet, torchvision_models, yolox
from detectors.nanodet import NanoDet
from detectors.networks import NETWORKS as NETWORKS
from detectors.onnx_file import OnnxDetector
from posetrail.errors import unknown_name
from posetrail.options import ONNX_PREFIX, onnx_path, suited
from posetrail.protocols import Detector
from posetrail.runtime import Runtime

DETECTORS = {
    "nanodet": NanoDet,
}
"""Detectors by name; `DETECTORS[name].weights` tells where its numbers come from, without loading them."""

BRING_WEIGHTS: dict[str, Callable[..., Detector]] = {
    **{name: partial(yolox.YOLOX, network=name) for name in yolox.NAMES},
    **{name: partial(rtmdet.RTMDet, network=name) for name in rtmdet.NAMES},
    **{
        f"torchvision:{name}": partial(torchvision_models.TorchvisionDetector, network=name)
        for name in torchvision_models.NAMES
    },
}
"""Detectors by name whose weights the user has, as a file: the option `weights` of each."""


def create_detector(name: str, *, runtime: Runtime, **options: Any) -> Detector:
    """A detector by its name; the options are those of its class.

    >>> create_detector("yolox_s", runtime=runtime, weights="yolox_s.pth")
    >>> create_detector("onnx:rtmdet-m.onnx", runtime=runtime)

    Raises:
        InputError: no detector has this name, an option is not one of its own or has an unusable value, or the weights
            are missing or damaged.
    """
    known: dict[str, Callable[..., Detector]] = {**DETECTORS, **BRING_WEIGHTS}
    if path := onnx_path(name):
        known = {name: partial(OnnxDetector, path=path)}
    if name not in known:
        raise unknown_name("detector", name, (*known, f"{ONNX_PREFIX}FILE"))
    return known[name](runtime, **suited(options, known[name], f"detector {name}"))
