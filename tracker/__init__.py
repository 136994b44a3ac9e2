"""Frames to tracks: the loop, box propagation, association, video in, files out, command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tracker.run import track as track
    from tracker.settings import Settings as Settings

_HOMES = {"track": "tracker.run", "Settings": "tracker.settings"}


def __getattr__(name: str) -> Any:
    """`from tracker import track` without making every import of this package load the networks' runtime."""
    if name not in _HOMES:
        raise AttributeError(f"module 'tracker' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
