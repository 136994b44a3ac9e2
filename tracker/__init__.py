"""Frames to tracks: the loop, box propagation, association, video in, files out, command line."""

from __future__ import annotations

from posetrail.lazy import names_from

TYPE_CHECKING = False  # as in posetrail.lazy
if TYPE_CHECKING:
    from tracker.association.follow import follow as follow
    from tracker.association.tracker import Tracker as Tracker
    from tracker.runs.run import track as track
    from tracker.settings import AssociationSettings as AssociationSettings
    from tracker.settings import Settings as Settings

_HOMES = {
    "AssociationSettings": "tracker.settings",
    "Settings": "tracker.settings",
    "Tracker": "tracker.association.tracker",
    "follow": "tracker.association.follow",
    "track": "tracker.runs.run",
}

# `posetrail --help` waits for none of them.
__getattr__ = names_from(__name__, _HOMES)
