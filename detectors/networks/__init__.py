"""Published person detectors as bare torch modules: a family per file, a line each in NETWORKS, keys as published."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from posetrail.lazy import lazily

NETWORKS: dict[str, Callable[[], Any]] = {
    # YOLOX
    "yolox_nano": lazily("detectors.networks.yolox", "YOLOX", deepen=0.33, widen=0.25, separable=True),
    "yolox_tiny": lazily("detectors.networks.yolox", "YOLOX", deepen=0.33, widen=0.375),
    "yolox_s": lazily("detectors.networks.yolox", "YOLOX", deepen=0.33, widen=0.5),
    "yolox_m": lazily("detectors.networks.yolox", "YOLOX", deepen=0.67, widen=0.75),
    # RTMDet
    "rtmdet_tiny": lazily("detectors.networks.rtmdet", "RTMDet", deepen=0.167, widen=0.375),
    "rtmdet_s": lazily("detectors.networks.rtmdet", "RTMDet", deepen=0.33, widen=0.5),
    "rtmdet_m": lazily("detectors.networks.rtmdet", "RTMDet", deepen=0.67, widen=0.75, logarithmic=True),
    "rtmdet_m_person": lazily(
        "detectors.networks.rtmdet", "RTMDet", deepen=0.67, widen=0.75, classes=1, logarithmic=True
    ),
    "rtmdet_nano_person": lazily(
        "detectors.networks.rtmdet", "RTMDet", deepen=0.33, widen=0.25, classes=1, shared=False, separable=True
    ),
}
"""Makers of networks by name; `NETWORKS[name]()` builds one with random numbers, torch is imported then."""
