"""Runs for the tests of the page: small clips and networks that know the answers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from posetrail.frame import Frame
from posetrail.poses import Detections
from tests.media import numbered_image, write_video
from tests.worlds import STANDING
from tracker.inference.propagation import create_flow
from tracker.io.video import open_source
from tracker.runs.folder import run_clip
from tracker.runs.networks import Networks
from tracker.settings import InferenceSettings, Settings
from tracker.viewer import pieces, run

from ..runs import OnePerson, Upright

SIZE = (256, 192)  # width, height
LEFT_KNEE = 13
PIECE_FRAMES = 16


class Walkers:
    """A detector that reads boxes from a table: (F, P, 4), NaN where a person is not found."""

    def __init__(self, boxes: np.ndarray) -> None:
        self._boxes = boxes

    def __call__(self, frames: Sequence[Frame]) -> list[Detections]:
        found = [self._boxes[frame.index] for frame in frames]
        found = [boxes[np.isfinite(boxes).all(axis=1)] for boxes in found]
        return [Detections(boxes, np.full(len(boxes), 0.9)) for boxes in found]


def tracked(clip: Path, folder: Path, detector: object, **part: Any) -> Path:
    """The run's folder of a clip, or of a part of it, whose people a detector knows."""
    networks = Networks(detector, Upright(), create_flow("none"), (), "cpu")  # type: ignore[arg-type]
    settings = Settings(inference=InferenceSettings(flow="none", detect_every=1, propagate=False))
    return run_clip(open_source(clip, **part), folder, networks, settings).folder


def numbered(place: Path, patch: pytest.MonkeyPatch) -> Path:
    """60 frames of variable length, which show their numbers."""
    for module in (pieces, run):
        patch.setattr(module, "PIECE_FRAMES", PIECE_FRAMES)
    ticks = np.cumsum(np.random.default_rng(1).integers(15, 60, 60)).tolist()
    clip = write_video(place / "clip.mp4", [numbered_image(k, 2) for k in range(60)], ticks=ticks)
    return tracked(clip, place / "run", OnePerson())


def strided(place: Path) -> Path:
    """Every third frame of a video of 60 at 120 frames per second, which show their numbers, from frame 12 on."""
    clip = write_video(place / "clip.mp4", [numbered_image(k, 2) for k in range(60)], fps=120)
    return tracked(clip, place / "run", OnePerson(), start_s=0.1, stride=3)


def marked(place: Path) -> Path:
    """20 frames of one person, whose left knee is a white disc."""
    boxes = np.array([[[40 + 2 * k, 20 + k, 90 + 2 * k, 140 + k]] for k in range(20)], float)
    clip = write_video(place / "clip.mp4", [_with_discs(each) for each in boxes], options={"crf": "5"})
    return tracked(clip, place / "run", Walkers(boxes))


def _with_discs(boxes: np.ndarray) -> np.ndarray:
    knees = boxes[:, :2] + STANDING[LEFT_KNEE] * (boxes[:, 2:] - boxes[:, :2])
    # The middle of the pixel in column x is at x + 0.5.
    y, x = np.mgrid[: SIZE[1], : SIZE[0]] + 0.5
    distance = np.min([np.hypot(x - knee[0], y - knee[1]) for knee in knees], axis=0)
    white = np.rint(230 * np.clip(5 - distance, 0, 1))  # colours would be stored at half the resolution
    return np.repeat(white[:, :, None], 3, axis=2).astype(np.uint8)


def walking(place: Path) -> Path:
    """60 frames of three people who stand apart; the third one is missing in the frames 14 to 43."""
    k = np.arange(60)[:, None]
    left = np.array([20, 100, 180]) + 0.5 * k
    boxes = np.stack([left, np.full(left.shape, 30), left + 40, np.full(left.shape, 150)], axis=2)
    boxes[14:44, 2] = np.nan
    return tracked(_clip(place, 60), place / "run", Walkers(boxes))


def exchanging(place: Path) -> Path:
    """60 frames of two people who meet, are not found for a moment, and go back; a tracker expects them to walk on."""
    way = 100 - 3.2 * np.abs(np.arange(60) - 30)
    left = np.stack([way, 212 - way], axis=1)
    boxes = np.stack([left, np.full(left.shape, 40), left + 36, np.full(left.shape, 140)], axis=2)
    boxes[28:33] = np.nan
    return tracked(_clip(place, 60), place / "run", Walkers(boxes))


def _clip(place: Path, frames: int) -> Path:
    return write_video(place / "clip.mp4", [np.full((SIZE[1], SIZE[0], 3), 40 + k, np.uint8) for k in range(frames)])
