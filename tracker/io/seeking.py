"""Decoding of a video from a keyframe on, checked against the frame index picture by picture.

A seek may land before or behind the requested time. Therefore the keyframe is identified by the time and size of its
packet, each frame after it must be the next one of the index, and nothing may be damaged. Otherwise `SeekFailed` is
raised, and the caller decodes from the beginning.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from itertools import chain
from typing import TYPE_CHECKING

import av
import numpy as np
from av.container import InputContainer
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from tracker.io.frame_numbers import SIZES, is_shown
from tracker.io.video_files import Flaws, packets_of

if TYPE_CHECKING:
    from tracker.io.frame_index import FrameIndex, SeekPoint

_EARLIER_S = (0, 2, 20)  # a seek that lands too late is repeated so much earlier


class SeekFailed(Exception):
    """Decoding from a keyframe on does not give what the index says."""


def pictures_from(
    container: InputContainer, stream: VideoStream, flaws: Flaws, index: FrameIndex, point: SeekPoint
) -> Iterator[tuple[int, VideoFrame]]:
    """Every image from a keyframe on, in presentation order, with the number of its frame.

    Args:
        container: just opened.
        stream: of the container.
        flaws: collects the end of the packets and what is missing there; other damage ends reading.
        index: of the file.
        point: the keyframe.

    Raises:
        SeekFailed: the keyframe is not found, a packet or an image is damaged, or a frame is not the next one.
    """
    expected = point.number
    newest = point.pts  # of the packets so far
    held: deque[tuple[int, VideoFrame, int]] = deque()
    for packet in _packets_from(container, stream, flaws, point):
        is_before = packet.pts is not None and packet.pts < point.pts  # a leading picture: its references are missing
        if not is_before and not _is_known(packet, stream, index):
            raise SeekFailed("a packet is damaged or another one")
        try:
            decoded = stream.decode(packet)
        except av.FFmpegError as error:
            if not is_before:
                raise SeekFailed(f"a packet does not decode ({error.strerror})") from None
            decoded = []
        if flaws.reasons:
            raise SeekFailed("the file is damaged")
        newest = newest if packet.pts is None else max(newest, packet.pts)
        for picture in decoded:
            if picture.pts is not None and picture.pts < point.pts:
                continue
            if picture.is_corrupt or not _is_next(picture, expected, index):
                raise SeekFailed(f"frame {expected} is damaged or does not follow")
            # Damage to a frame may show in B-frames before it, which come out first.
            held.append((expected, picture, newest))
            expected += 1
            while held and picture.pts is not None and held[0][2] <= picture.pts:
                number, whole, _ = held.popleft()
                yield number, whole
    if flaws.reasons or (index.is_whole and expected < len(index)):
        raise SeekFailed(f"frame {expected} is missing")
    yield from ((number, whole) for number, whole, _ in held)


def _is_known(packet: av.Packet[Stream], stream: VideoStream, index: FrameIndex) -> bool:
    """Whether a packet is whole and has the time and size of one of the index, as far as that goes."""
    if packet.is_corrupt:
        return False
    if packet.pts is None or packet.is_discard or not is_shown(stream.codec_context.codec.canonical_name, packet):
        return packet.size == 0 or packet.pts is not None  # the end, or no frame
    number = int(np.searchsorted(index.pts, packet.pts))
    if number == len(index):
        return not index.is_whole
    return bool(index.pts[number] == packet.pts and index.sizes[number] == packet.size % SIZES)


def _is_next(picture: VideoFrame, expected: int, index: FrameIndex) -> bool:
    if expected < len(index):
        return bool(picture.pts == index.pts[expected])
    return not index.is_whole


def _packets_from(
    container: InputContainer, stream: VideoStream, flaws: Flaws, point: SeekPoint
) -> Iterator[av.Packet[Stream]]:
    """The packets from that of the keyframe on."""
    per_s = 1 / (stream.time_base or Fraction(1))
    for time in dict.fromkeys((point.pts, *(point.dts - math.ceil(earlier_s * per_s) for earlier_s in _EARLIER_S))):
        flaws.last_byte, flaws.packets_end_s = 0, -math.inf
        flaws.reasons.clear()
        try:
            container.seek(time, stream=stream, backward=True)
        except av.FFmpegError:
            continue
        packets = packets_of(container, stream, flaws)
        for packet in packets:
            if packet.pts == point.pts and packet.size == point.size:
                flaws.reasons.clear()  # what a seek leaves out is no damage
                yield from chain([packet], packets)
                return
            if packet.pts is None or packet.pts > point.pts:
                break
    raise SeekFailed("the keyframe is not found")
