"""`posetrail models fetch` from servers that lie, stall, cut and never end; all of them on this machine.

The file appears whole, with the sum that was asked for, or not at all; no server can fill the disc, or hold the command
for longer than the limits say; and a good server, asked next, is enough.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import random
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from ..server import Asked, Behaviour, Server, status, whole
from .campaign import main
from .product import Product
from .sandbox import Ended, Finding, Limits, Sandbox

NAME = "yolox_nano"
CONTENT = hashlib.shake_256(b"weights").digest(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
PATIENCE = Limits(seconds=240, megabytes=1000, disc_megabytes=64)  # of one command


def endless(asked: Asked) -> None:
    asked.send_response(200)
    asked.end_headers()
    _send_for_ever(asked, b"x" * (1 << 20))


def endless_chunks(asked: Asked) -> None:
    asked.send_response(200)
    asked.send_header("Transfer-Encoding", "chunked")
    asked.end_headers()
    _send_for_ever(asked, b"100000\r\n" + b"x" * (1 << 20) + b"\r\n")


def trickle(asked: Asked) -> None:
    """A byte now and then, so that no read times out."""
    asked.send_response(200)
    asked.send_header("Content-Length", str(len(CONTENT)))
    asked.end_headers()
    for byte in CONTENT:
        if asked.server.released.wait(1.0):
            return
        asked.wfile.write(bytes([byte]))
        asked.wfile.flush()


def _send_for_ever(asked: Asked, block: bytes) -> None:
    while not asked.server.released.is_set():
        asked.wfile.write(block)


def huge_length(asked: Asked) -> None:
    asked.send_response(200)
    asked.send_header("Content-Length", str(1 << 60))
    asked.end_headers()
    _send_for_ever(asked, b"x" * (1 << 20))


def gzip_bomb(asked: Asked) -> None:
    asked.answer(200, gzip.compress(bytes(1 << 28), 9), Content_Encoding="gzip")


def gzipped(asked: Asked) -> None:
    asked.answer(200, gzip.compress(CONTENT), Content_Encoding="gzip")


def redirect_loop(asked: Asked) -> None:
    asked.answer(302, Location=f"{asked.server.url}?{len(asked.server.asked)}")


def reset(asked: Asked) -> None:
    asked.connection.close()


def rubbish(asked: Asked) -> None:
    asked.wfile.write(random.Random(0).randbytes(5000))


def endless_headers(asked: Asked) -> None:
    asked.wfile.write(b"HTTP/1.1 200 OK\r\n")
    _send_for_ever(asked, b"X-More: " + b"x" * 1000 + b"\r\n")


def wrong_range(asked: Asked) -> None:
    asked.answer(206, CONTENT[5:], Content_Range=f"bytes 5-{len(CONTENT) - 1}/{len(CONTENT)}")


def odd_headers(asked: Asked) -> None:
    asked.answer(206, CONTENT, Content_Range="bytes x-y/z", Content_Length="many", ETag='"a\x7f', Retry_After="1e9")


BEHAVIOURS: dict[str, tuple[Behaviour, ...]] = {
    "good": (whole(CONTENT),),
    "short": (whole(CONTENT, sends=1000),),
    "one byte a connection": (whole(CONTENT, sends=1),),
    "cut, then good": (whole(CONTENT, sends=100_000), reset, whole(CONTENT)),
    "resets": (reset,),
    "wrong content": (whole(CONTENT[::-1]),),
    "page": (status(200, b"<!DOCTYPE html><p>please log in"),),
    "empty": (status(200),),
    "gzipped": (gzipped,),
    "gzip bomb": (gzip_bomb,),
    "redirect loop": (redirect_loop,),
    "redirect to a file": (status(302, Location="file:///etc/hostname"),),
    "redirect to http elsewhere": (status(302, Location="http://192.0.2.1/weights.pth"),),
    "busy": (status(503, Retry_After=0),),
    "busy for long": (status(503, Retry_After=86_400),),
    "gone": (status(404),),
    "rubbish": (rubbish,),
    "wrong range": (wrong_range,),
    "odd headers": (odd_headers,),
    "endless": (endless,),
    "endless chunks": (endless_chunks,),
    "endless headers": (endless_headers,),
    "huge length": (huge_length,),
    "trickle": (trickle,),
    "stalls": (whole(CONTENT, sends=5000, stalls=True),),
}
SLOW = ("trickle", "stalls", "busy for long", "one byte a connection")  # minutes each; the last of a round
NO_SUM = ("wrong content", "empty")  # accepted where no checksum is known


def case(number: int, rng: random.Random, sandbox: Sandbox) -> str:
    name = sorted(BEHAVIOURS, key=SLOW.__contains__)[number % len(BEHAVIOURS)]
    if name in SLOW and number >= len(BEHAVIOURS):
        return f"{name}: once is enough"
    with_sum = name in NO_SUM or rng.random() < 0.7
    try:
        with serving(*BEHAVIOURS[name]) as url:
            ended = _fetched(sandbox, url, with_sum)
        _judge(ended, sandbox, complete=name in ("good", "cut, then good"))
        with serving(whole(CONTENT)) as url:
            again = _fetched(sandbox, url, with_sum=True)
        _judge(again, sandbox, complete=True)
    except Finding as finding:
        raise Finding(f"{name}: {finding} (({'with' if with_sum else 'without'} a sum))") from None
    return f"{name}: {ended.outcome}"


def _fetched(sandbox: Sandbox, url: str, with_sum: bool) -> Ended:
    product = Product(weights={NAME: (url, SHA256 if with_sum else "")})
    home = [sandbox.root / "home"]
    return sandbox.posetrail("models", "fetch", NAME, product=product, may_change=home, limits=PATIENCE)


def _judge(ended: Ended, sandbox: Sandbox, *, complete: bool) -> None:
    file = sandbox.root / "home" / "weights" / "yolox_nano.pth"
    if complete and ended.code:
        raise Finding(f"a good server is refused: {ended.err.strip()[:300]}")
    if ended.code == 0 and not file.is_file():
        raise Finding("fetched, but it is not there")
    if file.is_file() and file.read_bytes() != CONTENT:
        raise Finding(f"another file is in the cache, of {file.stat().st_size} bytes")
    if ended.code not in (0, 2):
        raise Finding(f"exit code {ended.code}")


@contextmanager
def serving(*script: Behaviour) -> Iterator[str]:
    """A server in a process of its own, because this one forks; gives its url."""
    server = Server(*script)
    pid = os.fork()
    if not pid:
        try:
            server.serve_forever(poll_interval=0.05)
        finally:
            os._exit(0)
    server.socket.close()
    try:
        yield server.url
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


if __name__ == "__main__":
    main("fetch", case)
