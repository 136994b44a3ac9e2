"""Completeness of video and image files by their bytes, because FFmpeg and OpenCV read truncated files silently.

The outermost headers of most formats hold the size of the file or define how it ends. WMV, FLV, MPEG streams and raw
H.264 have neither, so a file of these that is cut between two packets is not detected.
"""

from __future__ import annotations

import io
import mmap
import re
from pathlib import Path
from typing import BinaryIO, Literal

_MP4_BOXES = frozenset(
    {b"ftyp", b"styp", b"sidx", b"moov", b"moof", b"mdat", b"mfra", b"free", b"skip", b"wide", b"uuid"}
)
_PNG_HEAD = b"\x89PNG\r\n\x1a\n"

_CHUNKS_WALKED = 64  # between two packets; there are thousands if streams are stored one after the other

# First bytes of formats of which FFmpeg does not read a second file after the first.
_HEADS = {
    "mov": rb"\0\0\0[\x08-\xff]ftyp",
    "matroska": rb"\x1a\x45\xdf\xa3[\x80-\xff]\x42",
    "avi": rb"RIFF....AVI LIST",
    "flv": rb"FLV\x01.\0\0\0\x09",
    "asf": rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\0\xaa\0\x62\xce\x6c",
    "apng": re.escape(_PNG_HEAD),
}


def cut_off(path: Path, container: str) -> str:
    """Why a file is incomplete, by its headers or its end; empty if it is complete or the format does not tell.

    Args:
        path: the file.
        container: FFmpeg's name of its format, like "mov,mp4,m4a,3gp,3g2,mj2".
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        if (container == "gif" and not _gif_has_its_end(file)) or (container == "ogg" and not _ogg_has_its_end(file)):
            return f"the file is cut off after {size} bytes: its end mark is missing"
        promised = _promised_bytes(file, container, size)
    return f"the file is cut off after {size} of {promised} bytes" if promised > size else ""


def next_file(path: Path, container: str, start: int) -> int | None:
    """The byte at which another file of the same format begins after this one; None if there is none.

    Args:
        path: the file.
        container: FFmpeg's name of its format.
        start: search from this byte on.
    """
    head = next((head for name, head in _HEADS.items() if name in container), None)
    if head is None or start >= path.stat().st_size:
        return None
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        found = re.compile(head, re.DOTALL).search(data, max(start, 1))
        return found.start() if found else None


def holds_several_pictures(path: Path) -> bool:
    """Whether an image file is an animation (PNG, WebP) or has several pages (TIFF)."""
    with path.open("rb") as file:
        head = file.read(21)
        if head.startswith(_PNG_HEAD):
            return _png_is_animated(file)
        if head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X":
            return bool(head[20] & 2)
        if head[:4] in (b"II*\0", b"MM\0*"):
            return _has_second_page(file, "little" if head[:1] == b"I" else "big")
        return False


def bytes_in_no_chunk(path: Path, begin: int, end: int) -> int:
    """How many bytes of an AVI between two packets belong to no chunk: 0 where nothing is damaged.

    Args:
        path: the file.
        begin: the byte behind the first packet.
        end: the first byte of the next one, whose chunk begins 8 bytes earlier.
    """
    place = begin + begin % 2
    with path.open("rb") as file:
        for _ in range(_CHUNKS_WALKED):
            if place + 8 >= end:
                break
            file.seek(place)
            kind, size = file.read(4), int.from_bytes(file.read(4), "little")
            step = 12 if kind in (b"RIFF", b"LIST") else 8 + size + size % 2
            if not (kind.isascii() and kind.decode().isprintable()) or place + step + 8 > end:
                return end - 8 - place
            place += step
    return 0


# Sizes in headers -----------------------------------------------------------------------------------------------------


def _promised_bytes(file: BinaryIO, container: str, size: int) -> int:
    """The smallest size of the complete file, by its outermost headers; 0 if the format has none."""
    if "mp4" in container:
        return _promised_by_mp4(file)
    if container == "apng":
        return _promised_by_png(file)
    head = file.read(256)
    if "matroska" in container:
        return _promised_by_matroska(head)
    if container in ("avi", "webp_anim"):  # RIFF, then the size of what follows in little endian
        return 8 + int.from_bytes(head[4:8], "little")
    if container == "mpegts" and head[0::188][:2] == b"GG":  # packets of 188 bytes, each beginning with a G
        return -(-size // 188) * 188
    return 0


def _promised_by_mp4(file: BinaryIO) -> int:
    """Boxes follow each other, each beginning with its size and type (ISO/IEC 14496-12, 4.2)."""
    end = 0
    while len(head := file.read(16)) >= 8 and head[4:8] in _MP4_BOXES:
        size = int.from_bytes(head[:4])
        size = int.from_bytes(head[8:16]) if size == 1 else size
        if size < 8:  # 0: to the end of the file
            break
        end += size
        file.seek(end)
    return end


def _promised_by_png(file: BinaryIO) -> int:
    """Chunks follow each other to IEND: size, type, so many bytes, 4 bytes of checksum (PNG, 5.3)."""
    end, kind = len(_PNG_HEAD), b""
    while kind != b"IEND":
        file.seek(end)
        head = file.read(8)
        kind = head[4:]
        end += 12 + int.from_bytes(head[:4])
        if len(head) < 8:
            break
    return end


def _promised_by_matroska(head: bytes) -> int:
    """An EBML header and one segment; each is an id of 4 bytes, a size, and so many bytes (RFC 8794, 4 and 6)."""
    _, _, header_end = _ebml_element(head, 0)
    segment, is_known, segment_end = _ebml_element(head, header_end)
    return segment_end if segment == b"\x18\x53\x80\x67" and is_known else 0


def _ebml_element(head: bytes, start: int) -> tuple[bytes, bool, int]:
    """Id, whether the size is stored (live recordings leave it open), and the end of the element."""
    field = head[start + 4 : start + 12]
    length = 9 - field[0].bit_length() if field else 0
    largest = (1 << 7 * length) - 1
    size = int.from_bytes(field[:length]) & largest
    return head[start : start + 4], size != largest, start + 4 + length + size


# End marks ------------------------------------------------------------------------------------------------------------


def _gif_has_its_end(file: BinaryIO) -> bool:
    """Extensions and pictures follow each other, each a chain of blocks of up to 255 bytes, to a semicolon (GIF89a)."""
    file.seek(_colour_bytes(file.read(13)[10:11]), io.SEEK_CUR)
    while (kind := file.read(1)) in (b"!", b","):
        if kind == b",":
            file.seek(_colour_bytes(file.read(9)[8:]), io.SEEK_CUR)
        file.seek(1, io.SEEK_CUR)  # what kind of extension; of a picture, the size of its codes
        while length := int.from_bytes(file.read(1)):
            file.seek(length, io.SEEK_CUR)
    return kind != b""  # something else is damage, but no early end


def _colour_bytes(flags: bytes) -> int:
    """Size in bytes of the colour table that these flags describe."""
    bits = int.from_bytes(flags)
    return 3 << (bits & 7) + 1 if bits & 0x80 else 0


def _ogg_has_its_end(file: BinaryIO) -> bool:
    """Pages follow each other, and the last one of each stream is marked (RFC 3533, 6)."""
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    going_on = set()
    while len(page := file.read(27)) == 27:
        if page[:4] != b"OggS":
            return True  # damage that FFmpeg reports
        serial = page[14:18]
        if page[5] & 4:
            going_on.discard(serial)
        else:
            going_on.add(serial)
        file.seek(sum(file.read(page[26])), io.SEEK_CUR)
    return not going_on and not page and file.tell() == size


# Several pictures in one image file -----------------------------------------------------------------------------------


def _png_is_animated(file: BinaryIO) -> bool:
    """Whether there is an acTL chunk before the first data (PNG, 11.3.6)."""
    file.seek(len(_PNG_HEAD))
    while len(head := file.read(8)) == 8 and head[4:] != b"IDAT":
        if head[4:] == b"acTL":
            return True
        file.seek(int.from_bytes(head[:4]) + 4, io.SEEK_CUR)
    return False


def _has_second_page(file: BinaryIO, order: Literal["little", "big"]) -> bool:
    """Whether the first directory of a TIFF is followed by another (TIFF 6.0, section 2)."""

    def number(length: int) -> int:
        return int.from_bytes(file.read(length), order)

    file.seek(4)
    file.seek(number(4))
    file.seek(12 * number(2), io.SEEK_CUR)
    return number(4) != 0
