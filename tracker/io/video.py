"""Video in: a video file, a folder of images or a glob to frames with presentation times.

Conventions (those of files are continued in tracker/io/video_files.py):

- Frames are in presentation order. Times are those of the file and never decrease: a time that runs backwards is
  replaced by the one before it, a missing one by the one before it plus 1 / fps; a clock that is set back is continued.
  If a file stores no times (raw streams, AVI with B-frames), they are index / fps.
- Pixels are stored pixels, rotated and mirrored as the display matrix or EXIF says, but not stretched to the sample
  aspect ratio, so that joints can be drawn on the stored image. Interlaced images stay interlaced, alpha is dropped.
- Colours are converted as the stream's tags say; untagged YUV is BT.601 of limited range, as in FFmpeg and OpenCV.
- A part that begins late is decoded from the keyframe before it (tracker/io/frame_index.py). Its frames are exactly
  those of decoding from the beginning; tracker/io/video_part.py names a limit for damaged files. Where that cannot be
  promised, the video is decoded from the beginning: raw streams, packets without times or with the same time twice,
  AVI with B-frames, MPEG program streams, joined recordings, codecs whose keyframes are not known, and if a picture of
  the part is damaged or is not the expected one.
- A frame that is lost to damage leaves a gap in the numbers (tracker/io/frame_numbers.py).
- Damage is reported of the part that is read: packets that do not decode or only with repairs, a file shorter than its
  container says or without its end mark, frames missing at the end. Formats without a stored length (raw, MPEG and FLV
  streams, WMV, fragments of a live recording) can be cut between two packets without notice. No codec detects every
  wrong bit, VP8 and VP9 hardly any.
- `Source.notes` reports what is no damage but may surprise: derived times, joined recordings, ignored files. It depends
  on the source only, not on how its frames are read.
"""

from __future__ import annotations

import hashlib
import itertools
import logging
import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import av
from av.video.frame import VideoFrame

from posetrail.errors import InputError
from posetrail.frame import Frame
from tracker.io.checks import check_part, check_readable, check_start
from tracker.io.containers import holds_several_pictures
from tracker.io.frame_index import FrameIndex, IndexOnDemand
from tracker.io.frame_numbers import FrameNumbers, PacketRules
from tracker.io.image_files import (
    IMAGE_SUFFIXES,
    VIDEO_SUFFIXES,
    images_of_folder,
    images_of_glob,
    note_on_animations,
    read_image,
)
from tracker.io.video_files import (
    ASSUMED_FPS,
    Flaws,
    container_length_s,
    is_animation,
    lacks_times,
    open_container,
    pictures,
    upright_size,
    video_stream,
    video_streams,
)
from tracker.io.video_part import DamagedInput, video_frames

__all__ = [
    "ASSUMED_FPS",
    "IMAGE_SUFFIXES",
    "VIDEO_SUFFIXES",
    "DamagedInput",
    "Source",
    "open_images",
    "open_source",
    "read_frames",
]

_log = logging.getLogger(__name__)

_MAGIC = frozenset("*?[")
_MICROSECOND = 1e-6  # the precision of FFmpeg's clock of a whole file, so a frame may be as much too early


@dataclass(frozen=True, kw_only=True)
class Source:
    """A video file, or the images of a folder or glob, and the chosen part of it. Made by `open_source`."""

    path: Path  # the video file, or the folder of the images
    name: str  # of the clip: the file without its suffix, or the folder
    images: tuple[Path, ...]  # in natural order; empty for a video file
    fps: float  # nominal frames per second: of a video the average
    timed_by_fps: bool  # times are index / fps: of images, of videos without times, or if a rate was given
    width: int  # pixels of the first frame, upright
    height: int
    origin_s: float  # time from which start and end count: 0, except in MPEG-TS, whose clock starts anywhere
    total_frames: int | None  # of the whole source, from its header; None if it has no such value
    start_s: float | None = None
    end_s: float | None = None
    stride: int = 1
    first_index: int = 0  # frames before this index are left out too ...
    end_index: int | None = None  # ... and frames from this index on: other workers read them
    lead_frames: int = 0  # of the part, whose damage other workers report
    notes_on_opening: tuple[str, ...] = ()  # the part of `notes` that does not need the whole file
    index_on_demand: IndexOnDemand | None = field(default=None, compare=False, repr=False)  # of a video file

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

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """What is no damage but may surprise, one line each; reads the file up to the end on first use."""
        if not self.is_video:
            return (*self.notes_on_opening, *note_on_animations(self.path, self.images))
        return (*self.notes_on_opening, *self.frame_index.notes(self.path, of_clock=not self.timed_by_fps))

    @property
    def frame_index(self) -> FrameIndex:
        """Index of the frames of a video file; reads the file up to the end on first use."""
        on_demand = self.index_on_demand or IndexOnDemand(self.path)
        return on_demand.get()

    def look_for_index(self, folder: Path) -> None:
        """Use the frame index in a run's folder, if there is one of this video when it is needed."""
        if self.index_on_demand is not None:
            self.index_on_demand.look_in(folder)

    def frames(self) -> Iterator[Frame]:
        """The chosen frames, in order, decoded as they are iterated. The file is closed however the iteration ends.

        Raises:
            DamagedInput: after the last frame that could be read, if frames are missing or damaged.
            InputError: the start is after the last frame.
        """
        yield from video_frames(self) if self.is_video else _image_frames(self)

    def has_started(self, time_s: float) -> bool:
        """Whether a time is not before the start."""
        return self.start_s is None or time_s - self.origin_s >= self.start_s - _MICROSECOND

    def has_ended(self, time_s: float) -> bool:
        """Whether a time is at or after the end."""
        return self.end_s is not None and time_s - self.origin_s >= self.end_s - _MICROSECOND

    def includes(self, index: int, time_s: float) -> bool:
        """Whether a frame before the end is one of the chosen ones."""
        return index >= self.first_index and index % self.stride == 0 and self.has_started(time_s)


def open_source(
    path: str | Path,
    *,
    start_s: float | None = None,
    end_s: float | None = None,
    stride: int = 1,
    fps: float | None = None,
) -> Source:
    """Open a video file, an image, a folder of images or a glob such as "clip/*.png", without reading all of it.

    Images are sorted in natural order (2 before 10), the n-th is at n / fps; they may differ in size. An existing path
    is not treated as a glob.

    Args:
        path: what to read.
        start_s: leave out frames before this time, in seconds from the start of the clip.
        end_s: leave out frames from this time on.
        stride: keep the frames whose index is a multiple of it.
        fps: frames per second of images (30 if not given); of a video, replaces its times by index / fps.

    Raises:
        InputError: there is no video or image, it cannot be read, or an argument is out of range.
    """
    check_part(start_s, end_s, stride, fps)
    path = Path(path)
    if not path.exists() and not _MAGIC.isdisjoint(str(path)):
        whole = _open_images(*images_of_glob(path), fps)
    elif path.is_dir():
        images, notes = images_of_folder(path)
        whole = replace(_open_images(path, images, fps), notes_on_opening=notes)
    else:
        check_readable(path)
        whole = _open_image(path, fps) if path.suffix.lower() in IMAGE_SUFFIXES else _open_video(path, fps)
    if start_s is not None and whole.total_frames is not None and start_s >= whole.total_frames / whole.fps:
        check_start(path, start_s, _length_s(whole))
    source = replace(whole, start_s=start_s, end_s=end_s, stride=stride)
    if source.is_video and end_s is not None and not source.timed_by_fps:  # the end counts on the file's own clock
        source = replace(source, index_on_demand=IndexOnDemand(path, source.origin_s + end_s))
    _log.info("%s: opened, %s frames of %dx%d pixels at %g fps", path, *_figures_of(source))
    return source


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
        InputError: an image is missing, none can be read, or an argument is out of range.
    """
    check_part(start_s, end_s, stride, fps)
    missing = [image for image in images if not image.is_file()]
    if missing:
        raise InputError(f"{missing[0]}: no such image, one of {len(missing)} missing ones of {len(images)}")
    whole = replace(_open_images(folder, tuple(images), fps), name=name)
    if start_s is not None:
        check_start(folder, start_s, len(images) / whole.fps)
    return replace(whole, start_s=start_s, end_s=end_s, stride=stride)


def read_frames(source: Source, indices: Iterable[int]) -> Iterator[Frame]:
    """Single frames of a source by their index, in ascending order, whatever its stride, start and end.

    A video is decoded from the keyframe before each frame, images are opened one by one. Frames that are lost to damage
    are left out.

    Args:
        source: the source.
        indices: of the frames, in any order.

    Raises:
        InputError: the file cannot be opened.
    """
    whole = replace(source, start_s=None, end_s=None, stride=1, lead_frames=0)
    for group in _neighbours(sorted(set(indices)), source):
        part = replace(whole, first_index=group[0], end_index=group[-1] + 1)
        with suppress(DamagedInput):
            yield from (frame for frame in part.frames() if frame.index in group)


def _neighbours(indices: list[int], source: Source) -> Iterator[list[int]]:
    """Groups of indices that are decoded from the same keyframe on."""
    points = source.frame_index.seek_points[:, 0] if source.is_video else indices
    for _, group in itertools.groupby(indices, key=lambda index: bisect_right(points, index)):
        yield list(group)


def _figures_of(source: Source) -> tuple[object, ...]:
    return source.num_frames, source.width, source.height, source.fps


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# Images -------------------------------------------------------------------------------------------------------------


def _open_image(path: Path, fps: float | None) -> Source:
    """One image. An animation is read as a video if FFmpeg can do that, otherwise as its first image."""
    with suppress(InputError):
        if holds_several_pictures(path) and is_animation(path):
            return _open_video(path, fps)
    return _open_images(path.parent, (path,), fps)


def _open_images(folder: Path, images: tuple[Path, ...], fps: float | None) -> Source:
    readable = (image for image in map(read_image, images) if image is not None)
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


def _name_in(folder: Path, image: Path) -> str:
    return _text(image.relative_to(folder).as_posix())


def _text(name: str) -> str:
    """A name as UTF-8 text; other bytes become escapes."""
    return name.encode(errors="backslashreplace").decode()


def _image_frames(source: Source) -> Iterator[Frame]:
    broken = []
    first_own = source.first_index + source.lead_frames
    for index, path in enumerate(source.images):
        time_s = index / source.fps
        if source.has_ended(time_s) or index == source.end_index:
            break
        if source.includes(index, time_s):
            image = read_image(path)
            if image is None:
                broken += [path.name] if index >= first_own else []
            else:
                yield Frame(index, time_s, _name_in(source.path, path), image)
    if broken:
        few = f"{broken[0]} cannot be read as an image"
        many = f"{broken[0]} and {len(broken) - 1} more cannot be read as images"
        raise DamagedInput(f"{source.path}: {few if len(broken) == 1 else many}; all others were read")


# Video files --------------------------------------------------------------------------------------------------------


def _open_video(path: Path, fps: float | None) -> Source:
    with open_container(path) as container:
        stream = video_stream(container, path)
        numbered = next(pictures(container, stream, Flaws(path), FrameNumbers(PacketRules(stream))), None)
        if numbered is None:
            raise InputError(
                f"{path}: no frame of its {stream.codec_context.name} video decodes; copy it again or re-encode it"
            )
        _, first = numbered
        timeless = lacks_times(container, stream, first)
        # Without times, FFmpeg averages over times that it made up; the headers of the stream are better.
        own_fps = float((stream.guessed_rate if timeless else stream.average_rate) or ASSUMED_FPS)
        length_s = float((stream.duration or 0) * (stream.time_base or 0)) or container_length_s(container)
        total = max(stream.frames, round(length_s * own_fps))  # a fragmented file counts its first fragment only
        width, height = upright_size(first)
        notes = []
        if len(streams := video_streams(container)) > 1:
            notes.append(f"{path}: holds {len(streams)} videos; stream {stream.index} ({width}x{height}) is read")
        if timeless and fps is None:
            notes.append(f"{path}: {_why_timeless(container.format.name)}; times are frame number / {own_fps:g} fps")
        return Source(
            path=path,
            name=_text(path.stem),
            images=(),
            fps=fps or own_fps,
            timed_by_fps=timeless or fps is not None,
            width=width,
            height=height,
            origin_s=0.0 if timeless or fps else _origin_s(container.start_time, first),
            total_frames=total or None,
            notes_on_opening=tuple(notes),
            index_on_demand=IndexOnDemand(path),
        )


def _why_timeless(container: str) -> str:
    return "AVI stores no times of B-frames" if container == "avi" else "the file stores no times"


def _origin_s(start_time: int | None, first: VideoFrame) -> float:
    """Time at which the clip starts: that of its longest stream, but not after its first image."""
    first_s = float((first.pts or 0) * (first.time_base or 0))
    return min(first_s, max(0.0, (start_time or 0) / av.time_base))


def _length_s(source: Source) -> float:
    """Length of a clip. The headers of a video may describe only the first of several joined recordings."""
    if source.is_video and (end_s := source.frame_index.end_s) is not None:
        return end_s - source.origin_s
    return (source.total_frames or 0) / source.fps
