"""Images to person boxes: one network per file, one line in DETECTORS."""

from __future__ import annotations

from typing import Any

from core.errors import unknown_name
from core.people import Detector
from core.runtime import Runtime
from detectors.nanodet import NanoDet
from detectors.networks import NETWORKS as NETWORKS

DETECTORS = {
    "nanodet": NanoDet,
}
"""Detectors by name; `DETECTORS[name].weights` tells where its numbers come from, without loading them."""


def create_detector(name: str, *, runtime: Runtime, **options: Any) -> Detector:
    """A detector by its name; the options are those of its class.

    Raises:
        InputError: no detector has this name, an option has an unusable value, or the weights are damaged.
    """
    if name not in DETECTORS:
        raise unknown_name("detector", name, DETECTORS)
    return DETECTORS[name](runtime, **options)
