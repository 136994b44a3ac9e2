"""The number of each frame of a video, and the keyframes at which decoding can begin, from packets alone.

The frames of a file are numbered by the rank of their presentation times among those of its packets. A frame that
damage destroyed therefore leaves a gap, and the frames after it keep their numbers, whichever packet decoding begins
with. This holds as long as the packets are regular: each has a time, no two have the same, the decoder reorders a few
of them at most, the clock is not set, and all images have one size. In a file without times, and from the first
irregular packet of a file on, frames are counted as they are decoded. The first frame that decodes is frame 0.

What is regular is decided packet by packet, in the order of the file, so that one pass over the packets
(tracker/io/frame_index.py) finds the same as decoding from the beginning.
"""

from __future__ import annotations

import heapq
from collections import deque
from enum import Enum

import av
from av.stream import Stream
from av.video.stream import VideoStream

from tracker.io.bitstreams import is_clean, is_shown_vp9, length_size, size_bytes

_DEPTH = 32  # packets; decoders reorder frames by up to 16 (H.264, level limits of A.3.1)
SIZES = 1 << 16  # sizes of packets are compared modulo this
_PROBED = 16  # frames at the beginning that must decode one by one, else packets and frames do not correspond

# Codecs whose keyframes need nothing before them, and whose frames after a keyframe in presentation order need nothing
# before it; of H.264 and HEVC, see tracker/io/bitstreams.py.
_NO_REORDER = frozenset({"vp8", "vp9", "av1", "msmpeg4v2", "msmpeg4v3", "wmv1", "wmv2", "flv1", "h263"})
_REORDER = frozenset({"h264", "hevc", "mpeg1video", "mpeg2video", "mpeg4"})
_INTRA_ONLY = frozenset(
    {"mjpeg", "png", "prores", "dnxhd", "dvvideo", "huffyuv", "ffvhuff", "utvideo", "rawvideo", "v210"}
)
_NOT_CODED = 16  # bytes; a smaller MPEG-4 packet may stand for a repeated frame, which the decoder does not return


class Role(Enum):
    """What a packet is for."""

    NONE = 0  # for prediction only, or not regular
    FRAME = 1  # one frame that is shown
    BEGINNING = 2  # also: the frames from its own on, in presentation order, decode without the packets before it


class FrameNumbers:
    """Numbers frames as they are decoded from the beginning; a frame belongs to one of the packets added before it."""

    def __init__(self, rules: PacketRules) -> None:
        self._rules = rules
        self._waiting: list[int] = []  # times of packets whose frames are not decoded yet; a heap
        self._last = -1
        self._counts = False

    @property
    def are_ranks(self) -> bool:
        """Whether the numbers so far are ranks of presentation times, not counts."""
        return self._rules.are_regular and not self._counts

    @property
    def are_counts(self) -> bool:
        """Whether packets and frames do not correspond, so that frames are counted."""
        return self._counts

    @property
    def are_probed(self) -> bool:
        """Whether the first frames have shown if packets and frames correspond."""
        return self._counts or self._last >= _PROBED - 1

    def add(self, packet: av.Packet[Stream], *, is_join: bool) -> Role:
        """Add the next packet, with the times of the continued clock; what it is for."""
        role = self._rules.role(packet, is_join=is_join)
        if role is not Role.NONE:
            assert packet.pts is not None
            heapq.heappush(self._waiting, packet.pts)
        return role

    def next_number(self, pts: int | None, *, is_timeless: bool) -> int | None:
        """The number of the next decoded frame; None if it comes after a later one, so that it has no number.

        Args:
            pts: its presentation time.
            is_timeless: the file stores no times.
        """
        self._counts |= self._last < 0 and is_timeless
        if self.are_ranks:
            lost = self._passed(pts)
            if lost is None and self.are_probed:
                return None
            if self._last < 0:
                lost = 0  # what a broadcast begins with, before its first keyframe
            if lost == 0 or (lost is not None and self.are_probed):
                self._last += lost
            else:
                self._counts = True
        self._last += 1
        return self._last

    def _passed(self, pts: int | None) -> int | None:
        """Forget the packets up to this time; how many came before its own, or None if it has none."""
        before = 0
        while pts is not None and self._waiting and self._waiting[0] <= pts:
            if heapq.heappop(self._waiting) == pts:
                return before
            before += 1
        return None


class PacketRules:
    """Whether the packets of a stream are regular so far, which of them are frames, and where decoding can begin.

    Args:
        stream: the stream.
    """

    def __init__(self, stream: VideoStream) -> None:
        codec = stream.codec_context
        self._codec = codec.codec.canonical_name
        self._length_size = length_size(self._codec, bytes(codec.extradata or b""))
        reorders = self._codec in _REORDER
        self.are_regular = reorders or self._codec in _NO_REORDER | _INTRA_ONLY
        self._depth = _DEPTH if reorders else 0
        self._recent: deque[int] = deque()  # times of the last packets, which later ones may lie before
        self._floor: int | None = None  # the latest time of the packets before those
        self._size = b""  # the bytes of the first keyframe that hold the size of the images

    def role(self, packet: av.Packet[Stream], *, is_join: bool) -> Role:
        """Add the next packet; what it is for."""
        pts = packet.pts
        if not self.are_regular or (packet.size == 0 and pts is None):  # an empty last packet flushes the decoder
            return Role.NONE
        may_repeat = self._codec == "mpeg4" and packet.size < _NOT_CODED
        if pts is None or is_join or may_repeat or not packet.size:
            self.are_regular = False
            return Role.NONE
        is_clean = self._is_clean(packet)
        if packet.is_discard or not self.are_regular or not is_shown(self._codec, packet):
            return Role.NONE
        if pts in self._recent or (self._floor is not None and pts <= self._floor):
            self.are_regular = False
            return Role.NONE
        begins = is_clean and all(pts > before for before in self._recent)
        self._recent.append(pts)
        if len(self._recent) > self._depth:
            oldest = self._recent.popleft()
            self._floor = oldest if self._floor is None else max(self._floor, oldest)
        return Role.BEGINNING if begins else Role.FRAME

    def _is_clean(self, packet: av.Packet[Stream]) -> bool:
        """Whether nothing before a packet is needed to decode it; images of another size end the regular part."""
        if not packet.is_keyframe or packet.is_corrupt:
            return False
        data = bytes(packet)
        size = size_bytes(self._codec, data, self._length_size)
        self._size = self._size or size
        self.are_regular = not size or size == self._size
        return self._codec not in ("h264", "hevc") or is_clean(self._codec, data, self._length_size)


def is_shown(codec: str, packet: av.Packet[Stream]) -> bool:
    """Whether a packet that is not empty holds a frame to show, not only one for the prediction of others."""
    if codec == "vp8":
        return bool(memoryview(packet)[0] & 0x10)  # show_frame (RFC 6386, 9.1)
    if codec == "vp9":
        return is_shown_vp9(memoryview(packet))
    return True
