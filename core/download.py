"""A file over HTTP that appears whole and verified or not at all, however often the line is cut.

What has arrived lies beside the file (.NAME.part) and is gone on with, in this run or the next; a lock beside it keeps
two processes from fetching the same file at once: the second waits, and finds it there. Proxies are those of the
environment. Nothing is sent without TLS but to this machine itself.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

import requests
from filelock import FileLock
from requests.adapters import BaseAdapter, HTTPAdapter

from core.errors import InputError
from core.files import digest, fits

Told = Callable[[int, int | None], None]
"""Is told the bytes that are here and, where the server tells, those that are wanted."""

_CHUNK = 1 << 14  # what is lost of a chunk that was cut is asked for again, so a small one
_PASSING = (408, 425, 429, 500, 502, 503, 504)  # answers that may be others a moment later
_TRANSPORT = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long a server is waited for."""

    attempts: int = 4
    """In a row that brought nothing new."""
    pause_s: float = 0.5
    """After the first of them; twice as long after each further one, or as long as the server asks for."""
    longest_pause_s: float = 30.0
    connect_s: float = 10.0
    read_s: float = 30.0
    """Without a single byte."""


def download(
    address: str, path: Path, *, sha256: Sequence[str] = (), told: Told | None = None, patience: Patience | None = None
) -> str:
    """Fetch a file, unless it is there already.

    Args:
        address: https; http for this machine alone. Redirects are followed under the same rule.
        path: where it is to be; its folder is made.
        sha256: what the file's may be, whole or the first digits; none accepts any file but a web page.
        told: progress.
        patience: how long the server is waited for.

    Returns:
        the file's sha256.

    Raises:
        InputError: the server has no such file, cannot be reached, or has another file than wanted.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(f".{path.name}.lock")):
        if path.is_file() and fits(found := digest(path), sha256):
            return found
        part = path.with_name(f".{path.name}.part")
        if not sha256:
            part.unlink(missing_ok=True)  # nothing would tell that the beginning is another file's
        went_on = part.is_file() and part.stat().st_size > 0
        with _Session(patience or Patience()) as session:
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

    def __init__(self, patience: Patience) -> None:
        super().__init__()
        self._patience = patience
        self._same_file: str | None = None  # the ETag of what the part is of
        self.headers.update({"User-Agent": f"posetrail/{version('posetrail')}", "Accept-Encoding": "identity"})
        self.mount("http://", HTTPAdapter())

    def get_adapter(self, url: str) -> BaseAdapter:
        """What sends a request; asked for before each one."""
        parts = urlsplit(url)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost")):
            raise InputError(f"{url}: wanted an https address; fetch it by other means and give its path")
        return super().get_adapter(url)

    def fill(self, address: str, part: Path, told: Told | None) -> None:
        """Bring the part to its full length; what is in it is gone on with where the server can."""
        failures, furthest = 0, _size(part)
        while True:
            try:
                self._receive(address, part, told)
            except requests.exceptions.SSLError as error:
                raise InputError(f"{address}: its certificate is not trusted here ({_root(error)})") from error
            except (*_TRANSPORT, _Busy) as error:
                failures = failures + 1 if _size(part) <= furthest else 1
                furthest = max(furthest, _size(part))
                if failures >= self._patience.attempts:
                    raise InputError(_gave_up(address, part, error)) from error
                asked = error.pause_s if isinstance(error, _Busy) else None
                pause = self._patience.pause_s * 2 ** (failures - 1) if asked is None else asked
                time.sleep(min(pause, self._patience.longest_pause_s))
            except requests.RequestException as error:
                raise InputError(f"{address}: cannot be fetched ({_root(error)})") from error
            else:
                return

    def _receive(self, address: str, part: Path, told: Told | None) -> None:
        here = _size(part)
        headers = {"Range": f"bytes={here}-"} if here else {}
        if here and self._same_file:
            headers["If-Range"] = self._same_file
        timeout = (self._patience.connect_s, self._patience.read_s)
        with self.get(address, headers=headers, stream=True, timeout=timeout) as answer:
            if answer.status_code == requests.codes.requested_range_not_satisfiable:
                if answer.headers.get("Content-Range") == f"bytes */{here}":
                    return  # all of it had come before
                part.unlink()
                raise _Busy("the part here is no part of it", pause_s=0)
            if answer.status_code in _PASSING:
                raise _Busy(f"{answer.status_code} {answer.reason}", _asked_pause(answer))
            if answer.status_code not in (200, 206):
                raise InputError(
                    f"{address}: the server says {answer.status_code} {answer.reason}; "
                    "the file may have moved: look at its authors' page and give its path"
                )
            start = _start(answer)
            if start not in (0, here):
                part.unlink(missing_ok=True)
                raise _Busy(f"asked for byte {here}, got {start}", pause_s=0)
            etag = answer.headers.get("ETag", "")
            self._same_file = etag if etag.startswith('"') else None  # a weak one promises too little
            with part.open("ab" if start else "wb") as file:
                _copy(answer, file, start, told)


def _copy(answer: requests.Response, file: BinaryIO, start: int, told: Told | None) -> None:
    length = answer.headers.get("Content-Length", "")
    wanted = start + int(length) if length.isdecimal() else None
    here = start
    for chunk in answer.iter_content(_CHUNK):
        file.write(chunk)
        here += len(chunk)
        if told:
            told(here, wanted)
    file.flush()
    os.fsync(file.fileno())  # or a power cut could leave the file's name with none of the content
    if wanted is not None and here != wanted:
        raise requests.ConnectionError(f"cut after {here} of {wanted} bytes")


def _start(answer: requests.Response) -> int:
    """The first byte that the answer holds."""
    if answer.status_code != requests.codes.partial_content:
        return 0
    first = answer.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
    return int(first) if first.isdecimal() else -1


def _asked_pause(answer: requests.Response) -> float | None:
    seconds = answer.headers.get("Retry-After", "")
    return float(seconds) if seconds.isdecimal() else None


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
