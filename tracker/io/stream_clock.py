"""The clock of a video stream, which goes on where the file sets it back.

Where recordings were joined byte by byte (`cat a.ts b.ts`, chained Ogg, a DVD's title), the second one's clock begins
anew; that of MPEG streams begins anew every 2^33 ticks, too, some of which FFmpeg sees and some of which it sees where
there are none. A clock ahead of where it should be is left alone: that may be a true gap.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

_SLIP_S = 1.0  # a muxer's rounding and disorder are less; who joins recordings is further back, or at the start again
_GAP_S = 10.0  # FFmpeg, too, takes longer ones of MPEG streams for a clock that was set anew
_MPEG_WRAP = 1 << 33  # ticks


@dataclass(frozen=True)
class Gap:
    """A clock that jumped ahead."""

    at_s: float  # the time before it
    length_s: float


class StreamClock:
    """Gives each packet its times; the packets come in the order of the file.

    Args:
        ticks_per_s: of the stream's clock.
        fps: frames per second: when the first frame behind a join is due.
        is_mpeg: whether this is an MPEG transport or program stream.
    """

    def __init__(self, ticks_per_s: Fraction, fps: float, *, is_mpeg: bool) -> None:
        self._ticks_per_s = ticks_per_s
        self._step = max(1, round(ticks_per_s / Fraction(fps)))
        self._is_mpeg = is_mpeg
        self._offset = 0
        self._first: int | None = None  # of the present recording, on its own clock
        self._last = 0
        self._end: int | None = None  # of the last packet presented, on the clock that goes on
        self.joins_s: list[float] = []  # when the first frame behind each join is due
        self.gaps: list[Gap] = []

    @property
    def end_s(self) -> float | None:
        """When the last frame is over; None before the first."""
        return None if self._end is None else float(self._end / self._ticks_per_s)

    def place(self, pts: int | None, dts: int | None, *, is_keyframe: bool) -> tuple[int, bool]:
        """How many ticks to add to a packet's times, and whether the clock was set anew before it."""
        now = dts if dts is not None else pts if is_keyframe else None
        is_set = False
        if now is not None:
            is_set = self._compare(now, now if pts is None else pts)
            self._last = now
        if pts is not None:
            end = pts + self._offset + self._step
            self._end = end if self._end is None else max(end, self._end)
        return self._offset, is_set

    def forget_join(self) -> None:
        """Take back the last join: nothing of what follows it is used."""
        self.joins_s.pop()

    def _compare(self, now: int, pts: int) -> bool:
        """Compare with the clock so far; whether it was set anew."""
        if self._first is None or self._end is None:
            self._first = now
            return False
        ahead = now - self._last
        wrapped = self._is_mpeg and ahead > _MPEG_WRAP // 2
        if wrapped or ahead < -_SLIP_S * self._ticks_per_s or (ahead < 0 and now <= self._first):
            self._offset = max(self._last + self._offset + self._step - now, self._end - pts)
            self._first = now
            self.joins_s.append(float((pts + self._offset) / self._ticks_per_s))
            return True
        if self._is_mpeg and ahead > _GAP_S * self._ticks_per_s:
            self.gaps.append(
                Gap(float((self._last + self._offset) / self._ticks_per_s), float(ahead / self._ticks_per_s))
            )
            return True
        return False

    def notes(self) -> list[str]:
        """What of all this is noteworthy, one line each."""
        notes = []
        if self.joins_s:
            many = "" if len(self.joins_s) == 1 else f"{len(self.joins_s)} times, first "
            notes.append(
                f"the file's clock is set back {many}at {self.joins_s[0]:.2f} s, as where recordings were joined; "
                "the times go on from there"
            )
        if self.gaps:
            gap, more = self.gaps[0], len(self.gaps) - 1
            others = f", and {more} more times" if more else ""
            notes.append(
                f"the file's clock jumps ahead by {gap.length_s:.2f} s at {gap.at_s:.2f} s{others}; times are kept"
            )
        return notes
