"""Published pose networks as bare torch modules: one family per file, one line each in NETWORKS, keys as published."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from core.lazy import lazily

NETWORKS: dict[str, Callable[[], Any]] = {
    # ResNets with deconvolutions
    # High resolution
    # Hourglasses and cascades
    # Transformers and coordinate classification
    # Bottom-up
    # Appearance
    "osnet_x0_25": lazily("estimators.networks.osnet", "OSNet", widen=0.25),
    "osnet_x0_5": lazily("estimators.networks.osnet", "OSNet", widen=0.5),
    "osnet_x0_75": lazily("estimators.networks.osnet", "OSNet", widen=0.75),
    "osnet_x1_0": lazily("estimators.networks.osnet", "OSNet"),
    "osnet_ibn_x1_0": lazily("estimators.networks.osnet", "OSNet", norm=True),
    "osnet_ain_x1_0": lazily("estimators.networks.osnet", "OSNetAIN"),
}
"""Makers of networks by name; `NETWORKS[name]()` builds one with random numbers, torch is imported then."""
