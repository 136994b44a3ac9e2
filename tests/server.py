"""A web server whose faults a test chooses: cut or wrong answers, redirects, stalls. It records its requests."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Behaviour = Callable[["Asked"], None]


class Asked(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        with self.server.lock:
            self.server.asked.append((self.path, dict(self.headers)))
            behave = self.server.script.pop(0) if len(self.server.script) > 1 else self.server.script[0]
        behave(self)

    def end_headers(self) -> None:
        self.send_header("Connection", "close")  # which http.server then does
        super().end_headers()

    def log_message(self, *_: object) -> None:
        pass

    def answer(self, status: int, body: bytes = b"", **headers: object) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": len(body), **headers}.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(body)


class Server(ThreadingHTTPServer):
    """At `url`; does `script` one after the other, its last for ever, and lists paths and headers in `asked`."""

    daemon_threads = True

    def __init__(self, *script: Behaviour) -> None:
        super().__init__(("127.0.0.1", 0), Asked)
        self.script, self.lock = list(script), threading.Lock()
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.released = threading.Event()  # ends whatever stalls

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/weights.pth"

    @property
    def ranges(self) -> list[str | None]:
        return [headers.get("Range") for _, headers in self.asked]

    def handle_error(self, *_: object) -> None:
        pass  # clients that were killed


@contextmanager
def serving(*script: Behaviour) -> Iterator[Server]:
    """A server that runs until the block is left."""
    with Server(*script) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.released.set()
            server.shutdown()
            thread.join()


def whole(content: bytes, *, ranges: bool = True, sends: int | None = None, stalls: bool = False) -> Behaviour:
    """Serve this; go on from where the client asks if `ranges`; cut the line, or stall, after `sends` bytes."""

    def behave(asked: Asked) -> None:
        requested = asked.headers.get("Range") if ranges else None
        start = int(requested.removeprefix("bytes=").removesuffix("-")) if requested else 0
        if requested and start >= len(content):
            asked.answer(416, Content_Range=f"bytes */{len(content)}")
            return
        body = content[start:]
        asked.send_response(206 if requested else 200)
        asked.send_header("Content-Length", str(len(body)))
        if requested:
            asked.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        asked.end_headers()
        asked.wfile.write(body[:sends])
        asked.wfile.flush()
        if stalls:
            asked.server.released.wait(30)

    return behave


def status(code: int, body: bytes = b"", **headers: object) -> Behaviour:
    """Answer with this status and these headers."""
    return lambda asked: asked.answer(code, body, **headers)
