"""Addresses of live sources: which kind they are, and how they are shown without their passwords."""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from posetrail.errors import InputError
from posetrail.paths import safe_name

HIDDEN = "***"
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S*")
_DRIVE = re.compile(r"[A-Za-z]:(?=[\\/])")  # of a path on Windows
_CAMERA = re.compile(r"\d{1,4}|/dev/video\d+")
_AMBIGUOUS = frozenset("/?#=")
_PLAIN_PARAMETERS = frozenset(
    {"camera", "channel", "fps", "height", "profile", "quality", "resolution", "stream", "subtype", "timeout", "width"}
)
_PLAIN_VALUE = re.compile(r"[A-Za-z0-9_.x-]{0,16}")

LiveKind = Literal["camera", "network", "pipe"]


def redacted(address: str) -> str:
    """The address without anything that may be a password: what logs, errors, files and JSON lines show.

    Hidden are the user and the password before "@", all parameters but a few known ones, fragments, parts of the path
    that hold a "=", and the stream key of RTMP; all of it where it is not clear what stands before the "@".

    >>> redacted("rtsp://admin:secret@camera:554/stream1?channel=2&token=abc")
    'rtsp://***@camera:554/stream1?channel=2&***'
    """
    scheme, found, rest = address.partition("://")
    if not found:
        user, at, host = address.rpartition("@")
        return f"{HIDDEN}@{host}" if at and ":" in user[_drive_length(user) :] else address
    user, at, rest = rest.rpartition("@")
    if not _AMBIGUOUS.isdisjoint(user):  # a password may hold any character, and so may a token behind the host
        return f"{scheme}://{HIDDEN}"
    place, asked, query = rest.partition("?")
    place, fragment, _ = place.partition("#")
    host, *parts = place.split("/")
    if scheme.lower().startswith("rtmp"):
        parts[1:] = [HIDDEN] if len(parts) > 1 else []
    shown = "/".join([host, *(HIDDEN if "=" in part else part for part in parts)])
    tail = f"?{_plain_parameters(query)}" if asked else f"#{HIDDEN}" if fragment else ""
    return f"{scheme}://{HIDDEN + at if at else ''}{shown}{tail}"


def _drive_length(path: str) -> int:
    """2 for a path that begins with a drive, as on Windows, otherwise 0."""
    return 2 if _DRIVE.match(path) else 0


def _plain_parameters(query: str) -> str:
    shown: list[str] = []
    for pair in re.split("[&;#]", query):
        name, _, value = pair.partition("=")
        plain = name in _PLAIN_PARAMETERS and _PLAIN_VALUE.fullmatch(value)
        shown.append(pair if plain else HIDDEN)
    return "&".join(dict.fromkeys(shown))


def redacted_text(text: str) -> str:
    """A text with every address in it redacted."""
    return _ADDRESS.sub(lambda found: redacted(found[0]), text)


@dataclass(frozen=True)
class LiveAddress:
    """Where a live source is. Its text shows no password."""

    kind: LiveKind
    target: str = field(repr=False)  # the number or device of a camera, the whole address, or the path of a pipe

    def __str__(self) -> str:
        if self.kind == "camera":
            return f"camera {self.target}"
        return "stdin" if self.is_stdin else redacted(self.target)

    @property
    def is_stdin(self) -> bool:
        """Whether it is the standard input."""
        return self.kind == "pipe" and self.target == "-"

    @property
    def name(self) -> str:
        """A name for folders: the camera, the host of an address, or the file name of a pipe."""
        if self.kind == "camera":
            return safe_name(f"camera{Path(self.target).name.removeprefix('video')}")
        if self.kind == "pipe":
            return "stdin" if self.is_stdin else safe_name(Path(self.target).stem)
        try:
            return safe_name(urlsplit(redacted(self.target)).hostname or "stream")
        except ValueError:
            return "stream"


def live_address(source: str | int | Path) -> LiveAddress:
    """The address of a live source.

    Args:
        source: the number of a camera or its /dev/videoN, an address such as rtsp://HOST/PATH, "-" for the standard
            input, or the path of a named pipe or a file.

    Raises:
        InputError: it is none of these.
    """
    text = str(source)
    if _CAMERA.fullmatch(text):
        return LiveAddress("camera", text)
    if "://" in text and not _DRIVE.match(text):
        return LiveAddress("network", text)
    path = Path(text)
    if text == "-" or _is_readable(path):
        return LiveAddress("pipe", text)
    raise InputError(
        f"SOURCE: expected the number of a camera, an address such as rtsp://HOST/PATH, a pipe or -, got "
        f"{redacted(text)!r}; there is no such file"
    )


def _is_readable(path: Path) -> bool:
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode) or stat.S_ISCHR(mode)
