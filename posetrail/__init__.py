"""Tracks people's poses in video: detects every person, estimates their joints, gives each person one identity.

>>> import posetrail as pt
>>> for frame in pt.track("clip.mp4"):  # doctest: +SKIP
...     print(frame.time_s, frame.people.track_ids, frame.people.poses.keypoints.shape)

The public names below are imported from their modules on first use, so `import posetrail` itself loads neither NumPy
nor any other library. No other module in `posetrail/` refers to the packages that are built on it.
"""

from __future__ import annotations

import os

# ONNX Runtime reports every process that imports it to Microsoft from version 1.29 on, unless this is set before.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

TYPE_CHECKING = False  # `typing` would take longer to import than everything else here; type checkers know the name
if TYPE_CHECKING:
    from eval_posetrack.evaluation import evaluate as evaluate
    from posetrail.errors import InputError as InputError
    from posetrail.frame import Frame as Frame
    from posetrail.poses import Detections as Detections
    from posetrail.poses import Poses as Poses
    from posetrail.poses import TrackedPoses as TrackedPoses
    from posetrail.skeletons import SKELETONS as SKELETONS
    from posetrail.skeletons import Skeleton as Skeleton
    from tracker.association.follow import follow as follow
    from tracker.association.tracker import Tracker as Tracker
    from tracker.draw_settings import DrawSettings as DrawSettings
    from tracker.live_settings import LiveSettings as LiveSettings
    from tracker.runs.angles import angles as angles
    from tracker.runs.draw import draw_run as draw_run
    from tracker.runs.folder import track_to_folder as track_to_folder
    from tracker.runs.lift import lift as lift
    from tracker.runs.live import live as live
    from tracker.runs.plots import plot_joint as plot_joint
    from tracker.runs.plots import plot_timeline as plot_timeline
    from tracker.runs.plots3d import plot_skeleton3d as plot_skeleton3d
    from tracker.runs.track import track as track
    from tracker.settings import PRESETS as PRESETS
    from tracker.settings import AssociationSettings as AssociationSettings
    from tracker.settings import InferenceSettings as InferenceSettings
    from tracker.settings import NetworkSettings as NetworkSettings
    from tracker.settings import Settings as Settings

    __version__: str

_MODULES = {
    "evaluate": "eval_posetrack.evaluation",
    "InputError": "posetrail.errors",
    "Frame": "posetrail.frame",
    "Detections": "posetrail.poses",
    "Poses": "posetrail.poses",
    "TrackedPoses": "posetrail.poses",
    "SKELETONS": "posetrail.skeletons",
    "Skeleton": "posetrail.skeletons",
    "follow": "tracker.association.follow",
    "Tracker": "tracker.association.tracker",
    "DrawSettings": "tracker.draw_settings",
    "LiveSettings": "tracker.live_settings",
    "angles": "tracker.runs.angles",
    "draw_run": "tracker.runs.draw",
    "lift": "tracker.runs.lift",
    "live": "tracker.runs.live",
    "plot_joint": "tracker.runs.plots",
    "plot_skeleton3d": "tracker.runs.plots3d",
    "plot_timeline": "tracker.runs.plots",
    "track": "tracker.runs.track",
    "track_to_folder": "tracker.runs.folder",
    "PRESETS": "tracker.settings",
    "AssociationSettings": "tracker.settings",
    "InferenceSettings": "tracker.settings",
    "NetworkSettings": "tracker.settings",
    "Settings": "tracker.settings",
}

__all__ = [
    "PRESETS",
    "SKELETONS",
    "AssociationSettings",
    "Detections",
    "DrawSettings",
    "Frame",
    "InferenceSettings",
    "InputError",
    "LiveSettings",
    "NetworkSettings",
    "Poses",
    "Settings",
    "Skeleton",
    "TrackedPoses",
    "Tracker",
    "__version__",
    "angles",
    "draw_run",
    "evaluate",
    "follow",
    "lift",
    "live",
    "plot_joint",
    "plot_skeleton3d",
    "plot_timeline",
    "track",
    "track_to_folder",
]


if not TYPE_CHECKING:  # to a type checker, a module with a __getattr__ has every name

    def __getattr__(name: str) -> object:
        """Import a public name on first use; ImportError where another file is in the way of posetrail's."""
        if name == "__version__":
            from importlib.metadata import version

            value: object = version("posetrail")
        elif name in _MODULES:
            from posetrail.shadowing import import_own

            value = getattr(import_own(_MODULES[name]), name)
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
