"""GIF out: images with their times to an animated GIF, which appears complete or not at all.

Written by FFmpeg's encoder through PyAV, which the MP4 writer needs anyway; OpenCV's encoder has one palette for all
frames or a crude one, and Pillow would be another dependency. Each frame has a palette of its own, so that no frame has
to be kept; the ordered dither is the same in all frames, so that the background does not flicker.
"""

from __future__ import annotations

import math
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import cv2
from av.container import OutputContainer
from av.filter import Graph
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from posetrail.errors import InputError
from posetrail.files import written_whole
from posetrail.frame import Image

_TICKS_PER_S = 100  # all that GIF can hold
_SLACK = 1e-3  # of a step: times of files are rounded


class GifWriter:
    """Writes images one by one to a GIF that appears when the writer is left; without images there is no file.

    Args:
        path: the file to make; ends in .gif.
        width: of the images, in pixels.
        height: likewise.
        fps: images per second at most; others are left out.
        max_width: wider images are scaled down to it.

    Raises:
        InputError: the path does not end in .gif.
    """

    notes: tuple[str, ...] = ()

    def __init__(self, path: Path, width: int, height: int, fps: float = 15.0, max_width: int = 640) -> None:
        if path.suffix.lower() != ".gif":
            raise InputError(f"{path}: expected a name that ends in .gif")
        self._path = path
        self._fps = fps
        scale = min(1.0, max_width / width)
        self._size = max(1, round(width * scale)), max(1, round(height * scale))
        self._open = ExitStack()
        self._container: OutputContainer | None = None  # until the first picture
        self._stream: VideoStream | None = None
        self._palettes: Graph | None = None
        self._last_step = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.__exit__(kind, error, trace)

    def add(self, image: Image, time_s: float) -> None:
        """Add the next image, shown from `time_s` on (0 or more), unless it follows the last one too soon."""
        step = math.floor(time_s * self._fps + _SLACK)
        if step <= self._last_step:
            return
        self._last_step = step
        if self._container is None:
            self._begin()
        assert self._palettes is not None
        small: Image = cv2.resize(image, self._size, interpolation=cv2.INTER_AREA)
        picture = VideoFrame.from_ndarray(small, format="rgb24")
        picture.pts, picture.time_base = round(time_s * _TICKS_PER_S), Fraction(1, _TICKS_PER_S)
        self._palettes.push(picture)
        self._write_ready()

    def _begin(self) -> None:
        beside = self._open.enter_context(written_whole(self._path))
        self._container = self._open.enter_context(av.open(str(beside), "w", format="gif"))
        self._stream = self._container.add_stream("gif", rate=Fraction(self._fps).limit_denominator(1001))
        self._stream.pix_fmt = "pal8"
        self._stream.width, self._stream.height = self._size
        self._stream.codec_context.time_base = Fraction(1, _TICKS_PER_S)
        self._palettes = _palettes(*self._size)
        self._open.push(self._finish)

    def _write_ready(self) -> None:
        """Encode the pictures that have their palettes."""
        assert self._palettes is not None
        while True:
            try:
                picture = self._palettes.pull()
            except (av.BlockingIOError, av.EOFError):
                return
            assert isinstance(picture, VideoFrame)
            self._encode(picture)

    def _encode(self, picture: VideoFrame | None) -> None:
        assert self._container is not None
        assert self._stream is not None
        self._container.mux(self._stream.encode(picture))

    def _finish(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None and self._palettes is not None:
            self._palettes.push(None)
            self._write_ready()
            self._encode(None)


def _palettes(width: int, height: int) -> Graph:
    """A filter graph that reduces each picture to 256 colours of its own."""
    graph = Graph()
    rgb = VideoFormat("rgb24", width, height)
    source = graph.add_buffer(width=width, height=height, format=rgb, time_base=Fraction(1, _TICKS_PER_S))
    split = graph.add("split")
    generate = graph.add("palettegen", "stats_mode=single")
    use = graph.add("paletteuse", "new=1:dither=bayer:bayer_scale=4:diff_mode=rectangle")
    sink = graph.add("buffersink")
    source.link_to(split)
    split.link_to(use, 0, 0)
    split.link_to(generate, 1, 0)
    generate.link_to(use, 0, 1)
    use.link_to(sink)
    graph.configure()
    return graph
