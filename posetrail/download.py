"""A file over HTTP that appears whole and verified or not at all, however often the line is cut.

What has arrived lies beside the file (.NAME.part) and is gone on with, in this run or the next; a lock beside it keeps
two processes from fetching the same file at once: the second waits, and finds it there. Proxies are those of the
environment. Nothing is sent without TLS but to this machine itself.

A server is not trusted with this machine's disc and time: no more is written than it announced or than is allowed, and
`Patience` bounds how often, how long and how slowly it may answer.
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

Told = Callable[[int, int | None], None]
"""Is told the bytes that are here and, where the server tells, those that are wanted."""

LARGEST_BYTES = 4 << 30  # every published file is below 1 GB, and FAT, on many a memory stick, holds no larger one
_CHUNK = 1 << 14  # what is lost of a chunk that was cut is asked for again, so a small one
_PASSING = (408, 425, 429, 500, 502, 503, 504)  # answers that may be others a moment later
_TRANSPORT = (requests.ConnectionError, requests.Timeout, urllib3.exceptions.HTTPError)
_REDIRECTS = 10
_LONGEST_NUMBER = 18  # digits of a size


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long a server is waited for, and how often it is asked; bounds for a whole download, retries included."""

    attempts: int = 4
    """In a row that each brought less than `progress_bytes`."""
    attempts_in_all: int = 100
    """Whatever they brought."""
    progress_bytes: int = 1 << 16
    deadline_s: float = 6 * 3600.0
    """From the first attempt to the last byte; enough for 1 GB at 50 kB/s. What has come by then is kept."""
    least_bytes_per_s: float = 1000.0
    """On average over each `window_s`; a slower attempt is cut off."""
    window_s: float = 60.0
    pause_s: float = 0.5
    """After the first of them; twice as long after each further one, or as long as the server asks for."""
    longest_pause_s: float = 30.0
    connect_s: float = 10.0
    read_s: float = 30.0
    """Without a single byte."""
    clock: Callable[[], float] = time.monotonic
    """Seconds that only rise."""


def download(
    address: str,
    path: Path,
    *,
    sha256: Sequence[str] = (),
    told: Told | None = None,
    patience: Patience | None = None,
    max_bytes: int = LARGEST_BYTES,
) -> str:
    """Fetch a file, unless it is there already.

    Args:
        address: https; http for this machine alone. Redirects are followed under the same rule.
        path: where it is to be; its folder is made.
        sha256: what the file's may be, whole or the first digits; none accepts any file but a web page.
        told: progress.
        patience: how long the server is waited for.
        max_bytes: no larger file is fetched.

    Returns:
        the file's sha256.

    Raises:
        InputError: the server has no such file, cannot be reached, is too slow, or has another file than expected or a
            larger one; or the disc is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(f".{path.name}.lock")):
        if path.is_file() and fits(found := digest(path), sha256):
            return found
        part = path.with_name(f".{path.name}.part")
        if not sha256 or _size(part) > max_bytes:
            part.unlink(missing_ok=True)  # nothing would tell that the beginning is another file's
        went_on = part.is_file() and part.stat().st_size > 0
        with _Session(patience or Patience(), max_bytes) as session:
            session.fill(address, part, told)
            if went_on and not fits(digest(part), sha256):
                part.unlink()  # the beginning may have been that of another file
                session.fill(address, part, told)
        found = digest(part)
        if not fits(found, sha256) or _is_web_page(part):
            fault = _fault(address, part, found, sha256)
            part.unlink()
            raise InputError(fault)
        part.replace(path)
        return found


def _is_web_page(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(256).lstrip().startswith(b"<")


def _fault(address: str, part: Path, found: str, sha256: Sequence[str]) -> str:
    size = f"{part.stat().st_size} bytes"
    if _is_web_page(part):
        return (
            f"{address}: wanted a file, got a web page ({size}); is there a login or a proxy in between? "
            "fetch it with a browser and give its path"
        )
    return (
        f"{address}: wanted sha256 {' or '.join(sha256)}, got {found} ({size}); it was thrown away; "
        f"if you know this one to be right, say so with --sha256 {found}"
    )


class _Busy(Exception):
    """The server may well answer a moment later."""

    def __init__(self, reason: str, pause_s: float | None = None) -> None:
        super().__init__(reason)
        self.pause_s = pause_s


class _Session(requests.Session):
    """Goes on where it was cut; every address, redirects included, is looked at before anything is sent there."""

    def __init__(self, patience: Patience, max_bytes: int) -> None:
        super().__init__()
        self._patience = patience
        self._max_bytes = max_bytes
        self._end_s = patience.clock() + patience.deadline_s
        self._attempts_left = patience.attempts_in_all
        self._same_file: str | None = None  # the ETag of what the part is of
        self.headers.update({"User-Agent": f"posetrail/{version('posetrail')}", "Accept-Encoding": "identity"})
        self.mount("http://", HTTPAdapter())

    def get_adapter(self, url: str) -> BaseAdapter:
        """What sends a request; asked for before each one."""
        parts = urlsplit(url)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost")):
            raise InputError(f"{url}: wanted an https address; fetch it by other means and give its path")
        return super().get_adapter(url)

    def get_redirect_target(self, resp: requests.Response) -> None:
        """None: requests would read a redirect's body, however long, into memory; `_answer` follows instead."""

    def fill(self, address: str, part: Path, told: Told | None) -> None:
        """Bring the part to its full length; what is in it is gone on with where the server can."""
        failures, furthest = 0, _size(part)
        while True:
            try:
                self._attempts_left -= 1
                self._receive(address, part, told)
            except requests.exceptions.SSLError as error:
                raise InputError(f"{address}: its certificate is not trusted here ({_root(error)})") from error
            except (*_TRANSPORT, _Busy) as error:
                failures = failures + 1 if _size(part) < furthest + self._patience.progress_bytes else 1
                furthest = max(furthest, _size(part))
                asked = error.pause_s if isinstance(error, _Busy) else None
                pause = self._patience.pause_s * 2 ** (failures - 1) if asked is None else asked
                pause = min(pause, self._patience.longest_pause_s)
                too_late = self._patience.clock() + pause > self._end_s
                if failures >= self._patience.attempts or self._attempts_left <= 0 or too_late:
                    raise InputError(_gave_up(address, part, error)) from error
                time.sleep(pause)
            except requests.RequestException as error:
                raise InputError(f"{address}: cannot be fetched ({_root(error)})") from error
            else:
                return

    def _receive(self, address: str, part: Path, told: Told | None) -> None:
        here = _size(part)
        headers = {"Range": f"bytes={here}-"} if here else {}
        if here and self._same_file:
            headers["If-Range"] = self._same_file
        with self._answer(address, headers) as answer:
            if answer.status_code == requests.codes.requested_range_not_satisfiable:
                if answer.headers.get("Content-Range") == f"bytes */{here}":
                    return  # all of it had come before
                part.unlink(missing_ok=True)
                raise _Busy("the part here is no part of it", pause_s=0)
            if answer.status_code in _PASSING:
                raise _Busy(f"{answer.status_code} {answer.reason}", _asked_pause(answer))
            if answer.status_code not in (200, 206):
                raise InputError(
                    f"{address}: the server says {answer.status_code} {answer.reason}; "
                    "the file may have moved: look at its authors' page and give its path"
                )
            _refuse_encodings(address, answer)
            start = _start(answer)
            if start not in (0, here):
                part.unlink(missing_ok=True)
                raise _Busy(f"asked for byte {here}, got {start}", pause_s=0)
            length = _number(answer.headers.get("Content-Length", ""))
            expected = None if length is None else start + length
            if expected is not None and expected > self._max_bytes:
                part.unlink(missing_ok=True)
                raise InputError(self._too_large(address, expected))
            etag = answer.headers.get("ETag", "")
            self._same_file = etag if etag.startswith('"') else None  # a weak one promises too little
            self._copy(answer, part, start, expected, told)

    def _answer(self, address: str, headers: dict[str, str]) -> requests.Response:
        """What the address answers, or the one that it leads to; its body is not read yet."""
        timeout = (self._patience.connect_s, self._patience.read_s)
        url = address
        for _ in range(_REDIRECTS + 1):
            answer = self.get(url, headers=headers, stream=True, timeout=timeout)
            target = super().get_redirect_target(answer)
            if target is None:
                return answer
            answer.close()
            url = urljoin(url, target)
        raise InputError(f"{address}: leads from one address to the next, more than {_REDIRECTS} times; give its path")

    def _copy(self, answer: requests.Response, part: Path, start: int, expected: int | None, told: Told | None) -> None:
        """Write the body behind byte `start` of the part, as long as it comes in time and is not too long."""
        clock, patience = self._patience.clock, self._patience
        here = window_from = start
        window_s = clock()
        with part.open("ab" if start else "wb") as file:
            while chunk := answer.raw.read1(_CHUNK, decode_content=False):
                here += len(chunk)
                if here > (self._max_bytes if expected is None else expected):
                    file.close()
                    part.unlink()
                    raise InputError(self._too_large(address=str(answer.url), size=None))
                _write(file, chunk, part)
                if told:
                    told(here, expected)
                now = clock()
                if now > self._end_s:
                    raise _Busy(f"not complete after {patience.deadline_s:g} s")
                if now - window_s >= patience.window_s:
                    rate = (here - window_from) / (now - window_s)
                    if rate < patience.least_bytes_per_s:
                        raise _Busy(f"{rate:.3g} bytes/s, slower than {patience.least_bytes_per_s:g}")
                    window_from, window_s = here, now
            sync_file(file.fileno())  # or a power cut could leave the file's name with none of the content
        if expected is not None and here != expected:
            raise requests.ConnectionError(f"cut after {here} of {expected} bytes")

    def _too_large(self, address: str, size: int | None) -> str:
        came = f"{size} bytes" if size else "more"
        return (
            f"{address}: expected a file of at most {self._max_bytes} bytes, got {came}; nothing was kept: "
            "if it is the right one, fetch it by other means and give its path"
        )


def _write(file: BinaryIO, chunk: bytes, part: Path) -> None:
    try:
        file.write(chunk)
        file.flush()
    except OSError as error:
        raise InputError(
            f"{part}: cannot be written ({error.strerror}); what has come stays there: make room and fetch it again"
        ) from error


def _refuse_encodings(address: str, answer: requests.Response) -> None:
    """A body that was compressed on the way has no size that could be checked."""
    for header, plain in (("Content-Encoding", ("", "identity")), ("Transfer-Encoding", ("", "identity", "chunked"))):
        came = answer.headers.get(header, "").strip().lower()
        if came not in plain:
            raise InputError(
                f"{address}: expected the file as it is, got it with {header}: {came[:40]!r}; "
                "fetch it by other means and give its path"
            )


def _number(text: str) -> int | None:
    if not (text.isascii() and text.isdecimal()):
        return None
    return int(text) if len(text) <= _LONGEST_NUMBER else 10**_LONGEST_NUMBER


def _start(answer: requests.Response) -> int:
    """The first byte that the answer holds."""
    if answer.status_code != requests.codes.partial_content:
        return 0
    first = _number(answer.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0])
    return -1 if first is None else first


def _asked_pause(answer: requests.Response) -> float | None:
    return _number(answer.headers.get("Retry-After", ""))


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _gave_up(address: str, part: Path, error: Exception) -> str:
    if _size(part):
        return (
            f"{address}: cut off after {_size(part)} bytes ({_root(error)}); "
            "fetch it again, and it goes on where it stopped"
        )
    return f"{address}: cannot be reached ({_root(error)}); is this machine online, does it need a proxy (HTTPS_PROXY)?"


def _root(error: BaseException) -> str:
    """The reason beneath what libraries wrapped around it, in one line."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return " ".join(str(error).split()) or type(error).__name__
