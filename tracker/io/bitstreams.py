"""What frame numbers need from the bits of compressed video: kinds of pictures and their size. Nothing is decoded."""

from __future__ import annotations

from collections.abc import Iterator

_UNIT_BYTES = 4096  # of a NAL unit that are looked at; messages before the recovery point may be long


def is_shown_vp9(data: memoryview) -> bool:
    """Whether a packet is shown: superframes end with a shown frame, of others the header tells (VP9, 6.2, annex B)."""
    if data[-1] & 0xE0 == 0xC0:
        return True
    bits = f"{data[0]:08b}{data[min(1, len(data) - 1)]:08b}"[2:]  # after the frame marker
    bits = bits[3 if bits[:2] == "11" else 2 :]  # after the profile
    return "1" in (bits[0], bits[2])  # show_existing_frame, show_frame


def size_bytes(codec: str, data: bytes, length_size: int) -> bytes:
    """Bytes of a keyframe that hold the size of its image, perhaps among others; empty if the keyframe has none.

    Args:
        codec: FFmpeg's name.
        data: of the packet.
        length_size: see `length_size`.
    """
    if codec in ("h264", "hevc"):  # sequence parameter sets
        units = _units(data, length_size)
        return b"".join(unit for unit in units if _kind(codec, unit) == (7 if codec == "h264" else 33))
    if codec == "vp8":
        return data[6:10]  # RFC 6386, 9.1
    if codec == "vp9":
        return data[4:8] + bytes([data[8] & 0xF0]) if len(data) > 8 and data[0] & 0x30 == 0 else b""  # profile 0
    if codec in ("mpeg1video", "mpeg2video"):
        place = data.find(b"\0\0\1\xb3")  # sequence header (ISO/IEC 13818-2, 6.2.2.1)
        return data[place + 4 : place + 7] if place >= 0 else b""
    if codec == "av1" and data[:2] == b"\x12\0" and data[2:3] == b"\x0a":  # temporal delimiter, sequence header
        return data[4 : 4 + data[3]]
    return b""


def is_clean(codec: str, data: bytes, length_size: int) -> bool:
    """Whether the first picture of a packet is one at which decoding may begin exactly.

    HEVC: a random access picture (ITU-T H.265, 7.4.2.2). H.264: an IDR picture, or one whose recovery point promises an
    exact match from that picture on (ITU-T H.264, D.2.8); other keyframes are intra refreshes or too vague.
    """
    is_exact = False
    for unit in _units(data, length_size):
        kind = _kind(codec, unit)
        if codec == "hevc" and kind < 32:  # a slice
            return 16 <= kind <= 21
        if codec == "h264" and 1 <= kind <= 5:  # a slice
            return kind == 5 or is_exact
        is_exact |= codec == "h264" and kind == 6 and _is_exact_recovery_point(unit)
    return False


def _kind(codec: str, unit: bytes) -> int:
    """The type of a NAL unit."""
    return unit[0] & 0x1F if codec == "h264" else unit[0] >> 1 & 0x3F


def length_size(codec: str, extradata: bytes) -> int:
    """Bytes of the length before each unit (ISO/IEC 14496-15, 5.3.3 and 8.3.3); 0: start codes separate them."""
    if extradata[:1] != b"\1":
        return 0
    place = 4 if codec == "h264" else 21
    return (extradata[place] & 3) + 1 if len(extradata) > place else 0


def _units(data: bytes, length_size: int) -> Iterator[bytes]:
    """The first bytes of each NAL unit of a packet."""
    place = 0
    if length_size:
        while place + length_size < len(data):
            length = int.from_bytes(data[place : place + length_size])
            place += length_size
            if length:
                yield data[place : place + min(length, _UNIT_BYTES)]
            place += length
        return
    place = data.find(b"\0\0\1")
    while 0 <= place < len(data) - 3:
        following = data.find(b"\0\0\1", place + 3)
        unit = data[place + 3 : following if following >= 0 else len(data)][:_UNIT_BYTES].rstrip(b"\0")
        if unit:
            yield unit
        place = following


def _is_exact_recovery_point(unit: bytes) -> bool:
    """Whether a message of type 6 says: decoding recovers at once, with an exact match, and no link is broken."""
    unit, place = unit.replace(b"\0\0\3", b"\0\0"), 1
    while place + 1 < len(unit):
        numbers = []
        for _ in range(2):  # type and size, in bytes of which all but the last are 255
            number = 0
            while place < len(unit) and unit[place] == 255:
                number, place = number + 255, place + 1
            if place >= len(unit):
                return False
            numbers.append(number + unit[place])
            place += 1
        kind, size = numbers
        if kind == 6:
            return place < len(unit) and unit[place] & 0xE0 == 0xC0  # recovery_frame_cnt 0 is the bit 1
        place += size
        if unit[place : place + 1] == b"\x80":
            break
    return False
