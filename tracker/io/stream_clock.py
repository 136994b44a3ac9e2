"""The clock of a video stream, continued where the file sets it back.

If recordings were joined byte by byte (`cat a.ts b.ts`, chained Ogg, a title of a DVD), the clock restarts with the
second one. The clock of MPEG streams also restarts every 2^33 ticks; FFmpeg misses some of these restarts and reports
others that do not exist. A clock that jumps ahead is not changed, because the gap may be real.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

_SLIP_S = 1.0  # more than the rounding and disorder of muxers, less than the jump at a join
_GAP_S = 10.0  # FFmpeg also treats longer gaps of MPEG streams as a restart of the clock
_MPEG_WRAP = 1 << 33  # ticks


@dataclass(frozen=True)
class Gap:
    """A clock that jumped ahead."""

    at_s: float  # the time before it
    length_s: float


class StreamClock:
    """Computes the times of packets, which are passed in the order of the file.

    Args:
        ticks_per_s: of the stream's clock.
        fps: frames per second; spaces the first frame after a join.
        is_mpeg: whether this is an MPEG transport or program stream.
    """

    def __init__(self, ticks_per_s: Fraction, fps: float, *, is_mpeg: bool) -> None:
        self._ticks_per_s = ticks_per_s
        self._step = max(1, round(ticks_per_s / Fraction(fps)))
        self._is_mpeg = is_mpeg
        self._offset = 0
        self._first: int | None = None  # of the present recording, on its own clock
        self._last = 0
        self._end: int | None = None  # of the last packet presented, on the continued clock
        self.joins_s: list[float] = []  # time of the first frame after each join
        self.gaps: list[Gap] = []

    @property
    def end_s(self) -> float | None:
        """End of the last frame; None before the first."""
        return None if self._end is None else float(self._end / self._ticks_per_s)

    def place(self, pts: int | None, dts: int | None, *, is_keyframe: bool) -> tuple[int, bool]:
        """Number of ticks to add to a packet's times, and whether the clock was set back before it."""
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
        """Remove the last join, because no packet after it is used."""
        self.joins_s.pop()

    def _compare(self, now: int, pts: int) -> bool:
        """Compare with the clock so far; returns whether it was set back."""
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
