"""Published person detectors as bare torch modules: a family per file, a line each in NETWORKS, keys as published."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from core.lazy import lazily  # noqa: F401 (until the first line below)

NETWORKS: dict[str, Callable[[], Any]] = {
    # YOLOX
    # RTMDet
}
"""Makers of networks by name; `NETWORKS[name]()` builds one with random numbers, torch is imported then."""
