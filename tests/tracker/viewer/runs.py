"""Runs of clips whose frames show their numbers; one person stands in every frame."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from posetrail.frame import Frame
from posetrail.poses import Detections, Poses
from posetrail.skeletons import COCO_17, Skeleton
from tests.media import write_video
from tests.worlds import STANDING
from tracker.inference.propagation import create_flow
from tracker.io.video import open_source
from tracker.runs.folder import run_clip
from tracker.runs.networks import Networks
from tracker.runs.resume import IfExists
from tracker.settings import InferenceSettings, Settings


class OnePerson:
    """A detector that finds one person, who moves to the right by a pixel with every frame of the video."""

    def __call__(self, frames: Sequence[Frame]) -> list[Detections]:
        return [Detections(np.array([[10 + f.index % 60, 5, 40 + f.index % 60, 60]]), np.array([0.9])) for f in frames]


class Upright:
    """An estimator that places a standing person into every box."""

    @property
    def skeleton(self) -> Skeleton:
        return COCO_17

    def __call__(self, frames: Sequence[Frame], boxes: Sequence[np.ndarray]) -> list[Poses]:
        return [
            Poses(
                each[:, None, :2] + STANDING * (each[:, None, 2:] - each[:, None, :2]),
                np.full((len(each), 17), 0.9),
                each,
                np.ones(len(each)),
                np.zeros(len(each)),
            )
            for each in boxes
        ]


def run_of(clip: Path, folder: Path, *, if_exists: IfExists = "associate", **part: Any) -> Path:
    """The run's folder of a clip, or of a part of it."""
    networks = Networks(OnePerson(), Upright(), create_flow("none"), (), "cpu")
    settings = Settings(inference=InferenceSettings(flow="none"))
    return run_clip(open_source(clip, **part), folder, networks, settings, if_exists=if_exists).folder


def numbered_run(place: Path, frames: int = 12, **part: Any) -> Path:
    """The run of a video of numbered frames."""
    return run_of(write_video(place / "clip.mp4", frames), place / "run", **part)
