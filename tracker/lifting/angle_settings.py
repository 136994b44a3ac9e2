"""Settings of angles and speeds, and what run.json says of them. The flags of `posetrail angles` come from here."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from tracker.checked_settings import Range, check_fields

Facing = Literal["auto", "right", "left"]
_FILES = re.compile(r"angles(-\d+)?\.(csv|parquet|png|svg)")


@dataclass(frozen=True, kw_only=True)
class AngleSettings:
    """How angles and speeds are computed, and of whom.

    Raises:
        InputError: a value cannot be used.
    """

    persons: str = ""
    """Only these people: ids or names, separated by commas, such as 1,2. Default: all."""
    filter_hz: Annotated[float, Range(0.0, 1000.0)] = 6.0
    """Cut-off of a zero-lag Butterworth filter of fourth order on the paths of the joints, in Hz; 0 for no filter."""
    height_m: Annotated[float, Range(0.3, 2.8)] | None = None
    """Body height of these people in metres (0.3..2.8), for speeds in metres per second from 2-D joints."""
    facing: Facing = "auto"
    """Side of the picture that people face, in 2-D: auto finds it in each frame; right and left keep one, so that
    angles stay continuous where a person turns."""
    min_joint_score: Annotated[float, Range(0.0, 1.0)] = 0.2
    """Joints with a lower score are missing (0..1)."""

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def chosen(self) -> tuple[str, ...]:
        """The ids and names of `persons`; none for all people."""
        return tuple(name for name in map(str.strip, self.persons.split(",")) if name)


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Metres per pixel of one person, and how it was found."""

    metres_per_pixel: float
    upright_frames: int  # frames whose median it is; 0: the 90th percentile over all frames


@dataclass(frozen=True, kw_only=True)
class AngleRecord:
    """What run.json says of the files of angles."""

    source: Literal["2d", "3d"]
    settings: dict[str, Any]
    scales: dict[str, Scale] = field(default_factory=dict)  # by track id; empty without a height
    assumptions: tuple[str, ...] = ()  # one line each
    corrections: str = ""  # SHA-256 of those that count; empty: none


def is_angle_file(name: str) -> bool:
    """Whether a file of this name is one of `posetrail angles`: angles.csv, angles-3.png, ..."""
    return _FILES.fullmatch(name) is not None
