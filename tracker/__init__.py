"""Frames to tracks: the loop, box propagation, association, video in, files out, command line."""

from __future__ import annotations

from core.lazy import names_from

TYPE_CHECKING = False  # as in core.lazy
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

# `posetrail --help` waits for none of them.
__getattr__ = names_from(__name__, _HOMES)
