"""Arguments of the command line: how they are read, and what is said of those that cannot be used."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cyclopts import (
    CoercionError,
    CycloptsError,
    MissingArgumentError,
    UnknownOptionError,
    UnusedCliTokensError,
)

from posetrail.errors import InputError

_SETTING = re.compile(r"[A-Za-z][A-Za-z0-9_-]*=")
_CLOCK = re.compile(r"(?:(?P<h>\d+):)?(?P<m>\d+):(?P<s>\d+(?:\.\d*)?)")
_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]+):/")
_LIVE = re.compile(r"\d+|/dev/video\d+")
_OF_ONE_CLIP = ("track", "draw", "follow")


def seconds(text: str) -> float:
    """A time as it is written on the command line: seconds, M:SS or H:MM:SS, each with a fraction or without.

    >>> seconds("90"), seconds("1:30"), seconds("1:02:03.5")
    (90.0, 90.0, 3723.5)

    Raises:
        InputError: it is none of these.
    """
    if clock := _CLOCK.fullmatch(text.strip()):
        hours, minutes, rest = int(clock["h"] or 0), int(clock["m"]), float(clock["s"])
        if rest < 60 and (minutes < 60 or clock["h"] is None):
            return hours * 3600 + minutes * 60 + rest
    try:
        return float(text)
    except ValueError:
        raise InputError(f"expected seconds such as 90, or a time such as 1:30 or 0:01:30.5, got {text!r}") from None


def recorded(text: str) -> Path:
    """The path of a clip; what is no file here and reads like a live source is refused by name.

    Raises:
        InputError: it is a URL, or the number or device of a camera.
    """
    path = Path(text)
    if path.exists() and not path.is_char_device():
        return path
    supported = "expected a video file, a folder of images or a quoted glob of images"
    if url := _URL.match(text):
        record = (
            "record it" if url["scheme"].lower() in ("rtsp", "rtsps", "rtmp", "rtp", "udp", "srt") else "download it"
        )
        raise InputError(f"{supported}, got the URL {text}; network streams are not read: {record} to a file first")
    if _LIVE.fullmatch(text):
        raise InputError(f"{supported}, got {text}; cameras are not read: record to a file first")
    return path


def each_set(arguments: Sequence[str]) -> list[str]:
    """The same arguments, with a --set before each NAME=VALUE that follows one: `--set a=1 b=2`.

    What exists as a file is a file, though its name may hold a "=".
    """
    spread: list[str] = []
    within = False
    for before, argument in zip(["", *arguments], arguments, strict=False):
        is_setting = bool(_SETTING.match(argument))
        if within and before != "--set" and is_setting and not Path(argument).exists():
            spread.append("--set")
        within = argument == "--set" or argument.startswith("--set=") or (within and is_setting)
        spread.append(argument)
    return spread


def complaint(error: CycloptsError) -> str:
    """What cannot be used about the arguments: what was expected, what came, what to do."""
    command = " ".join(error.command_chain or ())
    see = f"see `posetrail {command} --help`"
    match error:
        case UnusedCliTokensError():
            return _left_over(error.unused_tokens or [], command, error.command_chain or (), see)
        case MissingArgumentError(argument=argument) if argument is not None and error.command_chain:
            name = argument.name if argument.name.startswith("--") and error.keyword else _positional(argument)
            return f"expected {'a value after ' if error.keyword else ''}{error.keyword or name}, got none; {see}"
        case CoercionError(msg=None) | UnknownOptionError():
            return f"{error}; {see}".replace(".;", ";")
    return str(error)


def _positional(argument: Any) -> str:
    return argument.name.lstrip("-").upper()


def _left_over(tokens: Sequence[str], command: str, chain: Sequence[str], see: str) -> str:
    more = " ".join(tokens[:3]) + (" ..." if len(tokens) > 3 else "")
    if chain and chain[0] in _OF_ONE_CLIP:
        what = "clip" if chain[0] == "track" else "run"
        hint = "for several clips, or a glob that the shell expanded, use `posetrail batch`"
        if chain[0] != "track":
            hint = f"call it once for each; {hint}"
        return f"{command}: expected one {what}, got {len(tokens)} more ({more}); {hint}"
    return f"{command}: expected no further argument, got {more}; {see}"
