"""Settings of live sources: delay, dropping of frames, stalls and reconnection. The flags of `posetrail live`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from tracker.checked_settings import Range, check_fields

_DAY_S = 86400.0


@dataclass(frozen=True, kw_only=True)
class LiveSettings:
    """How a live source is read.

    Raises:
        InputError: a value cannot be used.
    """

    drop: bool = True
    """Drop frames that inference is too slow for; the newest frame comes first. With --no-drop, frames wait instead,
    and their times are those that the stream gives: for pipes and files that can be read slower."""
    waiting_frames: Annotated[int, Range(1, 1000)] = 1
    """Frames that may wait for inference. When one more arrives, the oldest of them is dropped."""
    max_delay_s: Annotated[float, Range(0.01, 3600.0)] = 1.0
    """Frames that have waited for longer are dropped, in seconds."""
    stall_s: Annotated[float, Range(0.1, _DAY_S)] = 10.0
    """A source that sends no frame for so many seconds is connected anew."""
    first_retry_s: Annotated[float, Range(0.01, _DAY_S)] = 1.0
    """Pause before the first attempt to connect again, in seconds; each further pause is twice as long."""
    longest_retry_s: Annotated[float, Range(0.01, _DAY_S)] = 30.0
    """Longest pause between two attempts to connect, in seconds."""
    first_frame_s: Annotated[float, Range(0.0, 365 * _DAY_S)] = 30.0
    """Give up if no frame has come so many seconds after the start; 0: never."""
    give_up_s: Annotated[float, Range(0.0, 365 * _DAY_S)] = 0.0
    """Give up if no frame has come for so many seconds later on; 0: never."""
    rtsp_transport: Literal["tcp", "udp"] = "tcp"
    """How an RTSP server sends: tcp loses nothing, udp passes some firewalls worse and loses packets."""

    def __post_init__(self) -> None:
        check_fields(self)
