"""Video out: images with their times to an H.264 MP4 file, which appears complete or not at all.

Written by PyAV (FFmpeg, x264), because OpenCV's writer does not keep times. Conventions:

- Times have a resolution of 1 / 360000 s, which has a whole number of ticks for 24 to 240 fps, their NTSC variants
  (n / 1.001), milliseconds and the 90 kHz of telephones. A time that does not increase is moved to the next tick; a
  time before 0 is moved to 0, because MP4 has no negative times.
- MP4 stores the ticks between images in 31 bits, which is 99 minutes. Below one frame per second the ticks are
  milliseconds, which allows 24 days. A longer gap is shortened, with a note.
- Colours are BT.601 of limited range, because OpenCV converts RGB to it in a tenth of FFmpeg's time. The file is tagged
  accordingly, so that players do not have to guess.
- One encoding thread: the bytes of x264 depend on the number of threads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

import av
import cv2
import numpy as np
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, ColorRange, ColorTrc
from av.video.stream import VideoStream

from posetrail.errors import InputError
from posetrail.files import written_whole
from posetrail.frame import Image

_TICKS_PER_S = 360_000
_SLOW_TICKS_PER_S = 1000  # below one frame a second
_LONGEST_GAP = (1 << 31) - 2  # ticks
_SLOWEST_FPS, _FASTEST_FPS = 1e-6, 1000.0  # nominal rate in the file; the times are independent of it
_BT601 = 6  # ITU-T H.273, matrix coefficients; PyAV's Colorspace counts as FFmpeg's scaler does instead
# No B-frames: MP4 stores their offset in 31 bits too, which a few gaps would exceed.
# At 1080p ultrafast takes half the time and 1.4 times the bytes, veryfast half as much time again and two thirds the
# bytes. CABAC would save 7 % of the bytes for 15 % more time; the pictures are the same with and without it.
_X264 = {"preset": "superfast", "crf": "21", "threads": "1", "bf": "0", "x264-params": "cabac=0"}


class VideoWriter:
    """Writes images one by one to an MP4 file that appears when the writer is left; without images there is no file.

    >>> with VideoWriter(Path("drawn.mp4"), 1920, 1080, fps=30) as video:
    ...     for frame in frames:
    ...         video.add(frame.image, frame.time_s)

    Args:
        path: the file to make; ends in .mp4.
        width: in pixels; H.264 needs even sizes, so the last column of an odd one is doubled.
        height: likewise.
        fps: nominal frames per second in the file, and the duration of its last frame.
        options: of x264, instead of those for a drawn video.

    Raises:
        InputError: the path does not end in .mp4, or this PyAV cannot write H.264.
    """

    def __init__(
        self, path: Path, width: int, height: int, fps: float, *, options: Mapping[str, str] = MappingProxyType(_X264)
    ) -> None:
        if path.suffix.lower() != ".mp4":
            raise InputError(f"{path}: videos are written as MP4; give a name that ends in .mp4")
        try:
            av.Codec("libx264", "w")
        except ValueError:
            raise InputError(f"{path}: writing video needs a PyAV with libx264; reinstall it: pip install av") from None
        self._path = path
        self._width, self._height = width, height
        self._fps = _rate(fps)
        self._options = dict(options)
        self._ticks_per_s = _TICKS_PER_S if fps >= 1 else _SLOW_TICKS_PER_S
        self._open = ExitStack()
        self._container: OutputContainer | None = None  # until the first picture
        self._stream: VideoStream | None = None
        self._last_tick = -1  # of the last picture
        self._shortened = 0  # gaps
        self._shift = 0  # ticks that they were shortened by

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.__exit__(kind, error, trace)

    def add(self, image: Image, time_s: float) -> None:
        """Add the next image, shown from `time_s` on; one of another size is scaled and padded with black bars."""
        if self._stream is None:
            self._begin()
        tick = max(round(time_s * self._ticks_per_s) - self._shift, self._last_tick + 1)
        too_long = tick - max(self._last_tick, 0) - _LONGEST_GAP
        if too_long > 0:
            tick -= too_long
            self._shift += too_long
            self._shortened += 1
        self._last_tick = tick
        self._write(self._picture(image, tick))

    @property
    def notes(self) -> tuple[str, ...]:
        """One line for each way in which the file differs from the added images."""
        if not self._shortened:
            return ()
        gaps = "1 gap is" if self._shortened == 1 else f"{self._shortened} gaps are"
        return (f"{gaps} shortened to {_LONGEST_GAP / self._ticks_per_s:.0f} s, all that MP4 can hold",)

    def _begin(self) -> None:
        beside = self._open.enter_context(written_whole(self._path))
        self._container = self._open.enter_context(_open_mp4(beside, self._ticks_per_s))
        self._stream = self._container.add_stream("libx264", rate=self._fps, options=self._options)
        self._stream.pix_fmt = "yuv420p"
        self._stream.width, self._stream.height = _even(self._width), _even(self._height)
        codec = self._stream.codec_context
        codec.time_base = Fraction(1, self._ticks_per_s)
        codec.colorspace, codec.color_range = _BT601, ColorRange.MPEG
        codec.color_primaries, codec.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
        self._open.push(self._finish)

    def _picture(self, image: Image, tick: int) -> VideoFrame:
        fitted = _fitted(image, self._width, self._height)
        yuv: np.ndarray = cv2.cvtColor(fitted, cv2.COLOR_RGB2YUV_I420)
        picture = VideoFrame.from_ndarray(yuv, format="yuv420p")
        picture.pts, picture.time_base = tick, Fraction(1, self._ticks_per_s)
        picture.duration = min(max(1, round(self._ticks_per_s / self._fps)), _LONGEST_GAP)
        return picture

    def _write(self, picture: VideoFrame | None) -> None:
        assert self._container is not None
        assert self._stream is not None
        self._container.mux(self._stream.encode(picture))

    def _finish(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._write(None)  # what the encoder still holds


def join_videos(parts: Sequence[Path], path: Path) -> None:
    """Join videos that `VideoWriter` wrote, whose times go on from one to the next, without encoding them again."""
    with ExitStack() as files:
        beside = files.enter_context(written_whole(path))
        joined, stream = None, None
        for part in parts:
            with av.open(str(part)) as container:
                video = container.streams.video[0]
                if joined is None or stream is None:
                    joined = files.enter_context(_open_mp4(beside, round(1 / Fraction(video.time_base or 1))))
                    stream = joined.add_stream_from_template(video)
                for packet in container.demux(video):
                    if packet.dts is not None:
                        packet.stream = stream
                        joined.mux(packet)


def _open_mp4(path: Path, ticks_per_s: int) -> OutputContainer:
    # The second option sets the ticks of a late start, milliseconds otherwise; the third keeps slow rates.
    clock = str(ticks_per_s)
    options = {"movflags": "+faststart", "movie_timescale": clock, "video_track_timescale": clock}
    return av.open(str(path), "w", format="mp4", container_options=options)


def _rate(fps: float) -> Fraction:
    """The rate as a fraction of numbers that H.264 can hold."""
    fps = min(max(fps, _SLOWEST_FPS), _FASTEST_FPS)
    return Fraction(fps).limit_denominator(1001) if fps >= 1 else 1 / Fraction(1 / fps).limit_denominator(1001)


def _even(pixels: int) -> int:
    return pixels + pixels % 2


def _fitted(image: Image, width: int, height: int) -> Image:
    """The image on a canvas of this size, made even."""
    if image.shape[:2] != (height, width):
        image = letterboxed(image, width, height)
    if width % 2 or height % 2:
        image = cv2.copyMakeBorder(image, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
    return image


def letterboxed(image: Image, width: int, height: int) -> Image:
    """The image scaled to fit into this size, in the middle, with black bars."""
    scale = min(width / image.shape[1], height / image.shape[0])
    w, h = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    left, top = (width - w) // 2, (height - h) // 2
    canvas = np.zeros((height, width, 3), np.uint8)
    canvas[top : top + h, left : left + w] = cv2.resize(image, (w, h), interpolation=cv2.INTER_AREA)
    return canvas
