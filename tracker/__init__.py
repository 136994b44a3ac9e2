"""Frames to tracks: the loop, box propagation, association, video in, files out, command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tracker.following import follow as follow
    from tracker.run import track as track
    from tracker.settings import FollowSettings as FollowSettings
    from tracker.settings import Settings as Settings
    from tracker.tracker import Tracker as Tracker

_HOMES = {
    "FollowSettings": "tracker.settings",
    "Settings": "tracker.settings",
    "Tracker": "tracker.tracker",
    "follow": "tracker.following",
    "track": "tracker.run",
}


def __getattr__(name: str) -> Any:
    """Names from the modules, imported when they are asked for: `posetrail --help` waits for none of them."""
    if name not in _HOMES:
        raise AttributeError(f"module 'tracker' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
