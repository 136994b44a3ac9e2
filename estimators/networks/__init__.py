"""Published pose networks as bare torch modules: one family per file, one line each in NETWORKS, keys as published."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from core.lazy import lazily  # noqa: F401 (until the first line below)

NETWORKS: dict[str, Callable[[], Any]] = {
    # ResNets with deconvolutions
    # High resolution
    # Hourglasses and cascades
    # Transformers and coordinate classification
    # Bottom-up
    # Appearance
}
"""Makers of networks by name; `NETWORKS[name]()` builds one with random numbers, torch is imported then."""
