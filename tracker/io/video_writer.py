"""Video out: images with their own times become an H.264 MP4 that every player shows, whole or not there at all.

Written by PyAV (FFmpeg, x264), as video is read, because OpenCV's writer keeps no times. What was decided here:

- Times are kept to a 360000th of a second: that clock has a whole number of ticks for frames at 24 to 240 fps, at their
  NTSC cousins (n / 1.001), for milliseconds and for the 90 kHz of telephones. A time that does not grow is moved to the
  next tick, because a player shows one picture at a time, and one before 0 to 0, because MP4 has none.
- MP4 counts the ticks from one picture to the next in 31 bits: 99 minutes of them. Below one frame a second the clock
  has milliseconds, so that 24 days fit. A longer gap is shortened to that, and a note says so.
- Colours are BT.601 of limited range, because OpenCV turns RGB into it in a tenth of the time that FFmpeg takes. The
  file says so: players that are told do not guess by the size of the picture.
- One encoding thread: x264 gives other bits with another number of threads, and the networks can use the rest.
"""

from __future__ import annotations

from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from types import TracebackType
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
_SLOWEST_FPS, _FASTEST_FPS = 1e-6, 1000.0  # that the file says of itself; its times are its own
_BT601 = 6  # ITU-T H.273, matrix coefficients; PyAV's Colorspace counts as FFmpeg's scaler does instead
# No B-frames: how far they are from their place in the file MP4 counts in 31 bits, too, which a few gaps use up.
# At 1080p ultrafast takes half the time and twice the bytes, veryfast half as much time again and two thirds the bytes.
_X264 = {"preset": "superfast", "crf": "21", "threads": "1", "bf": "0"}


class VideoWriter:
    """An MP4 file that takes images one by one and appears when it is left; no file is made of no image.

    >>> with VideoWriter(Path("drawn.mp4"), 1920, 1080, fps=30) as video:
    ...     for frame in frames:
    ...         video.add(frame.image, frame.time_s)

    Args:
        path: the file to make; ends in .mp4.
        width: pixels of the picture; H.264 wants even sizes, so of an odd one the last column is doubled.
        height: likewise.
        fps: nominal frames per second: what the file says of itself, and how long its last frame stays.

    Raises:
        InputError: another kind of file is wanted, or PyAV cannot write H.264 here.
    """

    def __init__(self, path: Path, width: int, height: int, fps: float) -> None:
        if path.suffix.lower() != ".mp4":
            raise InputError(f"{path}: videos are written as MP4; give a name that ends in .mp4")
        try:
            av.Codec("libx264", "w")
        except ValueError:
            raise InputError(f"{path}: writing video needs a PyAV with libx264; reinstall it: pip install av") from None
        self._path = path
        self._width, self._height = width, height
        self._fps = _rate(fps)
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
        """The next picture, shown from `time_s` on; one of another size is fitted in, between black bars."""
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
        """One line on what in the file is not as it was asked for."""
        if not self._shortened:
            return ()
        gaps = "1 gap is" if self._shortened == 1 else f"{self._shortened} gaps are"
        return (f"{gaps} shortened to {_LONGEST_GAP / self._ticks_per_s:.0f} s, all that MP4 can hold",)

    def _begin(self) -> None:
        beside = self._open.enter_context(written_whole(self._path))
        # The second option is the clock of a late start, whose ticks would be milliseconds; the third keeps slow ones.
        clock = str(self._ticks_per_s)
        options = {"movflags": "+faststart", "movie_timescale": clock, "video_track_timescale": clock}
        self._container = self._open.enter_context(av.open(str(beside), "w", format="mp4", container_options=options))
        self._stream = self._container.add_stream("libx264", rate=self._fps, options=_X264)
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


def _rate(fps: float) -> Fraction:
    """The rate as a fraction of numbers that H.264 can hold."""
    fps = min(max(fps, _SLOWEST_FPS), _FASTEST_FPS)
    return Fraction(fps).limit_denominator(1001) if fps >= 1 else 1 / Fraction(1 / fps).limit_denominator(1001)


def _even(pixels: int) -> int:
    return pixels + pixels % 2


def _fitted(image: Image, width: int, height: int) -> Image:
    """The image on a canvas of this size, made even."""
    if image.shape[:2] != (height, width):
        image = _letterboxed(image, width, height)
    if width % 2 or height % 2:
        image = cv2.copyMakeBorder(image, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
    return image


def _letterboxed(image: Image, width: int, height: int) -> Image:
    scale = min(width / image.shape[1], height / image.shape[0])
    w, h = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    left, top = (width - w) // 2, (height - h) // 2
    canvas = np.zeros((height, width, 3), np.uint8)
    canvas[top : top + h, left : left + w] = cv2.resize(image, (w, h), interpolation=cv2.INTER_AREA)
    return canvas
