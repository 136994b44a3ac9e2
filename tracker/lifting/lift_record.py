"""What run.json records about the 3-D tracks of a run: what made them, and under which assumptions."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from posetrail.skeletons import Skeleton
from tracker.lifting.lift import PersonFigures

Axes = Literal["camera", "floor"]
"""camera: x right, y down, z away from the camera, which is at 0. floor: the same, but level, and y is 0 on the floor,
so that heights are negative."""


@dataclass(frozen=True, kw_only=True)
class LiftRecord:
    """The part of run.json about tracks3d.csv."""

    model: str
    weights_sha256: str  # empty of an object that the user passed in
    licence: str = ""
    skeleton: dict[str, Any]  # of the 3-D joints
    unit: Literal["m"] = "m"
    axes: Axes = "camera"
    focal_px: float
    focal_assumed: bool  # none was given
    fov_deg: float  # of the width of the picture, with this focal length
    camera: Literal["still", "moving", "unknown"]
    height_m: float | None = None  # as given for all people; None: not given
    heights_m: dict[str, float] | None = None  # as given, by track id
    rate_hz: float | None = None  # to which tracks were resampled; None: the frame rate of the clip
    people: tuple[PersonFigures, ...]
    not_placed: tuple[int, ...] = ()  # track ids with stretches that are left out: too few joints were seen
    tracks: str  # sha256 of what decides the 2-D tracks; another one now: the 3-D tracks are stale
    sha256: str  # of tracks3d.csv

    def joints(self) -> Skeleton:
        """The skeleton of the 3-D joints."""
        pairs = {name: tuple(map(tuple, self.skeleton[name])) for name in ("limbs", "mirror_pairs")}
        return Skeleton(
            name=self.skeleton["name"],
            joints=tuple(self.skeleton["joints"]),
            oks_sigmas=tuple(self.skeleton["oks_sigmas"]),
            **pairs,
        )


def skeleton_values(skeleton: Skeleton) -> dict[str, Any]:
    """A skeleton as run.json holds it."""
    return asdict(skeleton)
