"""Packets and images of video files, read by PyAV (FFmpeg): times that never decrease, and a record of all damage.

PyAV provides exact presentation times, the display matrix and each decoding error. Conventions:

- One decoding thread: with more, FFmpeg repairs damaged images differently and reports fewer of them. Decoding takes a
  tenth of the time of the networks and runs beside them.
- A clock that is set back, where recordings were joined or after the 26.5 hours that MPEG streams can count, is
  continued.
- FFmpeg's log is off unless the application turns it on through `av.logging`.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np
from av.container import InputContainer
from av.sidedata.sidedata import SideDataContainer
from av.stream import Disposition, Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from posetrail.errors import InputError
from posetrail.frame import Image
from tracker.io.containers import bytes_in_no_chunk, cut_off, next_file
from tracker.io.stream_clock import StreamClock

if TYPE_CHECKING:
    from tracker.io.frame_numbers import FrameNumbers

AT_THE_END = sys.float_info.max  # time of damage that ends a file
ASSUMED_FPS = 30.0  # of images, and of streams with neither times nor a rate
_TORN_PACKETS = 3  # FFmpeg may flag so many packets before a join, because their stream ends there
_MATROSKA_GAP = 1024  # bytes; undamaged files have up to a few dozen bytes of headers between packets
_AVI_GAP = 9  # bytes: the header of a chunk, and one that makes the place even
# PyAV up to 18 refuses a file whose title is not UTF-8 by default; from 19 on it reads metadata on demand.
_ANY_METADATA: dict[str, Any] = {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}
_NO_TIMESTAMPS = 0x80  # of a format: FFmpeg's AVFMT_NOTIMESTAMPS
_MPEG = ("mpegts", "mpeg")  # transport and program streams


def open_container(path: Path) -> InputContainer:
    """Open a local video file; close it after use.

    Raises:
        InputError: FFmpeg cannot open it, or it is a text file.
    """
    try:
        # An absolute path, so that "a:" of "a:b.mp4" is no protocol; files only, so that a playlist downloads nothing.
        options = {"protocol_whitelist": "file"}
        container = av.open(str(path.absolute()), "r", options=options, **_ANY_METADATA)
    except (av.FFmpegError, OSError) as error:
        raise InputError(
            f"{path}: cannot be opened as a video ({error.strerror}); it is no video or its header is lost: "
            "try to play it, copy it again or re-encode it"
        ) from None
    if container.format.name == "tty":  # FFmpeg would draw a .txt file as pictures of a terminal
        container.close()
        raise InputError(f"{path}: this is a text file; give a video file, a folder of images or a glob")
    return container


def is_animation(path: Path) -> bool:
    """Whether FFmpeg reads an image file as an animation: PNG, and WebP from FFmpeg 9 on.

    Raises:
        InputError: it cannot be opened.
    """
    with open_container(path) as container:
        return container.format.name in ("apng", "webp_anim")


def video_streams(container: InputContainer) -> list[VideoStream]:
    """The video streams without cover images and thumbnails."""
    still = Disposition.attached_pic | Disposition.timed_thumbnails
    return [stream for stream in container.streams.video if not stream.disposition & still]


def video_stream(container: InputContainer, path: Path) -> VideoStream:
    """The default video stream, or else the one with the most pixels.

    Raises:
        InputError: there is no video stream, or no decoder for it.
    """
    videos = video_streams(container)
    if not videos:
        kinds = sorted({stream.type for stream in container.streams})
        raise InputError(f"{path}: no video in this file (it holds {', '.join(kinds) or 'nothing'}); give a video file")
    videos = [stream for stream in videos if stream.codec_context is not None]
    if not videos:
        raise InputError(f"{path}: FFmpeg has no decoder for this video, or its header is lost; re-encode it as H.264")
    default = Disposition.default
    best = max(videos, key=lambda stream: (bool(stream.disposition & default), stream.width * stream.height))
    best.thread_type = "NONE"
    best.codec_context.thread_count = 1
    return best


@dataclass
class Flaws:
    """Damage that was found while a file was read."""

    path: Path
    packets: list[tuple[int, float | None]] = field(default_factory=list)
    """Packets that did not decode, or only with repairs: number in the stream and presentation time."""
    late_s: list[float] = field(default_factory=list)  # times of frames that were decoded after later ones
    reasons: list[tuple[float, str]] = field(default_factory=list)
    """Other damage: the latest time of the stream before it, on the file's own clock, and one line."""
    packets_end_s: float = -math.inf  # where the last packet of any stream ends, on the file's own clock
    last_byte: int = 0  # of any packet
    next_file: int | None = None  # byte at which a second file begins, whose packets cannot be used

    def forgive_since(self, number: int) -> None:
        """Remove the records of this packet and all later ones."""
        self.packets = [packet for packet in self.packets if packet[0] < number]

    def sentences(self, since_s: float = -math.inf, until_s: float = math.inf) -> list[str]:
        """One line for each kind of damage to the frames between two times; empty if there is none."""
        times = [time_s for _, time_s in self.packets if time_s is None or since_s <= time_s < until_s]
        late = sum(since_s <= time_s < until_s for time_s in self.late_s)
        sentences = []
        if times:
            first_s = next((time_s for time_s in times if time_s is not None), None)
            where = "" if first_s is None else f", first at {first_s:.2f} s"
            sentences.append(f"{_counted(len(times), 'packet does', 'packets do')} not decode cleanly{where}")
        if late:
            sentences.append(f"{_counted(late, 'frame was', 'frames were')} decoded after later ones and left out")
        return [*sentences, *(line for time_s, line in self.reasons if since_s <= time_s < until_s)]


def _counted(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def clock_of(container: InputContainer, stream: VideoStream) -> StreamClock:
    """A clock for reading a stream from its start."""
    rate = stream.average_rate or stream.guessed_rate or ASSUMED_FPS
    return StreamClock(1 / (stream.time_base or Fraction(1)), float(rate), is_mpeg=container.format.name in _MPEG)


def lacks_times(container: InputContainer, stream: VideoStream, first: VideoFrame) -> bool:
    """Whether the file stores no presentation times, so that FFmpeg makes them up.

    Raw streams store none, and AVI stores the decoding order only, which without B-frames is the presentation order.
    """
    is_bare = bool(container.format.flags & _NO_TIMESTAMPS)
    reorders = container.format.name == "avi" and stream.codec_context.has_b_frames
    return first.pts is None or is_bare or reorders


def pictures(
    container: InputContainer, stream: VideoStream, flaws: Flaws, numbers: FrameNumbers
) -> Iterator[tuple[int, VideoFrame]]:
    """Every image that decodes from the beginning on, in presentation order, with the number of its frame.

    Decoding continues after damage where the decoder recovers.

    Args:
        container: just opened.
        stream: of the container.
        flaws: damage is added here.
        numbers: numbers the frames.
    """
    any_yet = False
    heads_end = 0  # chained Ogg repeats its three heads, which decode to nothing
    for number, (packet, is_join) in enumerate(placed(container, stream, flaws, clock_of(container, stream))):
        numbers.add(packet, is_join=is_join)
        if is_join:
            flaws.forgive_since(number - _TORN_PACKETS)
            any_yet = False
            heads_end = number + 3 if container.format.name == "ogg" else 0
        flawed = packet.is_corrupt
        try:
            decoded = stream.decode(packet)
        except av.FFmpegError:
            decoded = []
            flawed = True
        if (flawed and (any_yet or (packet.is_keyframe and number >= heads_end))) or any(
            picture.is_corrupt for picture in decoded
        ):
            # A recording of a broadcast begins with packets that cannot be decoded; they are no damage.
            flaws.packets.append((number, packet_time_s(packet)))
        any_yet |= bool(decoded)
        for picture in decoded:
            index = numbers.next_number(picture.pts, is_timeless=lacks_times(container, stream, picture))
            if index is None:
                flaws.late_s.append(picture.time or 0.0)
            else:
                yield index, picture


def packet_time_s(packet: av.Packet[Stream]) -> float | None:
    """Presentation time of a packet in seconds, if it has one."""
    return None if packet.pts is None else float(packet.pts * packet.time_base)


def placed(
    container: InputContainer, stream: VideoStream, flaws: Flaws, clock: StreamClock
) -> Iterator[tuple[av.Packet[Stream], bool]]:
    """The packets of one stream with the clock's times, and whether the clock was set back before each."""
    for packet in packets_of(container, stream, flaws):
        if flaws.next_file is not None and packet.size:
            continue
        offset, is_join = clock.place(packet.pts, packet.dts, is_keyframe=packet.is_keyframe)
        if is_join and "mp4" in container.format.name:
            # FFmpeg uses the index of a second fragmented file for the first one, and reads wrong bytes.
            flaws.next_file = next_file(flaws.path, container.format.name, 1)
            if flaws.next_file is not None:
                clock.forget_join()
                continue
        if offset and packet.pts is not None:
            packet.pts += offset
        if offset and packet.dts is not None:
            packet.dts += offset
        yield packet, is_join


def packets_of(container: InputContainer, stream: VideoStream, flaws: Flaws) -> Iterator[av.Packet[Stream]]:
    """The packets of one stream with the times of the file."""
    for packet in _packets(container, stream, flaws):
        if packet.stream.index != stream.index:  # packet.stream_index is 0 in every stream's empty last packet
            continue
        if container.format.name == "avi":  # FFmpeg's guess; without B-frames the order of decoding is exact
            packet.pts = packet.dts
        yield packet


def _packets(container: InputContainer, stream: VideoStream, flaws: Flaws) -> Iterator[av.Packet[Stream]]:
    """The packets of all streams, and at the end an empty one for each, which flushes its decoder."""
    # FFmpeg silently skips unreadable parts of Matroska and AVI; the positions of the packets show them.
    kind = container.format.name
    latest_s = -math.inf
    try:
        for packet in container.demux():
            if packet.pos is not None:
                if flaws.last_byte and (lost := _unreadable(kind, packet.pos, flaws)):
                    flaws.reasons.append((latest_s, f"{lost} bytes after byte {flaws.last_byte} are unreadable"))
                flaws.last_byte = packet.pos + packet.size
            if packet.pts is not None:
                end_s = float((packet.pts + (packet.duration or 0)) * packet.time_base)
                flaws.packets_end_s = max(flaws.packets_end_s, end_s)
                if packet.stream.index == stream.index:
                    latest_s = max(latest_s, float(packet.pts * packet.time_base))
            yield packet
    except av.FFmpegError as error:
        flaws.reasons.append((AT_THE_END, f"reading stopped ({error.strerror})"))


def _unreadable(kind: str, pos: int, flaws: Flaws) -> int:
    """Number of unread bytes between the last packet and the one at this byte that should hold packets."""
    gap = pos - flaws.last_byte
    if kind == "avi":
        return bytes_in_no_chunk(flaws.path, flaws.last_byte, pos) if gap > _AVI_GAP else 0
    return gap if "matroska" in kind and gap > _MATROSKA_GAP and not _is_joined_at(pos, flaws) else 0


# For each number of quarter turns anticlockwise: swap x and y, mirror x, mirror y.
_TURNS = ((False, False, False), (True, False, True), (False, True, True), (True, True, False))


def _orientation(picture: VideoFrame) -> tuple[bool, bool, bool]:
    """The steps that make a stored image upright: swap x and y, then mirror x, then mirror y.

    The display matrix (ISO/IEC 14496-12, 8.3.2), with rows a b u and c d v, maps x y of the stored image to a x + c y,
    b x + d y. For turns by quarters, one of each pair is 0 and only the sign of the other matters.
    """
    # Not `picture.side_data`, which forms a reference cycle that PyAV never frees.
    try:
        stored = SideDataContainer(picture).get("DISPLAYMATRIX")  # type: ignore[call-arg]  # its stub lacks the constructor
    except ValueError:  # side data of an unknown kind, such as EXIF up to PyAV 18; mirroring is lost then
        return _TURNS[round(picture.rotation / 90) % 4]
    if stored is None:
        return False, False, False
    a, b, _, c, d = np.frombuffer(stored, np.int32)[:5].tolist()
    swap = abs(b) > abs(a)
    return (True, c < 0, b < 0) if swap else (False, a < 0, d < 0)


def upright_size(picture: VideoFrame) -> tuple[int, int]:
    """Width and height of an image after it is made upright."""
    swap, _, _ = _orientation(picture)
    return (picture.height, picture.width) if swap else (picture.width, picture.height)


def upright(picture: VideoFrame) -> Image:
    """The upright pixels (H, W, 3) uint8 RGB."""
    # One thread: splitting an image among several costs more time than it saves.
    image = picture.to_ndarray(format="rgb24", threads=1)
    swap, mirror_x, mirror_y = _orientation(picture)
    image = image.swapaxes(0, 1) if swap else image
    image = image[:: -1 if mirror_y else 1, :: -1 if mirror_x else 1]
    return np.ascontiguousarray(image)


def _is_joined_at(end: int, flaws: Flaws) -> bool:
    """Whether a second file begins between the last packet and this byte, after the index of the first."""
    begin = next_file(flaws.path, "matroska", flaws.last_byte)
    return begin is not None and begin < end


def container_length_s(container: InputContainer) -> float:
    """Seconds of the longest stream, from the header; 0 if it has no such value."""
    start, length = container.start_time or 0, container.duration or 0
    if "matroska" in container.format.name and 0 < start < length:  # see `missing_at_the_end`
        length -= start
    return length / av.time_base


def missing_at_the_end(container: InputContainer, fps: float, flaws: Flaws) -> list[str]:
    """One line if the file ended before the length in its headers; empty otherwise."""
    cut = cut_off(flaws.path, container.format.name)
    if cut:
        return [cut]
    if not container.duration:
        return []
    # The length is that of the longest stream. Muxers round it and may leave out the duration of the last frame. In
    # Matroska it counts from 0 or from the first time, depending on the muxer; the shorter of both is assumed here.
    start = 0 if "matroska" in container.format.name else container.start_time or 0
    promised_s = (start + container.duration) / av.time_base
    if promised_s - flaws.packets_end_s > max(0.5, 2 / fps):
        return [f"the file promises {promised_s:.2f} s"]
    return []
