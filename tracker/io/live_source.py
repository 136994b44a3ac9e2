"""A live source: a thread decodes as fast as pictures come, and only the newest wait for whoever asks for frames.

Nothing grows with time: at most `waiting_frames` pictures wait, older ones are dropped and counted. The time of a frame
is that of its arrival, in seconds since the source was opened. A connection that fails, stalls or ends is made anew
after a pause, which doubles from attempt to attempt.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Literal, Self

from posetrail.errors import InputError
from posetrail.frame import Frame
from tracker.io.live_address import LiveAddress
from tracker.io.live_streams import LivePicture, SourceLost, connected
from tracker.live_settings import LiveSettings

_POLL_S = 0.05
_JOIN_S = 2.0  # a thread that waits for a stalled source is left to end by itself after its time limit
_MOST_EVENTS = 100  # that wait for a consumer
_NO_DROP_WAITING = 4  # frames that wait at least with drop=False

EventKind = Literal["connected", "reconnecting", "resolution", "ended"]


@dataclass(frozen=True)
class LiveEvent:
    """Something that happened to a live source, without passwords."""

    kind: EventKind
    time_s: float  # since the source was opened
    text: str  # one line
    values: dict[str, Any] = field(default_factory=dict)  # by the names of docs/reference/live.md


@dataclass(frozen=True, kw_only=True)
class LiveCounts:
    """What a source has done so far."""

    arrived: int = 0  # pictures
    dropped: int = 0  # of them
    damaged: int = 0  # packets and pictures that could not be decoded
    connections: int = 0


class LiveSource:
    """Frames of a live source, newest first: `with LiveSource(address) as source: for frame in source.frames()`.

    Args:
        address: of the source.
        settings: delay, dropping, stalls and reconnection.
    """

    def __init__(self, address: LiveAddress, settings: LiveSettings = LiveSettings()) -> None:
        self.address, self.settings = address, settings
        self.started_at = datetime.now(UTC)
        self.fps: float | None = None  # nominal rate, once a connection states one
        self.ended = ""  # why, once the frames have ended
        self._started = time.monotonic()
        self._changed = threading.Condition()
        self._waiting: deque[tuple[float, LivePicture]] = deque()
        self._events: deque[LiveEvent] = deque(maxlen=_MOST_EVENTS)
        self._counts = LiveCounts()
        self._error: BaseException | None = None
        self._has_ended = self._is_closed = False
        self._size: tuple[int, int] | None = None
        self._last_s = 0.0  # arrival of the last picture
        self._thread = threading.Thread(target=self._run, name="posetrail-live", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._is_closed = True
            self._waiting.clear()
            self._changed.notify_all()
        self._thread.join(_JOIN_S)

    @property
    def now_s(self) -> float:
        """Seconds since the source was opened."""
        return time.monotonic() - self._started

    @property
    def counts(self) -> LiveCounts:
        """What has arrived and was dropped so far."""
        with self._changed:
            return self._counts

    def wall_clock(self, time_s: float) -> datetime:
        """The time of day, in UTC, so many seconds after the source was opened."""
        return self.started_at + timedelta(seconds=time_s)

    def frames(
        self, on_event: Callable[[LiveEvent], None] = lambda _: None, stopped: Callable[[], bool] = lambda: False
    ) -> Generator[Frame]:
        """Frames until the source ends or a stop is requested. They count from 0; dropped ones do not count.

        Args:
            on_event: called in the caller's thread for each event, before the frames after it.
            stopped: asked at least every 50 ms while no frame arrives; true ends the frames.

        Raises:
            InputError: the source cannot be used, or sent no frame for too long.
        """
        index = 0
        while not stopped():
            with self._changed:
                taken = self._take()
                if not (taken or self._events or self._has_ended):
                    self._changed.wait(_POLL_S)
                events = [self._events.popleft() for _ in range(len(self._events))]
                has_ended = self._has_ended and not self._waiting
            for event in events:
                on_event(event)
            if taken:
                time_s, picture = taken
                yield Frame(index, time_s, f"{index:06d}.jpg", picture.image())
                index += 1
            elif has_ended:
                break
        reason = "stopped" if stopped() else "the source ended" if self._error is None else str(self._error)
        self.ended = reason
        text = reason if self._error is not None else f"{self.address}: {reason}"
        on_event(LiveEvent("ended", self.now_s, text, {"reason": reason}))
        if self._error is not None:
            raise self._error

    def _take(self) -> tuple[float, LivePicture] | None:
        """The picture that has waited longest but not too long; those that waited too long are dropped."""
        limit_s = self.now_s - self.settings.max_delay_s
        while self.settings.drop and self._waiting and self._waiting[0][0] < limit_s:
            self._waiting.popleft()
            self._count(dropped=1)
        taken = self._waiting.popleft() if self._waiting else None
        self._changed.notify_all()
        return taken

    # The thread that reads -------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._read()
        except BaseException as error:  # raised again in the consumer's thread
            self._error = error
        with self._changed:
            self._has_ended = True
            self._changed.notify_all()

    def _read(self) -> None:
        pause_s = self.settings.first_retry_s
        while not self._is_closed:
            arrived = self._counts.arrived
            try:
                if self._read_connection():
                    return
                reason = "the source ended"
            except SourceLost as lost:
                reason = str(lost)
            except InputError as refused:
                if not self._counts.arrived:
                    raise
                reason = str(refused)
            if self._is_closed:
                return
            if self._counts.arrived > arrived:
                pause_s = self.settings.first_retry_s
            self._give_up_if_late(reason)
            self._report(
                "reconnecting",
                f"{self.address}: {reason}; connecting again in {pause_s:g} s",
                reason=reason,
                pause_s=pause_s,
            )
            self._pause(pause_s)
            pause_s = min(2 * pause_s, max(self.settings.longest_retry_s, self.settings.first_retry_s))

    def _give_up_if_late(self, reason: str) -> None:
        has_come = self._counts.arrived > 0
        limit_s = self.settings.give_up_s if has_come else self.settings.first_frame_s
        if 0 < limit_s <= self.now_s - self._last_s:
            since = "in the last" if has_come else "in the first"
            raise InputError(f"{self.address}: no frame came {since} {limit_s:g} s ({reason}); check the source")

    def _read_connection(self) -> bool:
        """Read one connection to its end; whether that is the end of the source."""
        with connected(self.address, self.settings, self._count_damage, lambda: self._is_closed) as connection:
            offset_s = last_s = self.now_s
            first_s = None
            self.fps = self.fps or connection.fps
            self._count(connections=1)
            is_first = True
            for picture in connection.pictures:
                time_s = self.now_s
                if not self.settings.drop and picture.stream_s is not None:
                    first_s = picture.stream_s if first_s is None else first_s
                    time_s = last_s = max(last_s, offset_s + picture.stream_s - first_s)
                if is_first:
                    self._report_size("connected", "connected", picture)
                    is_first = False
                self._put(time_s, picture)
                if self._is_closed:
                    break
            return connection.ends

    def _put(self, time_s: float, picture: LivePicture) -> None:
        with self._changed:
            if self._size not in (None, picture.size):
                self._report_size("resolution", "now", picture)
            self._size = picture.size
            self._last_s = self.now_s
            self._count(arrived=1)
            if self.settings.drop:
                while len(self._waiting) >= self.settings.waiting_frames:
                    self._waiting.popleft()
                    self._count(dropped=1)
            else:
                most = max(self.settings.waiting_frames, _NO_DROP_WAITING)
                self._changed.wait_for(lambda: len(self._waiting) < most or self._is_closed)
            self._waiting.append((time_s, picture))
            self._changed.notify_all()

    def _pause(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed, seconds)

    def _count_damage(self) -> None:
        self._count(damaged=1)

    def _count(self, **more: int) -> None:
        with self._changed:
            counts = self._counts
            self._counts = replace(counts, **{name: getattr(counts, name) + by for name, by in more.items()})

    def _report(self, kind: EventKind, text: str, **values: Any) -> None:
        with self._changed:
            self._events.append(LiveEvent(kind, self.now_s, text, values))
            self._changed.notify_all()

    def _report_size(self, kind: EventKind, what: str, picture: LivePicture) -> None:
        width, height = picture.size
        self._report(kind, f"{self.address}: {what}, {width}x{height} pixels", width=width, height=height)


def iso_time(time: datetime) -> str:
    """A time of day in UTC as ISO 8601, with milliseconds."""
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
