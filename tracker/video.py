"""Video in: a file, a folder of images or a glob becomes frames with true times, or one line saying why not.

Files are read by PyAV (FFmpeg), because it gives exact presentation times, the display matrix and decode errors one by
one; images by OpenCV. What was decided here:

- Frames come in presentation order. Times are the file's own and never decrease: one that runs backwards becomes the
  time before it, one that is missing the time before it plus 1 / fps.
- Pixels are those stored, turned and mirrored as the display matrix (or EXIF) asks, but never stretched to the sample
  aspect ratio, so that joints can be drawn on the stored picture. Interlaced pictures stay woven, alpha is dropped.
- Colours follow the stream's tags; untagged YUV is BT.601 of limited range, as FFmpeg and OpenCV take it.
- One decoding thread: with more, FFmpeg repairs damaged pictures differently and tells of fewer. A frame costs a tenth
  of what the networks need, and the pipeline decodes beside them.
- `start_s` decodes from the beginning and drops frames. Seeking is faster, but no container tells the number of the
  frame that a seek lands on, and one that counts wrongly is worse than a slow one.
- Damage is reported, never hidden: packets that do not decode or only with repairs, a file shorter than its container
  says, an end earlier than promised. What promises nothing (raw and MPEG streams, WMV, fragments of a live
  recording) can be cut between two packets unnoticed, and no codec sees every wrong bit: VP8 and VP9 hardly any.
- FFmpeg's log is off unless a program turns it on through `av.logging`; nothing here touches that setting.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.sidedata.sidedata import SideDataContainer
from av.stream import Disposition, Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from core.errors import InputError
from core.people import Image

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"})
VIDEO_SUFFIXES = frozenset(
    {".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".ts", ".mts", ".m2ts", ".mpg", ".mpeg", ".wmv", ".flv", ".3gp"}
)
_MAGIC = frozenset("*?[")
_MATROSKA_GAP = 1024  # bytes: whole files have up to a few dozen of headers between one packet and the next
# PyAV up to 18 refuses a file whose title is not UTF-8 unless told otherwise; from 19 on it reads metadata on demand.
_ANY_METADATA: dict[str, Any] = {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}
_MICROSECOND = 1e-6  # the precision of FFmpeg's clock of a whole file, so a frame may be as much too early
ASSUMED_FPS = 30.0  # of images, and of streams that tell neither times nor a rate


class DamagedInput(InputError):
    """The source broke off or is damaged in places. Raised after the last frame it gave: what was read may be kept."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture of a source, upright."""

    index: int  # position in the source, counted from 0 whatever the start and the stride
    time_s: float  # presentation time in seconds, never less than the frame before
    image: Image  # (H, W, 3) uint8 RGB
    name: str  # image file relative to its folder; "000003.jpg" for frame 3 of a video


@dataclass(frozen=True, kw_only=True)
class Source:
    """A video file, or the images of a folder or glob, and the part of it that is wanted. Made by `open_source`."""

    path: Path  # the video file, or the folder of the images
    name: str  # of the clip: the file without its suffix, or the folder
    images: tuple[Path, ...]  # in natural order; empty for a video file
    fps: float  # nominal frames a second: of a video the average
    timed_by_fps: bool  # times are index / fps: images, videos without times, or a rate was given
    width: int  # pixels of the first frame, upright
    height: int
    origin_s: float  # the time from which start and end count: 0, but MPEG-TS starts its clock anywhere
    total_frames: int | None  # of the whole source, as its header says; None when that says nothing
    start_s: float | None = None
    end_s: float | None = None
    stride: int = 1
    first_index: int = 0  # frames before this one are left out, too ...
    end_index: int | None = None  # ... and those from this one on: a part that somebody else reads

    @property
    def is_video(self) -> bool:
        """Whether this is a video file rather than images."""
        return not self.images

    @property
    def num_frames(self) -> int | None:
        """How many frames to expect between start and end, every stride-th: an estimate, for progress bars."""
        if self.total_frames is None:
            return None
        first = max(math.ceil((self.start_s or 0) * self.fps), self.first_index)
        end = self.total_frames if self.end_s is None else math.ceil(self.end_s * self.fps)
        end = min(end, self.total_frames, self.total_frames if self.end_index is None else self.end_index)
        return len(range(math.ceil(first / self.stride) * self.stride, end, self.stride))

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of the file, or of the images' names and contents; reads all of it, on first use."""
        if self.is_video:
            return _sha256(self.path)
        digest = hashlib.sha256()
        for image in self.images:
            digest.update(f"{_name_in(self.path, image)}\0{_sha256(image)}\n".encode())
        return digest.hexdigest()

    def frames(self) -> Iterator[Frame]:
        """The wanted frames, in order, read as they are asked for. The file is closed however the iterator ends.

        Raises:
            DamagedInput: after the last frame that could be read, where there should have been more or better ones.
            InputError: the start lies beyond the last frame.
        """
        yield from _video_frames(self) if self.is_video else _image_frames(self)

    def _has_started(self, time_s: float) -> bool:
        return self.start_s is None or time_s - self.origin_s >= self.start_s - _MICROSECOND

    def _has_ended(self, time_s: float) -> bool:
        return self.end_s is not None and time_s - self.origin_s >= self.end_s - _MICROSECOND

    def _wants(self, index: int, time_s: float) -> bool:
        return index >= self.first_index and index % self.stride == 0 and self._has_started(time_s)


def open_source(
    path: str | Path,
    *,
    start_s: float | None = None,
    end_s: float | None = None,
    stride: int = 1,
    fps: float | None = None,
) -> Source:
    """Look at a video file, an image, a folder of images or a glob such as "clip/*.png", without reading all of it.

    Images are taken in natural order (2 before 10), the n-th at n / fps; they may differ in size. An existing
    path is never taken for a glob.

    Args:
        path: what to read.
        start_s: leave out frames before this time, in seconds from the start of the clip.
        end_s: leave out frames from this time on.
        stride: keep the frames whose index is a multiple of it.
        fps: rate of images (30 when not given); for a video, replaces its own times by index / fps.

    Raises:
        InputError: there is no video or image there, it cannot be read, or an argument makes no sense.
    """
    _check_part(start_s, end_s, stride, fps)
    path = Path(path)
    if not path.exists() and not _MAGIC.isdisjoint(str(path)):
        whole = _look_at_images(*_images_of_glob(path), fps)
    elif path.is_dir():
        whole = _look_at_images(path, _images_of_folder(path), fps)
    else:
        _check_readable(path)
        is_image = path.suffix.lower() in IMAGE_SUFFIXES
        whole = _look_at_images(path.parent, (path,), fps) if is_image else _look_at_video(path, fps)
    if start_s is not None and whole.total_frames is not None:
        _check_start(path, start_s, whole.total_frames / whole.fps)
    return replace(whole, start_s=start_s, end_s=end_s, stride=stride)


def open_images(
    folder: Path,
    images: Sequence[Path],
    name: str,
    *,
    start_s: float | None = None,
    end_s: float | None = None,
    stride: int = 1,
    fps: float | None = None,
) -> Source:
    """These images in this order, as `open_source` opens all of a folder; frames are named relative to the folder.

    Raises:
        InputError: one of them is missing, none can be read, or an argument makes no sense.
    """
    _check_part(start_s, end_s, stride, fps)
    missing = [image for image in images if not image.is_file()]
    if missing:
        raise InputError(f"{missing[0]}: no such image, one of {len(missing)} missing ones of {len(images)}")
    whole = replace(_look_at_images(folder, tuple(images), fps), name=name)
    if start_s is not None:
        _check_start(folder, start_s, len(images) / whole.fps)
    return replace(whole, start_s=start_s, end_s=end_s, stride=stride)


def _check_part(start_s: float | None, end_s: float | None, stride: int, fps: float | None) -> None:
    for name, value in (("start", start_s), ("end", end_s)):
        if value is not None and not (math.isfinite(value) and value >= 0):
            raise InputError(f"{name} must be seconds from the start of the clip, 0 or more; got {value}")
    if end_s is not None and end_s <= (start_s or 0):
        raise InputError(f"end must be later than start; got start {start_s or 0} s and end {end_s} s")
    if stride < 1 or stride != int(stride):
        raise InputError(f"stride must be a whole number, 1 or more; got {stride}")
    if fps is not None and not (math.isfinite(fps) and fps > 0):
        raise InputError(f"fps must be frames per second, more than 0; got {fps}")


def _check_readable(path: Path) -> None:
    if path.is_symlink() and not path.exists():
        raise InputError(f"{path}: a link to {path.readlink()}, which is not there; mend or remove it")
    if not path.exists():
        raise InputError(f"{path}: no such file or folder; check the path")
    if not path.is_file():
        raise InputError(f"{path}: neither a file nor a folder; give a video file, a folder of images or a glob")
    if not path.stat().st_size:
        raise InputError(f"{path}: the file is empty; copy or download it again")
    try:
        path.open("rb").close()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check its permissions") from None


def _check_start(path: Path, start_s: float, length_s: float) -> None:
    if start_s >= length_s:
        raise InputError(f"{path}: start {start_s} s is beyond the end; the clip is {length_s:.2f} s long")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# Images -------------------------------------------------------------------------------------------------------------


def _natural(path: Path) -> list[tuple[int, int, str]]:
    """Sort key by which 2 comes before 10, digits before letters, and names that differ never tie."""
    parts = re.split(r"(\d+)", path.as_posix())
    return [(0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts if part]


def _only_images(found: Iterator[Path]) -> tuple[Path, ...]:
    images = (p for p in found if p.suffix.lower() in IMAGE_SUFFIXES and not p.name.startswith(".") and p.is_file())
    return tuple(sorted(images, key=_natural))


def _images_of_folder(folder: Path) -> tuple[Path, ...]:
    try:
        found = list(folder.iterdir())
    except OSError as error:
        raise InputError(f"{folder}: cannot be read ({error.strerror}); check its permissions") from None
    images = _only_images(iter(found))
    if not images:
        raise InputError(f"{folder}: no images in this folder; {_instead_of_images(found)}")
    return images


def _images_of_glob(pattern: Path) -> tuple[Path, tuple[Path, ...]]:
    folder = next(parent for parent in pattern.parents if parent.exists())  # its brackets, if any, are no pattern
    try:
        found = list(folder.glob(str(pattern.relative_to(folder))))
    except (ValueError, OSError) as error:
        raise InputError(
            f"{pattern}: cannot be used as a pattern ({error}); give something like 'clip/*.png'"
        ) from None
    images = _only_images(iter(found))
    if not images:
        came = f"matches {len(found)} files but no image" if found else "matches nothing"
        raise InputError(f"{pattern}: {came}; {_instead_of_images(found)}")
    return folder, images


def _instead_of_images(found: list[Path]) -> str:
    videos = sorted(path.name for path in found if path.suffix.lower() in VIDEO_SUFFIXES)
    if videos:
        return f"there are videos ({videos[0]} ...): give one of them, or use `posetrail batch` for all"
    return f"give a video file, or images ({' '.join(sorted(IMAGE_SUFFIXES))})"


def _look_at_images(folder: Path, images: tuple[Path, ...], fps: float | None) -> Source:
    readable = (image for image in map(_read_image, images) if image is not None)
    first = next(readable, None)
    if first is None:
        many = f"{images[0].name} cannot" if len(images) == 1 else f"none of its {len(images)} images can"
        raise InputError(f"{folder}: {many} be read as an image; save it again as JPEG or PNG")
    height, width, _ = first.shape
    return Source(
        path=folder,
        name=_text(folder.resolve().name) or "images",
        images=images,
        fps=fps or ASSUMED_FPS,
        timed_by_fps=True,
        width=width,
        height=height,
        origin_s=0.0,
        total_frames=len(images),
    )


def _read_image(path: Path) -> Image | None:
    """The image as 8-bit RGB, turned as EXIF asks; None when it is broken."""
    try:
        data = np.fromfile(path, np.uint8)
        # From memory, not by name: so OpenCV refuses a JPEG that is cut off instead of filling it with grey.
        image = cv2.imdecode(data, cv2.IMREAD_COLOR)
    except (OSError, cv2.error):
        return None
    return None if image is None else cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def _name_in(folder: Path, image: Path) -> str:
    return _text(image.relative_to(folder).as_posix())


def _text(name: str) -> str:
    """A name that files can hold: of one that is not UTF-8, the bytes that are not as escapes."""
    return name.encode(errors="backslashreplace").decode()


def _image_frames(source: Source) -> Iterator[Frame]:
    broken = []
    for index, path in enumerate(source.images):
        time_s = index / source.fps
        if source._has_ended(time_s) or index == source.end_index:
            break
        if source._wants(index, time_s):
            image = _read_image(path)
            if image is None:
                broken.append(path.name)
            else:
                yield Frame(index, time_s, image, _name_in(source.path, path))
    if broken:
        few = f"{broken[0]} cannot be read as an image"
        many = f"{broken[0]} and {len(broken) - 1} more cannot be read as images"
        raise DamagedInput(f"{source.path}: {few if len(broken) == 1 else many}; all others were read")


# Video files --------------------------------------------------------------------------------------------------------


def _look_at_video(path: Path, fps: float | None) -> Source:
    with _open_container(path) as container:
        stream = _video_stream(container, path)
        first = next(_pictures(container, stream, _Flaws()), None)
        if first is None:
            raise InputError(
                f"{path}: no frame of its {stream.codec_context.name} video decodes; copy it again or re-encode it"
            )
        timed_by_fps = fps is not None or first.pts is None
        # Without times FFmpeg averages over times of its own making; the stream's headers know better.
        own_fps = float((stream.guessed_rate if first.pts is None else stream.average_rate) or ASSUMED_FPS)
        length_s = float((stream.duration or 0) * (stream.time_base or 0)) or (container.duration or 0) / av.time_base
        total = max(stream.frames, round(length_s * own_fps))  # a fragmented file counts its first fragment only
        width, height = _upright_size(first)
        return Source(
            path=path,
            name=_text(path.stem),
            images=(),
            fps=fps or own_fps,
            timed_by_fps=timed_by_fps,
            width=width,
            height=height,
            origin_s=0.0 if timed_by_fps else max(0.0, (container.start_time or 0) / av.time_base),
            total_frames=total or None,
        )


def _open_container(path: Path) -> InputContainer:
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


def _video_stream(container: InputContainer, path: Path) -> VideoStream:
    """The default stream, or else the one with the most pixels; a cover picture is no video."""
    still = Disposition.attached_pic | Disposition.timed_thumbnails
    videos = [stream for stream in container.streams.video if not stream.disposition & still]
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
class _Flaws:
    """What went wrong while a file was read."""

    packets: int = 0  # that did not decode, or only with repairs
    first_s: float | None = None  # when the first of them was due
    reasons: list[str] = field(default_factory=list)  # what else is missing, and why
    packets_end_s: float = -math.inf  # where the last packet of any stream ends

    def note_packet(self, time_s: float | None) -> None:
        self.packets += 1
        if self.first_s is None:
            self.first_s = time_s

    def sentences(self) -> list[str]:
        if not self.packets:
            return self.reasons
        many = "1 packet does" if self.packets == 1 else f"{self.packets} packets do"
        where = "" if self.first_s is None else f", first at {self.first_s:.2f} s"
        return [f"{many} not decode cleanly{where}", *self.reasons]


def _pictures(container: InputContainer, stream: VideoStream, flaws: _Flaws) -> Iterator[VideoFrame]:
    """Every picture that decodes, in presentation order, going on after damage where the decoder finds its feet."""
    any_yet = False
    for packet in _packets(container, flaws):
        if packet.stream.index != stream.index:  # packet.stream_index is 0 in every stream's empty last packet
            continue
        flawed = packet.is_corrupt
        try:
            pictures = stream.decode(packet)
        except av.FFmpegError:
            pictures = []
            flawed = True
        if (flawed and (any_yet or packet.is_keyframe)) or any(picture.is_corrupt for picture in pictures):
            # A broadcast that is joined in the middle opens with packets no decoder can use: these are no damage.
            flaws.note_packet(None if packet.pts is None else float(packet.pts * packet.time_base))
        any_yet |= bool(pictures)
        yield from pictures


def _packets(container: InputContainer, flaws: _Flaws) -> Iterator[av.Packet[Stream]]:
    """The packets of all streams, and at the end an empty one for each, at which its decoder gives what it holds."""
    # FFmpeg skips clusters of Matroska that it cannot read without a word; the packets' places in the file tell.
    watch_gaps = "matroska" in container.format.name
    last_byte = None
    try:
        for packet in container.demux():
            if packet.pts is not None:
                end_s = float((packet.pts + (packet.duration or 0)) * packet.time_base)
                flaws.packets_end_s = max(flaws.packets_end_s, end_s)
            if watch_gaps and packet.pos is not None:
                if last_byte is not None and packet.pos - last_byte > _MATROSKA_GAP:
                    flaws.reasons.append(f"{packet.pos - last_byte} bytes after byte {last_byte} are unreadable")
                last_byte = packet.pos + packet.size
            yield packet
    except av.FFmpegError as error:
        flaws.reasons.append(f"reading stopped ({error.strerror})")


def _video_frames(source: Source) -> Iterator[Frame]:
    flaws = _Flaws()
    count = 0
    time_s = -math.inf
    with _open_container(source.path) as container:
        stream = _video_stream(container, source.path)
        for index, picture in enumerate(_pictures(container, stream, flaws)):
            if index == source.end_index:
                return  # whoever reads what follows reads this, too, and tells of its damage
            next_s = _time(source, index, picture, time_s)
            if source._has_ended(next_s):
                break
            width, height = _upright_size(picture)
            if (width, height) != (source.width, source.height):
                change = f"the picture changes from {source.width}x{source.height} to {width}x{height}"
                flaws.reasons.append(f"{change} at {next_s:.2f} s: cut the clip there")
                break
            count, time_s = index + 1, next_s
            if source._wants(index, time_s):
                yield Frame(index, time_s, _upright(picture), f"{index:06d}.jpg")
        else:
            flaws.reasons += _missing_at_the_end(source, container, flaws)
            if source.start_s is not None and not source._has_started(time_s) and not flaws.sentences():
                _check_start(source.path, source.start_s, time_s - source.origin_s + 1 / source.fps)
    if flaws.sentences():
        read = f"{count} frames read" + (f", up to {time_s:.2f} s" if count else "")
        raise DamagedInput(f"{source.path}: damaged: {read}; {'; '.join(flaws.sentences())}")


def _time(source: Source, index: int, picture: VideoFrame, last_s: float) -> float:
    if source.timed_by_fps:
        return index / source.fps
    if picture.pts is None or picture.time_base is None:
        return last_s + 1 / source.fps
    return max(last_s, float(picture.pts * picture.time_base))


def _orientation(picture: VideoFrame) -> tuple[bool, bool, bool]:
    """What makes the stored picture upright: swap x and y, then mirror x, then mirror y.

    The display matrix (ISO/IEC 14496-12, 8.3.2) sends x y of the stored picture to a x + c y, b x + d y, rows a b u,
    c d v. Upright pictures keep pixels on pixels, so of each pair one is 0 and only the other's sign counts.
    """
    # Not `picture.side_data`: that and the picture hold each other, and PyAV never frees them again.
    stored = SideDataContainer(picture).get("DISPLAYMATRIX")  # type: ignore[call-arg]  # its stub lacks the constructor
    if stored is None:
        return False, False, False
    a, b, _, c, d = np.frombuffer(stored, np.int32)[:5].tolist()
    swap = abs(b) > abs(a)
    return (True, c < 0, b < 0) if swap else (False, a < 0, d < 0)


def _upright_size(picture: VideoFrame) -> tuple[int, int]:
    swap, _, _ = _orientation(picture)
    return (picture.height, picture.width) if swap else (picture.width, picture.height)


def _upright(picture: VideoFrame) -> Image:
    # One thread: handing a picture's bands to several costs more than it saves.
    image = picture.to_ndarray(format="rgb24", threads=1)
    swap, mirror_x, mirror_y = _orientation(picture)
    image = image.swapaxes(0, 1) if swap else image
    image = image[:: -1 if mirror_y else 1, :: -1 if mirror_x else 1]
    return np.ascontiguousarray(image)


def _missing_at_the_end(source: Source, container: InputContainer, flaws: _Flaws) -> list[str]:
    """Why there should have been more, when the end of the file was reached."""
    size = source.path.stat().st_size
    promised = _promised_bytes(source.path, container.format.name, size)
    if promised > size:
        return [f"the file is cut off after {size} of {promised} bytes"]
    if not container.duration:
        return []
    # The length is that of the longest stream. Muxers round it, and may not know how long the last frame stays.
    promised_s = ((container.start_time or 0) + container.duration) / av.time_base
    if promised_s - flaws.packets_end_s > max(0.5, 2 / source.fps):
        return [f"the file promises {promised_s:.2f} s"]
    return []


# Headers that tell how many bytes should follow -----------------------------------------------------------------------

_MP4_BOXES = frozenset(
    {b"ftyp", b"styp", b"sidx", b"moov", b"moof", b"mdat", b"mfra", b"free", b"skip", b"wide", b"uuid"}
)


def _promised_bytes(path: Path, container: str, size: int) -> int:
    """The least size a whole file has, by its outermost headers; 0 for containers that do not say."""
    with path.open("rb") as file:
        if "mp4" in container:
            return _promised_by_mp4(file)
        head = file.read(256)
    if "matroska" in container:
        return _promised_by_matroska(head)
    if container == "avi":  # RIFF, then the size of what follows in little endian
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


def _promised_by_matroska(head: bytes) -> int:
    """An EBML header and one segment; each is an id of 4 bytes, a size, and so many bytes (RFC 8794, 4 and 6)."""
    _, _, header_end = _ebml_element(head, 0)
    segment, is_known, segment_end = _ebml_element(head, header_end)
    return segment_end if segment == b"\x18\x53\x80\x67" and is_known else 0


def _ebml_element(head: bytes, start: int) -> tuple[bytes, bool, int]:
    """Id, whether the size is known (live recordings leave it open), and where the element ends."""
    field_ = head[start + 4 : start + 12]
    length = 9 - field_[0].bit_length() if field_ else 0
    largest = (1 << 7 * length) - 1
    size = int.from_bytes(field_[:length]) & largest
    return head[start : start + 4], size != largest, start + 4 + length + size
