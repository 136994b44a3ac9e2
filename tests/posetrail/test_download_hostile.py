"""Servers that would fill the disc, or never end: each is cut off, and told of in one line."""

from __future__ import annotations

import gzip
import itertools
import os
import socket
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from posetrail.download import Patience, download
from posetrail.errors import InputError
from tests.server import Asked, Behaviour, Server, serving, status, whole

CONTENT = zlib.crc32(b"weights").to_bytes(4, "big") * 50_000
QUICK = Patience(attempts=3, pause_s=0.001, connect_s=2, read_s=2)
MOST = 1 << 20


def body(block: bytes, *, chunked: bool = False, code: int = 200, **headers: object) -> Behaviour:
    """Send the block again and again, until the client has had enough."""

    def behave(asked: Asked) -> None:
        asked.send_response(code)
        for name, value in headers.items():
            asked.send_header(name.replace("_", "-"), str(value))
        if chunked:
            asked.send_header("Transfer-Encoding", "chunked")
        asked.end_headers()
        framed = b"%x\r\n%b\r\n" % (len(block), block) if chunked else block
        while not asked.server.released.is_set():
            asked.wfile.write(framed)  # fails when the client has gone

    return behave


def refused(server: Server, path: Path, match: str, **options: object) -> str:
    with pytest.raises(InputError, match=match) as raised:
        download(server.url, path, **{"patience": QUICK, "max_bytes": MOST, **options})  # type: ignore[arg-type]
    assert len(str(raised.value).splitlines()) == 1
    assert not path.exists()
    return str(raised.value)


def part_of(path: Path) -> Path:
    return path.with_name(f".{path.name}.part")


@pytest.mark.parametrize("chunked", [False, True])
def test_an_endless_body_is_stopped_and_removed(tmp_path: Path, chunked: bool) -> None:
    largest = 0

    def watch(here: int, _: int | None) -> None:
        nonlocal largest
        largest = max(largest, here)

    with serving(body(b"\1" * 65536, chunked=chunked)) as server:
        refused(server, tmp_path / "w.pth", "at most 1048576 bytes, got more; nothing was kept", on_progress=watch)
    assert len(server.asked) == 1
    assert largest <= MOST
    assert not part_of(tmp_path / "w.pth").exists()


def test_a_file_with_a_too_large_content_length_is_not_downloaded(tmp_path: Path) -> None:
    with serving(body(b"\1" * 65536, Content_Length=MOST + 1)) as server:
        refused(server, tmp_path / "w.pth", "got 1048577 bytes")
    assert not part_of(tmp_path / "w.pth").exists()


def test_bytes_beyond_the_content_length_are_not_read(tmp_path: Path) -> None:
    with serving(body(b"\1" * 1000, Content_Length=2500)) as server:
        download(server.url, tmp_path / "w.pth", patience=QUICK)
    assert (tmp_path / "w.pth").stat().st_size == 2500


def test_short_bodies_are_retried_a_limited_number_of_times(tmp_path: Path) -> None:
    def short(asked: Asked) -> None:
        asked.send_response(200)
        asked.send_header("Content-Length", str(len(CONTENT) + 5))
        asked.end_headers()
        asked.wfile.write(CONTENT)

    with serving(short) as server:
        refused(server, tmp_path / "w.pth", f"cut off after {len(CONTENT)} bytes")
    assert len(server.asked) == QUICK.attempts


@pytest.mark.parametrize("length", ["9" * 5000, "-5", "1, 2", "0x10", "five"])
def test_an_invalid_content_length_is_ignored(tmp_path: Path, length: str) -> None:
    def odd(asked: Asked) -> None:
        asked.send_response(200)
        asked.send_header("Content-Length", length)
        asked.end_headers()
        asked.wfile.write(CONTENT)

    with serving(odd) as server:
        refusal = ""
        try:
            download(server.url, tmp_path / "w.pth", patience=QUICK, max_bytes=MOST)
        except InputError as error:
            refusal = str(error)
    assert len(refusal.splitlines()) <= 1
    assert refusal or (tmp_path / "w.pth").read_bytes() == CONTENT


@pytest.mark.parametrize(
    "headers", [{"Content_Encoding": "gzip"}, {"Content_Encoding": "br"}, {"Transfer_Encoding": "gzip, chunked"}]
)
def test_a_compressed_response_is_refused(tmp_path: Path, headers: dict[str, str]) -> None:
    bomb = gzip.compress(b"\0" * 10_000_000)
    with serving(status(200, bomb, **headers)) as server:
        refused(server, tmp_path / "w.pth", "expected the plain file, got it with (Content|Transfer)-Encoding")
    assert server.asked[0][1]["Accept-Encoding"] == "identity"
    assert not part_of(tmp_path / "w.pth").exists()


def test_one_byte_per_connection_fails_after_the_last_attempt(tmp_path: Path) -> None:
    with serving(whole(CONTENT, sends=1)) as server:
        refused(server, tmp_path / "w.pth", r"cut off after 3 bytes")
    assert len(server.asked) == QUICK.attempts


def test_attempts_are_limited_even_if_each_makes_progress(tmp_path: Path) -> None:
    patience = replace(QUICK, progress_bytes=1000, attempts_in_all=7)
    with serving(whole(CONTENT, sends=2000)) as server:
        refused(server, tmp_path / "w.pth", "cut off after 14000 bytes", patience=patience)
    assert len(server.asked) == 7


def ticking(step_s: float) -> Callable[[], float]:
    ticks = itertools.count()
    return lambda: next(ticks) * step_s


def drop_by_drop(asked: Asked) -> None:
    asked.send_response(200)
    asked.send_header("Content-Length", str(len(CONTENT)))
    asked.end_headers()
    for i in range(200):
        asked.wfile.write(CONTENT[i : i + 1])
        asked.wfile.flush()


def test_a_server_that_sends_too_slowly_is_disconnected(tmp_path: Path) -> None:
    with serving(drop_by_drop) as server:
        refused(
            server,
            tmp_path / "w.pth",
            r"bytes/s, slower than 1000",
            patience=replace(QUICK, clock=ticking(100), progress_bytes=10**6),
        )
    assert len(server.asked) == QUICK.attempts


def test_a_download_has_a_time_limit(tmp_path: Path) -> None:
    with serving(whole(CONTENT)) as server:
        patience = replace(QUICK, clock=ticking(400), deadline_s=2000, least_bytes_per_s=0)
        refused(server, tmp_path / "w.pth", r"not complete after 2000 s", patience=patience, sha256=("00",))
        assert part_of(tmp_path / "w.pth").exists()  # the next download goes on with it
    assert len(server.asked) == 1


def test_redirects_are_limited_and_their_bodies_are_not_read(tmp_path: Path) -> None:
    with serving(status(302, Location="/again")) as server:
        refused(server, tmp_path / "w.pth", "more than 10 redirects")
    assert len(server.asked) == 11
    with serving(body(b"\1" * 65536, code=302, Location="/there"), whole(CONTENT)) as server:
        download(server.url, tmp_path / "w.pth", patience=QUICK)
    assert (tmp_path / "w.pth").read_bytes() == CONTENT


@pytest.mark.parametrize("content_range", ["bytes 5-9/10", "bytes 0-", "nonsense", "", f"bytes {'9' * 5000}-/7"])
def test_wrong_ranges_are_retried_a_limited_number_of_times(tmp_path: Path, content_range: str) -> None:
    path = tmp_path / "w.pth"
    part_of(path).write_bytes(CONTENT[:1000])
    with serving(status(206, b"12345", Content_Range=content_range)) as server:
        refused(server, path, server.url, sha256=("00",))
    assert len(server.asked) <= 2 * QUICK.attempts


def test_a_partial_file_of_an_earlier_download_is_limited_too(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    with part_of(path).open("wb") as file:
        file.truncate(MOST + 1)
    with serving(status(503, Retry_After="9" * 30)) as server:
        refused(server, path, "503", patience=replace(QUICK, longest_pause_s=0.001), sha256=("00",))
    assert server.asked[0][1].get("Range") is None


def test_a_reset_connection_is_reported_in_one_line(tmp_path: Path) -> None:
    def reset(asked: Asked) -> None:
        asked.connection.shutdown(socket.SHUT_RDWR)

    with serving(reset) as server:
        refused(server, tmp_path / "w.pth", "cannot be reached")
    assert len(server.asked) == QUICK.attempts


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_reported_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    part_of(path).symlink_to("/dev/full")
    with serving(whole(CONTENT)) as server:
        refused(server, path, r"cannot be written \(No space left on device\)", sha256=("00",))
    assert os.path.islink(part_of(path))  # noqa: PTH114
    assert len(server.asked) == 1
