"""Video files: their packets and pictures by PyAV (FFmpeg), with times that never run backwards, and what went wrong.

PyAV because it gives exact presentation times, the display matrix and decode errors one by one. What was decided here:

- One decoding thread: with more, FFmpeg repairs damaged pictures differently and tells of fewer. A frame costs a tenth
  of what the networks need, and the pipeline decodes beside them.
- A clock that is set back, as where recordings were joined or after the 26.5 hours that MPEG streams can count, goes on
  from where it was.
- FFmpeg's log is off unless a program turns it on through `av.logging`; nothing here touches that setting.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

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

ASSUMED_FPS = 30.0  # of images, and of streams that tell neither times nor a rate
_TORN_PACKETS = 3  # so many before a join FFmpeg may flag, because nothing of their stream follows
_MATROSKA_GAP = 1024  # bytes: whole files have up to a few dozen of headers between one packet and the next
_AVI_GAP = 9  # bytes: the header of a chunk, and one that makes the place even
# PyAV up to 18 refuses a file whose title is not UTF-8 unless told otherwise; from 19 on it reads metadata on demand.
_ANY_METADATA: dict[str, Any] = {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}
_NO_TIMESTAMPS = 0x80  # of a format: FFmpeg's AVFMT_NOTIMESTAMPS
_MPEG = ("mpegts", "mpeg")  # transport and program streams


def open_container(path: Path) -> InputContainer:
    """Open a file, nothing but a file.

    Raises:
        InputError: FFmpeg sees no video in it.
    """
    try:
        # Absolute, so that a name like "a:b.mp4" is no protocol; files only, so that a playlist downloads nothing.
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
    """Whether FFmpeg reads all pictures of an image file: of PNG, and of WebP from FFmpeg 9 on.

    Raises:
        InputError: it cannot be opened.
    """
    with open_container(path) as container:
        return container.format.name in ("apng", "webp_anim")


def video_streams(container: InputContainer) -> list[VideoStream]:
    """All but cover pictures and thumbnails."""
    still = Disposition.attached_pic | Disposition.timed_thumbnails
    return [stream for stream in container.streams.video if not stream.disposition & still]


def video_stream(container: InputContainer, path: Path) -> VideoStream:
    """The default stream, or else the one with the most pixels; a cover picture is no video."""
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
    """What went wrong while a file was read."""

    path: Path
    packets: list[tuple[int, float | None]] = field(default_factory=list)
    """Those that did not decode, or only with repairs: number in the stream, and when it was due."""
    reasons: list[str] = field(default_factory=list)  # what else is missing, and why
    packets_end_s: float = -math.inf  # where the last packet of any stream ends, on the file's own clock
    last_byte: int = 0  # of any packet
    next_file: int | None = None  # the byte where a second file begins whose packets cannot be used

    def forgive_since(self, number: int) -> None:
        """Take no packet from this one on for damaged."""
        self.packets = [packet for packet in self.packets if packet[0] < number]

    def sentences(self) -> list[str]:
        """What to say of it; nothing where all is well."""
        if not self.packets:
            return self.reasons
        many = "1 packet does" if len(self.packets) == 1 else f"{len(self.packets)} packets do"
        first_s = next((time_s for _, time_s in self.packets if time_s is not None), None)
        where = "" if first_s is None else f", first at {first_s:.2f} s"
        return [f"{many} not decode cleanly{where}", *self.reasons]


def clock_of(container: InputContainer, stream: VideoStream) -> StreamClock:
    """A clock for a stream that is read from its start."""
    rate = stream.average_rate or stream.guessed_rate or ASSUMED_FPS
    return StreamClock(1 / (stream.time_base or Fraction(1)), float(rate), is_mpeg=container.format.name in _MPEG)


def lacks_times(container: InputContainer, stream: VideoStream, first: VideoFrame) -> bool:
    """Whether the file stores no presentation times, so that FFmpeg makes up those of its pictures.

    Bare streams store none at all, and AVI only the order of decoding: without B-frames that is the order in which
    the pictures are shown. Known from the first picture on.
    """
    is_bare = bool(container.format.flags & _NO_TIMESTAMPS)
    reorders = container.format.name == "avi" and stream.codec_context.has_b_frames
    return first.pts is None or is_bare or reorders


def pictures(container: InputContainer, stream: VideoStream, flaws: Flaws, clock: StreamClock) -> Iterator[VideoFrame]:
    """Every picture that decodes, in presentation order, going on after damage where the decoder finds its feet."""
    any_yet = False
    heads_end = 0  # chained Ogg repeats its three heads, which decode to nothing
    for number, (packet, is_join) in enumerate(_placed(container, stream, flaws, clock)):
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
            # A broadcast that is joined in the middle opens with packets no decoder can use: these are no damage.
            time_s = None if packet.pts is None else float(packet.pts * packet.time_base)
            flaws.packets.append((number, time_s))
        any_yet |= bool(decoded)
        yield from decoded


def _placed(
    container: InputContainer, stream: VideoStream, flaws: Flaws, clock: StreamClock
) -> Iterator[tuple[av.Packet[Stream], bool]]:
    """The packets of one stream, with times by the clock, and whether that was set back before them."""
    for packet in _packets(container, flaws):
        if packet.stream.index != stream.index:  # packet.stream_index is 0 in every stream's empty last packet
            continue
        if flaws.next_file is not None and packet.size:
            continue
        if container.format.name == "avi":  # FFmpeg's guess; without B-frames the order of decoding is exact
            packet.pts = packet.dts
        offset, is_join = clock.place(packet.pts, packet.dts, is_keyframe=packet.is_keyframe)
        if is_join and "mp4" in container.format.name:
            # FFmpeg takes the index of a second fragmented file for one of the first, and reads at the wrong places.
            flaws.next_file = next_file(flaws.path, container.format.name, 1)
            if flaws.next_file is not None:
                clock.forget_join()
                continue
        if offset and packet.pts is not None:
            packet.pts += offset
        if offset and packet.dts is not None:
            packet.dts += offset
        yield packet, is_join


def _packets(container: InputContainer, flaws: Flaws) -> Iterator[av.Packet[Stream]]:
    """The packets of all streams, and at the end an empty one for each, at which its decoder gives what it holds."""
    # FFmpeg skips what it cannot read of Matroska and AVI without a word; the packets' places in the file tell.
    kind = container.format.name
    try:
        for packet in container.demux():
            if packet.pts is not None:
                end_s = float((packet.pts + (packet.duration or 0)) * packet.time_base)
                flaws.packets_end_s = max(flaws.packets_end_s, end_s)
            if packet.pos is not None:
                if flaws.last_byte and (lost := _unreadable(kind, packet.pos, flaws)):
                    flaws.reasons.append(f"{lost} bytes after byte {flaws.last_byte} are unreadable")
                flaws.last_byte = packet.pos + packet.size
            yield packet
    except av.FFmpegError as error:
        flaws.reasons.append(f"reading stopped ({error.strerror})")


def _unreadable(kind: str, pos: int, flaws: Flaws) -> int:
    """How many bytes that should hold packets lie unread between the last packet and the one at this byte."""
    gap = pos - flaws.last_byte
    if kind == "avi":
        return bytes_in_no_chunk(flaws.path, flaws.last_byte, pos) if gap > _AVI_GAP else 0
    return gap if "matroska" in kind and gap > _MATROSKA_GAP and not _is_joined_at(pos, flaws) else 0


# By quarters anticlockwise: swap x and y, mirror x, mirror y.
_TURNS = ((False, False, False), (True, False, True), (False, True, True), (True, True, False))


def _orientation(picture: VideoFrame) -> tuple[bool, bool, bool]:
    """What makes the stored picture upright: swap x and y, then mirror x, then mirror y.

    The display matrix (ISO/IEC 14496-12, 8.3.2) sends x y of the stored picture to a x + c y, b x + d y, rows a b u,
    c d v. Upright pictures keep pixels on pixels, so of each pair one is 0 and only the other's sign counts.
    """
    # Not `picture.side_data`: that and the picture hold each other, and PyAV never frees them again.
    try:
        stored = SideDataContainer(picture).get("DISPLAYMATRIX")  # type: ignore[call-arg]  # its stub lacks the constructor
    except ValueError:  # a kind of side data that this PyAV does not know, as EXIF to 18; then nothing tells of mirrors
        return _TURNS[round(picture.rotation / 90) % 4]
    if stored is None:
        return False, False, False
    a, b, _, c, d = np.frombuffer(stored, np.int32)[:5].tolist()
    swap = abs(b) > abs(a)
    return (True, c < 0, b < 0) if swap else (False, a < 0, d < 0)


def upright_size(picture: VideoFrame) -> tuple[int, int]:
    """Width and height of a picture once it is upright."""
    swap, _, _ = _orientation(picture)
    return (picture.height, picture.width) if swap else (picture.width, picture.height)


def upright(picture: VideoFrame) -> Image:
    """The pixels (H, W, 3) uint8 RGB as they are to be seen."""
    # One thread: handing a picture's bands to several costs more than it saves.
    image = picture.to_ndarray(format="rgb24", threads=1)
    swap, mirror_x, mirror_y = _orientation(picture)
    image = image.swapaxes(0, 1) if swap else image
    image = image[:: -1 if mirror_y else 1, :: -1 if mirror_x else 1]
    return np.ascontiguousarray(image)


def _is_joined_at(end: int, flaws: Flaws) -> bool:
    """Whether a second file begins between the last packet and this byte, behind the index of the first."""
    begin = next_file(flaws.path, "matroska", flaws.last_byte)
    return begin is not None and begin < end


def container_length_s(container: InputContainer) -> float:
    """Seconds of the longest stream, as the header says; 0 where it says nothing."""
    start, length = container.start_time or 0, container.duration or 0
    if "matroska" in container.format.name and 0 < start < length:  # see `missing_at_the_end`
        length -= start
    return length / av.time_base


def missing_at_the_end(container: InputContainer, fps: float, flaws: Flaws) -> list[str]:
    """Why there should have been more, when the end of the file was reached."""
    cut = cut_off(flaws.path, container.format.name)
    if cut:
        return [cut]
    if not container.duration:
        return []
    # The length is that of the longest stream. Muxers round it, and may not know how long the last frame stays. That of
    # Matroska counts from 0 or from the first time, depending on who wrote it: here it promises the less of the two.
    start = 0 if "matroska" in container.format.name else container.start_time or 0
    promised_s = (start + container.duration) / av.time_base
    if promised_s - flaws.packets_end_s > max(0.5, 2 / fps):
        return [f"the file promises {promised_s:.2f} s"]
    return []


# What is noteworthy though nothing is damaged ------------------------------------------------------------------------


@dataclass(frozen=True)
class Scan:
    """What the packets of a file tell, without a picture being decoded."""

    clock: StreamClock  # at the end
    next_file: int | None  # the byte where a second file begins that FFmpeg does not read

    def notes(self, path: Path, *, of_clock: bool) -> list[str]:
        """What of it is noteworthy, one line each, with or without what the clock did."""
        notes = self.clock.notes() if of_clock else []
        if self.next_file is not None:
            notes.append(
                f"another file begins at byte {self.next_file} and is not read; "
                "`ffmpeg -f concat` joins recordings, `cat` does not"
            )
        return [f"{path}: {note}" for note in notes]


def scan(path: Path, end_s: float | None = None) -> Scan:
    """Read the packets of a video file, up to that time of its own clock if one is given; damage ends it early."""
    flaws = Flaws(path)
    with open_container(path) as container:
        stream = video_stream(container, path)
        clock = clock_of(container, stream)
        for packet, _ in _placed(container, stream, flaws, clock):
            if end_s is not None and packet.dts is not None and packet.dts * packet.time_base > end_s:
                return Scan(clock, None)
        return Scan(clock, flaws.next_file or next_file(path, container.format.name, flaws.last_byte))
