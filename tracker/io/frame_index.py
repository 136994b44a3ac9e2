"""The frame index of a video file: the times of its frames and the keyframes at which decoding can begin.

One pass over the packets, which decodes the first frames only, makes the index and the notes on a file. It tells which
packet to seek to for any frame, so that a part of a video is read without decoding what lies before it. The index
promises exactness only for the regular part of a file (tracker/io/frame_numbers.py); what lies behind is read from the
beginning.

`frames.npz` in a run's folder holds it: an uncompressed NumPy archive without pickled objects:

- `about`: UTF-8 JSON: format number, size and modification time of the video, and the single values of `FrameIndex`.
- `first`, `steps`: ticks of the first frame, and from each frame to the next.
- `sizes` (F,): bytes of each frame's packet, modulo 65536.
- `seek_points` (S, 4): number of the keyframe's frame, its presentation and decoding time in ticks, its bytes.

An index of another format, of a file of another size or modification time, or of another part is made again, and so is
one that was removed.
"""

from __future__ import annotations

import json
import logging
import math
import threading
import zipfile
from array import array
from bisect import bisect_left
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.stream import Stream
from av.video.stream import VideoStream

from posetrail.files import written_whole
from tracker.io.containers import next_file
from tracker.io.frame_numbers import SIZES, FrameNumbers, PacketRules, Role
from tracker.io.video_files import Flaws, clock_of, lacks_times, open_container, placed, video_stream

_log = logging.getLogger(__name__)

INDEX = "frames.npz"  # in a run's folder
_FORMAT = 1
_MARGIN = 32  # packets between the last keyframe of the regular part and the first irregular packet


@dataclass(frozen=True)
class SeekPoint:
    """A keyframe at which decoding can begin."""

    number: int  # of its frame
    pts: int  # of its packet, in ticks
    dts: int
    size: int  # bytes


@dataclass(frozen=True, eq=False)
class FrameIndex:
    """Findings in the packets of a video file, up to the end of the part that was asked for."""

    pts: np.ndarray  # (F,) int64 ticks: presentation time of each frame, ascending
    sizes: np.ndarray  # (F,) uint16: bytes of each frame's packet, modulo 65536
    seek_points: np.ndarray  # (S, 4) int64, see `SeekPoint`
    num_exact: int  # so many frames at the beginning can be read by seeking
    is_exact: bool  # whether all can
    is_whole: bool  # whether the pass went on to the end of the file
    time_base: Fraction  # seconds per tick
    end_s: float | None  # end of the last frame, on the continued clock; None without frames
    clock_notes: tuple[str, ...]  # see `StreamClock.notes`
    next_file: int | None  # byte at which a second file begins, which FFmpeg does not read

    def __len__(self) -> int:
        return len(self.pts)

    def time_s(self, number: int) -> float:
        """Presentation time of a frame; infinite after the last one."""
        return float(int(self.pts[number]) * self.time_base) if number < len(self) else float("inf")

    def number_at(self, time_s: float) -> int:
        """The number of the first frame at or after a time; that after the last if there is none."""
        return bisect_left(range(len(self)), time_s, key=self.time_s)

    def seek_point(self, number: int, end: int | None = None) -> SeekPoint | None:
        """The last keyframe at or before a frame; None if decoding should begin with the first packet.

        Args:
            number: of the frame.
            end: number of the frame at which reading ends; None: it goes on to the end.
        """
        last = len(self) if end is None else end
        if number >= len(self) and not self.is_whole:
            return None
        if not self.is_exact and last >= self.num_exact:
            return None
        row = int(np.searchsorted(self.seek_points[:, 0], number, side="right")) - 1
        if row < 0 or not self.seek_points[row, 0]:
            return None
        return SeekPoint(*self.seek_points[row].tolist())

    def notes(self, path: Path, *, of_clock: bool) -> list[str]:
        """What is no damage but may surprise, one line each, with or without that of the clock."""
        notes = list(self.clock_notes) if of_clock else []
        if self.next_file is not None:
            notes.append(
                f"another file begins at byte {self.next_file} and is not read; "
                "`ffmpeg -f concat` joins recordings, `cat` does not"
            )
        return [f"{path}: {note}" for note in notes]


class IndexOnDemand:
    """The index of a video file, made when it is first needed and shared by all parts of a source.

    Args:
        path: the video file.
        end_s: where the pass over its packets ends, on the file's own clock; None: at its end.
        known: the index, if it was made already.
    """

    def __init__(self, path: Path, end_s: float | None = None, known: FrameIndex | None = None) -> None:
        self._path, self._end_s = path, end_s
        self._folder: Path | None = None
        self._index = known
        self._lock = threading.Lock()  # frames may be read in another thread

    def __reduce__(self) -> tuple[Any, ...]:
        return IndexOnDemand, (self._path, self._end_s, self._index)  # locks cannot be sent to other processes

    def get(self) -> FrameIndex:
        """The index; that of the folder, if there is one of the same file."""
        with self._lock:
            if self._index is None and self._folder is not None:
                self._index = load_index(self._folder / INDEX, self._path, self._end_s)
            if self._index is None:
                self._index = make_index(self._path, self._end_s)
            return self._index

    def look_in(self, folder: Path) -> None:
        """Use the index in a run's folder, if there is one when it is needed."""
        self._folder = folder

    def save(self, place: Path) -> None:
        """Write the index to a file, unless it is there."""
        index = self.get()
        if load_index(place, self._path, self._end_s) is None:
            save_index(place, index, self._path, self._end_s)


# Making ---------------------------------------------------------------------------------------------------------------


def make_index(path: Path, end_s: float | None = None) -> FrameIndex:
    """Read the packets of a video file, up to `end_s` on its own clock if given; damage ends it early."""
    flaws = Flaws(path)
    with open_container(path) as container:
        stream = video_stream(container, path)
        clock, found = clock_of(container, stream), _Found(stream)
        is_whole = True
        for packet, is_join in placed(container, stream, flaws, clock):
            if end_s is not None and packet.dts is not None and packet.dts * packet.time_base > end_s:
                is_whole = False
                break
            found.add(container, stream, packet, is_join=is_join)
        time_base = stream.time_base or Fraction(1)
        # Packets of frames after the end may be missing among those that were read.
        until = None if is_whole or end_s is None else math.floor(Fraction(end_s) / time_base)
        pts, sizes, seek_points, is_exact = found.frames(until)
        if container.format.name == "mpeg":  # FFmpeg derives most times of program streams from where reading began
            seek_points, is_exact = seek_points[:0], False
        second = flaws.next_file or next_file(path, container.format.name, flaws.last_byte) if is_whole else None
    num_exact = len(pts) if is_exact else int(seek_points[-1, 0]) if len(seek_points) else 0
    _log.info("%s: %d frames, %d keyframes to seek to", path, len(pts), len(seek_points))
    return FrameIndex(
        pts, sizes, seek_points, num_exact, is_exact, is_whole, time_base, clock.end_s, tuple(clock.notes()), second
    )


class _Found:
    """Collects the frames and keyframes of a stream's packets."""

    def __init__(self, stream: VideoStream) -> None:
        self._rules = PacketRules(stream)
        self._numbers = FrameNumbers(self._rules)
        self._first: int | None = None  # time of the first frame that decodes
        self._times, self._sizes = array("q"), array("H")  # of packets
        self._points = array("q")  # time, decoding time, size and place of each keyframe
        self._packets = self._regular = 0  # number of all, and up to the first irregular one

    def add(self, container: InputContainer, stream: VideoStream, packet: av.Packet[Stream], *, is_join: bool) -> None:
        """Add the next packet; the first ones are decoded."""
        if self._numbers.are_probed:
            role = self._rules.role(packet, is_join=is_join)
        else:
            role = self._numbers.add(packet, is_join=is_join)
            self._decode(container, stream, packet)
        self._packets += 1
        if self._rules.are_regular:
            self._regular = self._packets
        if role is Role.NONE or packet.pts is None:
            return
        self._times.append(packet.pts)
        self._sizes.append(packet.size % SIZES)
        if role is Role.BEGINNING:
            dts = packet.pts if packet.dts is None else packet.dts
            self._points.extend((packet.pts, dts, packet.size, self._packets))

    def _decode(self, container: InputContainer, stream: VideoStream, packet: av.Packet[Stream]) -> None:
        with suppress(av.FFmpegError):
            for picture in stream.decode(packet):
                self._numbers.next_number(picture.pts, is_timeless=lacks_times(container, stream, picture))
                self._first = picture.pts if self._first is None else self._first

    def frames(self, until: int | None) -> tuple[np.ndarray, np.ndarray, np.ndarray, bool]:
        """Times, sizes and seek points up to a time, as of `FrameIndex`; and whether all can be read by seeking."""
        pts, sizes = np.array(self._times, np.int64), np.array(self._sizes, np.uint16)
        order = np.argsort(pts, kind="stable")
        first = 0 if self._first is None else self._first
        order = order[(pts[order] >= first) & (until is None or pts[order] <= until)]
        pts, sizes = pts[order], sizes[order]
        points = np.array(self._points, np.int64).reshape(-1, 4)
        is_probed = self._first is not None and self._numbers.are_probed and not self._numbers.are_counts
        is_exact = is_probed and self._rules.are_regular
        last = self._packets if is_exact else self._regular - _MARGIN if is_probed else -1
        points = points[(points[:, 0] >= first) & (points[:, 3] <= last)]
        return pts, sizes, np.column_stack([np.searchsorted(pts, points[:, 0]), points[:, :3]]), is_exact


# On disk --------------------------------------------------------------------------------------------------------------


def save_index(place: Path, index: FrameIndex, video: Path, end_s: float | None) -> None:
    """Write the index of a video file, or of its part up to `end_s`."""
    steps = np.diff(index.pts)
    small = np.min_scalar_type(int(steps.max())) if len(steps) else np.uint8
    about = {
        **_identity(video, end_s),
        "num_exact": index.num_exact,
        "is_exact": index.is_exact,
        "is_whole": index.is_whole,
        "time_base": [index.time_base.numerator, index.time_base.denominator],
        "last_s": index.end_s,
        "clock_notes": index.clock_notes,
        "next_file": index.next_file,
    }
    with written_whole(place) as beside, beside.open("wb") as file:
        np.savez(
            file,
            about=np.frombuffer(json.dumps(about).encode(), np.uint8),
            first=index.pts[:1],
            steps=steps.astype(small),
            sizes=index.sizes,
            seek_points=index.seek_points,
        )


def load_index(place: Path, video: Path, end_s: float | None) -> FrameIndex | None:
    """The index of a video file, or of its part up to `end_s`; None if there is none, or one of another file."""
    try:
        with place.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            about: Any = json.loads(stored["about"].tobytes())
            if any(about[name] != value for name, value in _identity(video, end_s).items()):
                return None
            first, steps, sizes, points = (stored[name] for name in ("first", "steps", "sizes", "seek_points"))
        if not len(first) + len(steps) == len(sizes) or points.ndim != 2 or points.shape[1] != 4:
            raise ValueError("its arrays do not belong together")
        pts = np.concatenate([first, first + np.cumsum(steps, dtype=np.int64)]) if len(first) else first
        return FrameIndex(
            pts.astype(np.int64),
            sizes.astype(np.uint16),
            points.astype(np.int64),
            int(about["num_exact"]),
            about["is_exact"] is True,
            about["is_whole"] is True,
            Fraction(*about["time_base"]),
            about["last_s"],
            tuple(map(str, about["clock_notes"])),
            about["next_file"],
        )
    except (OSError, EOFError, ValueError, TypeError, KeyError, zipfile.BadZipFile, ArithmeticError) as error:
        if not isinstance(error, FileNotFoundError):
            _log.warning("%s: cannot be used (%s); the index is made again", place, error)
        return None


def _identity(video: Path, end_s: float | None) -> dict[str, Any]:
    """What a stored index must agree with."""
    status = video.stat()
    return {"format": _FORMAT, "bytes": status.st_size, "modified_ns": status.st_mtime_ns, "end_s": end_s}
