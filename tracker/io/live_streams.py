"""Connections to live sources: pictures as they are decoded, until the source ends, fails or stalls.

PyAV (FFmpeg) reads network streams and pipes, OpenCV reads cameras. FFmpeg's messages are not used: they hold whole
addresses, passwords included.
"""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

import av
import av.error
import cv2
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from posetrail.errors import InputError
from posetrail.frame import Image
from tracker.io.live_address import LiveAddress
from tracker.io.video_files import upright, upright_size
from tracker.live_settings import LiveSettings

_POLL_S = 0.1
_READ_BYTES = 1 << 16
_MOST_DAMAGED = 100  # damaged packets in a row after which a connection is given up
_SLOWEST_FPS, _FASTEST_FPS = 0.1, 1000.0  # nominal rates that are believed
_OPTIONS = {"analyzeduration": "1000000", "fpsprobesize": "0"}  # otherwise the first picture waits for seconds


class SourceLost(Exception):
    """A connection failed, stalled, or ended though the source is endless; the message says why, without addresses."""


@dataclass(frozen=True, eq=False)
class LivePicture:
    """A decoded picture, not yet converted to RGB."""

    size: tuple[int, int]  # width, height
    stream_s: float | None  # the time that the stream gives; None if it gives none
    image: Callable[[], Image]


@dataclass(frozen=True, eq=False)
class Connection:
    """An open source."""

    fps: float | None  # nominal, if the source states one
    ends: bool  # whether its end is the end of the recording, and no failure
    pictures: Iterator[LivePicture]


@contextmanager
def connected(
    address: LiveAddress, settings: LiveSettings, on_damage: Callable[[], None], stopped: Callable[[], bool]
) -> Generator[Connection]:
    """Connect to a source.

    Args:
        address: of the source.
        settings: time limits and transport.
        on_damage: called for each damaged packet or picture, which is left out.
        stopped: asked between packets; true ends the pictures.

    Raises:
        SourceLost: the source cannot be connected now; from the pictures, it failed or stalled.
        InputError: it will never be connected this way.
    """
    if address.kind == "camera":
        with _camera(address, settings) as connection:
            yield connection
        return
    with _container(address, settings, stopped) as container:
        if not container.streams.video:
            raise InputError(f"{address}: holds no video; give the address of a video stream")
        stream = container.streams.video[0]
        with closing(_decoded(container, stream, settings, on_damage, stopped)) as pictures:
            ends = address.kind == "pipe" or container.duration is not None
            yield Connection(_rate(float(stream.guessed_rate or 0)), ends, pictures)


def _rate(fps: float) -> float | None:
    return fps if _SLOWEST_FPS <= fps <= _FASTEST_FPS else None


# Network streams and pipes ------------------------------------------------------------------------------------------


@contextmanager
def _container(address: LiveAddress, settings: LiveSettings, stopped: Callable[[], bool]) -> Generator[InputContainer]:
    options = dict(_OPTIONS)
    scheme = address.target.partition(":")[0].lower()
    if scheme in ("rtsp", "rtsps"):
        options["rtsp_transport"] = settings.rtsp_transport
    if scheme == "udp":
        options["overrun_nonfatal"] = "1"
    try:
        if address.kind == "pipe":
            with _pipe(address, stopped) as pipe, av.open(pipe, "r", options=options) as container:
                yield container
        else:
            limits = (settings.stall_s, settings.stall_s)
            with av.open(address.target, "r", options=options, timeout=limits) as container:
                yield container
    except av.error.FFmpegError as error:
        # The error itself holds the whole address, so it is neither shown nor chained.
        reason, is_final = _reason(error), _is_final(error) or address.kind == "pipe"
    else:
        return
    if is_final and not stopped():
        raise InputError(f"{address}: {reason}; check the address, and play it with another program")
    raise SourceLost(reason)


def _reason(error: av.error.FFmpegError) -> str:
    if isinstance(error, av.error.ExitError | TimeoutError):
        return "no data within the time limit"
    return error.strerror or type(error).__name__


def _is_final(error: av.error.FFmpegError) -> bool:
    """Whether the same address would fail again: a wrong name, password or protocol."""
    return isinstance(error, av.error.HTTPClientError | av.error.ProtocolNotFoundError | av.error.DecoderNotFoundError)


def _decoded(
    container: InputContainer,
    stream: VideoStream,
    settings: LiveSettings,
    on_damage: Callable[[], None],
    stopped: Callable[[], bool],
) -> Generator[LivePicture]:
    damaged, last_s = 0, time.monotonic()
    while damaged <= _MOST_DAMAGED:
        try:
            for packet in container.demux(stream):
                if stopped():
                    return
                pictures = []
                try:
                    pictures = packet.decode()
                except av.error.InvalidDataError:
                    on_damage()
                for picture in pictures:
                    if picture.is_corrupt:
                        on_damage()
                    else:
                        damaged = 0
                        yield _picture(picture)
                        last_s = time.monotonic()
                if time.monotonic() - last_s > settings.stall_s:
                    raise SourceLost("data without a picture that can be decoded")
            return
        except av.error.InvalidDataError:
            damaged += 1
            on_damage()
    raise SourceLost("too much damaged data")


def _picture(picture: VideoFrame) -> LivePicture:
    timed = picture.pts is not None and picture.time_base is not None
    stream_s = float(picture.pts * picture.time_base) if timed else None  # type: ignore[operator]
    return LivePicture(upright_size(picture), stream_s, lambda: upright(picture))


class _Pipe:
    """A pipe or file that can be stopped while it waits for data."""

    def __init__(self, descriptor: int, stopped: Callable[[], bool]) -> None:
        self._descriptor, self._stopped = descriptor, stopped

    def read(self, size: int) -> bytes:
        """The next bytes, as many as are there; none at the end."""
        while not self._stopped():
            if os.name == "posix" and not select.select([self._descriptor], [], [], _POLL_S)[0]:
                continue
            try:
                return os.read(self._descriptor, min(size, _READ_BYTES))
            except BlockingIOError:
                time.sleep(_POLL_S / 10)
        return b""


@contextmanager
def _pipe(address: LiveAddress, stopped: Callable[[], bool]) -> Generator[_Pipe]:
    if address.is_stdin:
        yield _Pipe(sys.stdin.fileno(), stopped)
        return
    # Without waiting, so that a named pipe that has no writer yet can be stopped, too.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(address.target, flags)
    except OSError as error:
        raise InputError(f"{address}: cannot be read ({error.strerror}); check its permissions") from None
    try:
        yield _Pipe(descriptor, stopped)
    finally:
        os.close(descriptor)


# Cameras ------------------------------------------------------------------------------------------------------------


@contextmanager
def _camera(address: LiveAddress, settings: LiveSettings) -> Generator[Connection]:
    capture = cv2.VideoCapture(int(address.target) if address.target.isdigit() else address.target)
    try:
        if not capture.isOpened():
            raise InputError(
                f"{address}: cannot be opened; check its number, that no other program uses it, and your permissions"
            )
        yield Connection(_rate(capture.get(cv2.CAP_PROP_FPS)), False, _camera_pictures(capture, settings))
    finally:
        capture.release()


def _camera_pictures(capture: cv2.VideoCapture, settings: LiveSettings) -> Iterator[LivePicture]:
    last_s = time.monotonic()
    while time.monotonic() - last_s <= settings.stall_s:
        read, image = capture.read()
        if not read:
            raise SourceLost("the camera sends no picture")
        yield _camera_picture(image)
        last_s = time.monotonic()
    raise SourceLost("no picture within the time limit")


def _camera_picture(image: Image) -> LivePicture:
    return LivePicture((image.shape[1], image.shape[0]), None, lambda: cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
