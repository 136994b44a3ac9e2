"""Download a file over HTTPS so that it appears complete and verified, or not at all.

Received bytes are kept beside the file (.NAME.part); an interrupted download continues from there, in this run or the
next. A lock file beside it keeps two processes from downloading the same file at once: the second waits for the first.
Proxies are taken from the environment. Plain HTTP is allowed to this machine only.

Servers are not trusted: no more is written than was announced or is allowed, and `Patience` limits how often, how long
and how slowly they may answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from filelock import FileLock
from requests.adapters import BaseAdapter, HTTPAdapter

from posetrail.errors import InputError
from posetrail.files import digest, fits, sync_file

OnProgress = Callable[[int, int | None], None]
"""Called with the bytes received so far and, if the server says so, the size of the file."""

LARGEST_BYTES = 4 << 30  # every published file is below 1 GB, and FAT32, used on memory sticks, allows no more
_CHUNK = 1 << 14  # small, because an incomplete chunk is downloaded again
_PASSING = (408, 425, 429, 500, 502, 503, 504)  # status codes worth another attempt
_TRANSPORT = (requests.ConnectionError, requests.Timeout, urllib3.exceptions.HTTPError)
_REDIRECTS = 10
_LONGEST_NUMBER = 18  # digits of a size in a header


@dataclass(frozen=True, kw_only=True)
class Patience:
    """Timeouts and retries of a download."""

    attempts: int = 4
    """Consecutive attempts that may each receive less than `progress_bytes`."""
    attempts_in_all: int = 100
    """Attempts overall, however much they receive."""
    progress_bytes: int = 1 << 16
    deadline_s: float = 6 * 3600.0
    """From the first attempt to the last byte; enough for 1 GB at 50 kB/s. The bytes received by then are kept."""
    least_bytes_per_s: float = 1000.0
    """Average over each `window_s`; a slower attempt is aborted."""
    window_s: float = 60.0
    pause_s: float = 0.5
    """After the first failed attempt; doubled after each further one, unless the server asks for another time."""
    longest_pause_s: float = 30.0
    connect_s: float = 10.0
    read_s: float = 30.0
    """Without receiving a byte."""
    clock: Callable[[], float] = time.monotonic
    """A monotonic clock in seconds."""


def download(
    url: str,
    path: Path,
    *,
    sha256: Sequence[str] = (),
    on_progress: OnProgress | None = None,
    patience: Patience | None = None,
    max_bytes: int = LARGEST_BYTES,
) -> str:
    """Download a file, unless it is there already.

    Args:
        url: an https URL; http is accepted for this machine only. The same holds for redirects.
        path: where to save it; its folder is created.
        sha256: accepted digests, whole or their first digits; if empty, any file but a web page is accepted.
        on_progress: called after each chunk.
        patience: timeouts and retries.
        max_bytes: larger files are refused.

    Returns:
        the sha256 of the file.

    Raises:
        InputError: the server does not have the file, cannot be reached or is too slow; the file is too large or has
            another digest; or the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(f".{path.name}.lock")):
        if path.is_file() and fits(found := digest(path), sha256):
            return found
        part = path.with_name(f".{path.name}.part")
        if not sha256 or _size(part) > max_bytes:
            part.unlink(missing_ok=True)  # without a digest nothing shows whether the part belongs to this file
        resumed = part.is_file() and part.stat().st_size > 0
        with _Session(patience or Patience(), max_bytes) as session:
            session.fill(url, part, on_progress)
            if resumed and not fits(digest(part), sha256):
                part.unlink()  # the part may have belonged to another file
                session.fill(url, part, on_progress)
        found = digest(part)
        if not fits(found, sha256) or _is_web_page(part):
            fault = _fault(url, part, found, sha256)
            part.unlink()
            raise InputError(fault)
        part.replace(path)
        return found


def _is_web_page(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(256).lstrip().startswith(b"<")


def _fault(url: str, part: Path, found: str, sha256: Sequence[str]) -> str:
    size = f"{part.stat().st_size} bytes"
    if _is_web_page(part):
        return (
            f"{url}: expected a file, got a web page ({size}), perhaps of a login or a proxy; "
            "download it with a browser and give its path"
        )
    return (
        f"{url}: expected sha256 {' or '.join(sha256)}, got {found} ({size}); the file was deleted; "
        f"if it is the right one, accept it with --sha256 {found}"
    )


class _Busy(Exception):
    """The server may answer another attempt."""

    def __init__(self, reason: str, pause_s: float | None = None) -> None:
        super().__init__(reason)
        self.pause_s = pause_s


class _Session(requests.Session):
    """A session that continues interrupted downloads and checks every URL, redirects included, before using it."""

    def __init__(self, patience: Patience, max_bytes: int) -> None:
        super().__init__()
        self._patience = patience
        self._max_bytes = max_bytes
        self._end_s = patience.clock() + patience.deadline_s
        self._attempts_left = patience.attempts_in_all
        self._same_file: str | None = None  # strong ETag of the file that the part belongs to
        self.headers.update({"User-Agent": f"posetrail/{version('posetrail')}", "Accept-Encoding": "identity"})
        self.mount("http://", HTTPAdapter())

    def get_adapter(self, url: str) -> BaseAdapter:
        """Refuse URLs that are neither https nor on this machine; called before every request."""
        parts = urlsplit(url)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost")):
            raise InputError(f"{url}: expected an https URL; download it by other means and give its path")
        return super().get_adapter(url)

    def get_redirect_target(self, resp: requests.Response) -> None:
        """None, because requests would read the body of a redirect into memory; `_answer` follows redirects instead."""

    def fill(self, url: str, part: Path, on_progress: OnProgress | None) -> None:
        """Complete the part, continuing from the bytes in it if the server supports that."""
        failures, furthest = 0, _size(part)
        while True:
            try:
                self._attempts_left -= 1
                self._receive(url, part, on_progress)
            except requests.exceptions.SSLError as error:
                raise InputError(f"{url}: its certificate is not trusted here ({_root(error)})") from error
            except (*_TRANSPORT, _Busy) as error:
                failures = failures + 1 if _size(part) < furthest + self._patience.progress_bytes else 1
                furthest = max(furthest, _size(part))
                asked = error.pause_s if isinstance(error, _Busy) else None
                pause = self._patience.pause_s * 2 ** (failures - 1) if asked is None else asked
                pause = min(pause, self._patience.longest_pause_s)
                too_late = self._patience.clock() + pause > self._end_s
                if failures >= self._patience.attempts or self._attempts_left <= 0 or too_late:
                    raise InputError(_gave_up(url, part, error)) from error
                time.sleep(pause)
            except requests.RequestException as error:
                raise InputError(f"{url}: cannot be fetched ({_root(error)})") from error
            else:
                return

    def _receive(self, url: str, part: Path, on_progress: OnProgress | None) -> None:
        here = _size(part)
        headers = {"Range": f"bytes={here}-"} if here else {}
        if here and self._same_file:
            headers["If-Range"] = self._same_file
        with self._answer(url, headers) as answer:
            if answer.status_code == requests.codes.requested_range_not_satisfiable:
                if answer.headers.get("Content-Range") == f"bytes */{here}":
                    return  # the part was complete already
                part.unlink(missing_ok=True)
                raise _Busy("the incomplete file on disk belongs to another one", pause_s=0)
            if answer.status_code in _PASSING:
                raise _Busy(f"{answer.status_code} {answer.reason}", _asked_pause(answer))
            if answer.status_code not in (200, 206):
                raise InputError(
                    f"{url}: the server says {answer.status_code} {answer.reason}; "
                    "the file may have moved: look at the authors' page, download it and give its path"
                )
            _refuse_encodings(url, answer)
            start = _start(answer)
            if start not in (0, here):
                part.unlink(missing_ok=True)
                raise _Busy(f"asked for byte {here}, got {start}", pause_s=0)
            length = _number(answer.headers.get("Content-Length", ""))
            expected = None if length is None else start + length
            if expected is not None and expected > self._max_bytes:
                part.unlink(missing_ok=True)
                raise InputError(self._too_large(url, expected))
            etag = answer.headers.get("ETag", "")
            self._same_file = etag if etag.startswith('"') else None  # a weak ETag does not guarantee equal bytes
            self._copy(answer, part, start, expected, on_progress)

    def _answer(self, url: str, headers: dict[str, str]) -> requests.Response:
        """The response after following redirects; its body is not read yet."""
        timeout = (self._patience.connect_s, self._patience.read_s)
        url = url
        for _ in range(_REDIRECTS + 1):
            answer = self.get(url, headers=headers, stream=True, timeout=timeout)
            target = super().get_redirect_target(answer)
            if target is None:
                return answer
            answer.close()
            url = urljoin(url, target)
        raise InputError(f"{url}: more than {_REDIRECTS} redirects; download it by other means and give its path")

    def _copy(
        self, answer: requests.Response, part: Path, start: int, expected: int | None, on_progress: OnProgress | None
    ) -> None:
        """Append the body from byte `start` on to the part, within the limits of time, rate and size."""
        clock, patience = self._patience.clock, self._patience
        here = window_from = start
        window_s = clock()
        with part.open("ab" if start else "wb") as file:
            while chunk := answer.raw.read1(_CHUNK, decode_content=False):
                here += len(chunk)
                if here > (self._max_bytes if expected is None else expected):
                    file.close()
                    part.unlink()
                    raise InputError(self._too_large(url=str(answer.url), size=None))
                _write(file, chunk, part)
                if on_progress:
                    on_progress(here, expected)
                now = clock()
                if now > self._end_s:
                    raise _Busy(f"not complete after {patience.deadline_s:g} s")
                if now - window_s >= patience.window_s:
                    rate = (here - window_from) / (now - window_s)
                    if rate < patience.least_bytes_per_s:
                        raise _Busy(f"{rate:.3g} bytes/s, slower than {patience.least_bytes_per_s:g}")
                    window_from, window_s = here, now
            sync_file(file.fileno())  # else a power cut could leave the file's name without its content
        if expected is not None and here != expected:
            raise requests.ConnectionError(f"cut after {here} of {expected} bytes")

    def _too_large(self, url: str, size: int | None) -> str:
        got = f"{size} bytes" if size else "more"
        return (
            f"{url}: expected a file of at most {self._max_bytes} bytes, got {got}; nothing was kept; "
            "if it is the right file, download it by other means and give its path"
        )


def _write(file: BinaryIO, chunk: bytes, part: Path) -> None:
    try:
        file.write(chunk)
        file.flush()
    except OSError as error:
        raise InputError(
            f"{part}: cannot be written ({error.strerror}); received bytes are kept there; make room and fetch it again"
        ) from error


def _refuse_encodings(url: str, answer: requests.Response) -> None:
    """Raise an error for a compressed body, whose size cannot be checked."""
    for header, plain in (("Content-Encoding", ("", "identity")), ("Transfer-Encoding", ("", "identity", "chunked"))):
        encoding = answer.headers.get(header, "").strip().lower()
        if encoding not in plain:
            raise InputError(
                f"{url}: expected the plain file, got it with {header}: {encoding[:40]!r}; "
                "download it by other means and give its path"
            )


def _number(text: str) -> int | None:
    if not (text.isascii() and text.isdecimal()):
        return None
    return int(text) if len(text) <= _LONGEST_NUMBER else 10**_LONGEST_NUMBER


def _start(answer: requests.Response) -> int:
    """Position of the first byte in the body."""
    if answer.status_code != requests.codes.partial_content:
        return 0
    first = _number(answer.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0])
    return -1 if first is None else first


def _asked_pause(answer: requests.Response) -> float | None:
    return _number(answer.headers.get("Retry-After", ""))


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _gave_up(url: str, part: Path, error: Exception) -> str:
    if _size(part):
        return f"{url}: cut off after {_size(part)} bytes ({_root(error)}); fetch it again to continue from there"
    return f"{url}: cannot be reached ({_root(error)}); is this machine online, does it need a proxy (HTTPS_PROXY)?"


def _root(error: BaseException) -> str:
    """The innermost cause of an error, in one line."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return " ".join(str(error).split()) or type(error).__name__
