"""What the writers of all formats share: their interface, the clip's metadata and how numbers are rounded."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from posetrail.poses import TrackedPoses
from posetrail.skeletons import Skeleton
from tracker.frames import TrackedFrame

DECIMALS_PX, DECIMALS_SCORE, DECIMALS_S = 3, 4, 6


@dataclass(frozen=True, kw_only=True)
class ClipInfo:
    """Metadata of a clip that the files of its tracks hold."""

    name: str
    skeleton: Skeleton
    fps: float
    width: int  # pixels
    height: int


class Writer(Protocol):
    """Writes the frames of one clip to one file."""

    failure: str = ""
    """Why there will be no file, in one line; empty if there will be one."""

    @property
    def note(self) -> str:
        """What the file leaves out, in one line; empty if nothing."""
        return ""

    def add(self, frame: TrackedFrame) -> None:
        """Write the next frame, or keep it until more frames are written together."""


@dataclass(frozen=True)
class Format:
    """A file format of tracks."""

    file_name: str
    open: Callable[[Path, ClipInfo], AbstractContextManager[Writer]]


def by_id(people: TrackedPoses) -> TrackedPoses:
    """The same people in the order of their ids."""
    return people[np.argsort(people.track_ids)]


def rounded(values: np.ndarray | float, decimals: int) -> np.ndarray:
    """Rounded as float64, so that 0.1 stays 0.1 in text, without negative zeros."""
    return np.round(np.asarray(values, np.float64), decimals) + 0.0
