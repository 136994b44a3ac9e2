"""Servers of live sources that stop, stall, change their resolution and send garbage: HTTP, UDP and pipes."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import BinaryIO

import av
import cv2
import numpy as np

from posetrail.frame import Image

Send = Callable[[bytes], None]


def jpeg(image: Image) -> bytes:
    """An image as one part of a multipart MJPEG stream."""
    _, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 95])
    head = f"--next\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
    return head.encode() + data.tobytes() + b"\r\n"


def grey(number: int, size: tuple[int, int] = (64, 48)) -> Image:
    """A flat image whose brightness tells its number."""
    return np.full((size[1], size[0], 3), (number * 8) % 256, np.uint8)


class MjpegServer(ThreadingHTTPServer):
    """Serves each connection by the next of `acts`, the last one again and again; records the paths asked for."""

    daemon_threads = True

    def __init__(self, *acts: Callable[[Send], None]) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.acts, self.paths = list(acts), list[str]()
        self.released = threading.Event()

    def url(self, credentials: str = "", query: str = "") -> str:
        return f"http://{credentials}127.0.0.1:{self.server_address[1]}/video.mjpg{query}"

    def handle_error(self, *_: object) -> None:
        pass


class _Answer(BaseHTTPRequestHandler):
    server: MjpegServer

    def do_GET(self) -> None:
        self.server.paths.append(self.path)
        act = self.server.acts.pop(0) if len(self.server.acts) > 1 else self.server.acts[0]
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=next")
        self.end_headers()
        with contextlib.suppress(OSError):
            act(self.wfile.write)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def mjpeg_server(*acts: Callable[[Send], None]) -> Iterator[MjpegServer]:
    with MjpegServer(*acts) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.released.set()
            server.shutdown()
            thread.join()


def sends(images: Iterable[Image], fps: float = 50.0) -> Callable[[Send], None]:
    """An act that sends these images at a rate, and ends."""

    def act(send: Send) -> None:
        for image in images:
            send(jpeg(image))
            time.sleep(1 / fps)

    return act


def transport_stream(images: Iterable[Image], to: BinaryIO | object, fps: float = 50.0, *, paced: bool = True) -> None:
    """Write images as MPEG-TS with H.264; every image can be decoded by itself."""
    with av.open(to, "w", format="mpegts") as container:
        stream = None
        for number, image in enumerate(images):
            if stream is None:
                options = {"preset": "ultrafast", "tune": "zerolatency", "g": "1"}
                stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001), options=options)
                stream.height, stream.width = image.shape[:2]
                stream.pix_fmt = "yuv420p"
            picture = av.VideoFrame.from_ndarray(image, format="rgb24")
            picture.pts, picture.time_base = number, Fraction(1, round(fps))
            container.mux(stream.encode(picture))
            if paced:
                time.sleep(1 / fps)
        if stream is not None:
            container.mux(stream.encode(None))
    if isinstance(to, Datagrams):
        to.close()


class Datagrams:
    """A file whose bytes go out as UDP datagrams of seven transport packets; some may be replaced by garbage."""

    def __init__(self, port: int, garbled: Callable[[int], bool] = lambda _: False) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._to, self._garbled, self._sent, self._rest = ("127.0.0.1", port), garbled, 0, b""

    def write(self, data: bytes) -> int:
        self._rest += bytes(data)
        whole = len(self._rest) // 188 * 188
        packets, self._rest = self._rest[:whole], self._rest[whole:]
        for begin in range(0, len(packets), 7 * 188):
            part = packets[begin : begin + 7 * 188]
            self._sent += 1
            self._socket.sendto(os.urandom(len(part)) if self._garbled(self._sent) else part, self._to)
        return len(data)

    def close(self) -> None:
        self._socket.close()


def free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
