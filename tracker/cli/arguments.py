"""Arguments of the command line: their notation, and the error messages for those that cannot be used."""

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
from tracker.io.live_address import redacted

_SETTING = re.compile(r"[A-Za-z][A-Za-z0-9_-]*=")
_CLOCK = re.compile(r"(?:(?P<h>\d+):)?(?P<m>\d+):(?P<s>\d+(?:\.\d*)?)")
_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]+):/")
_SIZE = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[KMGT]?B)?", re.IGNORECASE)
_LIVE = re.compile(r"\d+|/dev/video\d+")
_STREAMS = ("rtsp", "rtsps", "rtmp", "rtp", "udp", "srt")
_OF_ONE_CLIP = ("track", "draw", "follow", "export", "report", "suspects")


def seconds(text: str) -> float:
    """Parse a time: seconds, M:SS or H:MM:SS, with or without a fraction.

    >>> seconds("90"), seconds("1:30"), seconds("1:02:03.5")
    (90.0, 90.0, 3723.5)

    Raises:
        InputError: the text has none of these forms.
    """
    if clock := _CLOCK.fullmatch(text.strip()):
        hours, minutes, rest = int(clock["h"] or 0), int(clock["m"]), float(clock["s"])
        if rest < 60 and (minutes < 60 or clock["h"] is None):
            return hours * 3600 + minutes * 60 + rest
    try:
        return float(text)
    except ValueError:
        raise InputError(f"expected seconds such as 90, or a time such as 1:30 or 0:01:30.5, got {text!r}") from None


def byte_count(text: str) -> int:
    """Parse a size: bytes, or with a unit of KB, MB, GB or TB, powers of 1000.

    >>> byte_count("2GB"), byte_count("1.5 MB"), byte_count("0")
    (2000000000, 1500000, 0)

    Raises:
        InputError: the text has none of these forms.
    """
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise InputError(f"expected a size such as 500MB or 2GB, got {text!r}")
    return round(
        float(found["number"]) * 1000 ** " KMGT".index((found["unit"] or "B").upper().removesuffix("B") or " ")
    )


def clip_path(text: str) -> Path:
    """The path of a clip. An existing file may have any name, also one like a camera's.

    Raises:
        InputError: it is a URL, or the number or device of a camera.
    """
    path = Path(text)
    if path.exists() and not path.is_char_device():
        return path
    supported = "expected a video file, a folder of images or a quoted glob of images"
    if url := _URL.match(text):
        shown = redacted(text)
        hint = "" if url["scheme"].lower() in _STREAMS else "download it to a file first, or "
        raise InputError(f"{supported}, got the URL {shown}; {hint}use `posetrail live {shown}`")
    if _LIVE.fullmatch(text):
        raise InputError(f"{supported}, got {text}; of a camera use `posetrail live {text}`")
    return path


def given_source(text: str) -> str:
    """The source that an argument names, or the file that it names.

    Raises:
        InputError: @FILE cannot be read.
    """
    if not text.startswith("@") or Path(text).exists():
        return text
    try:
        lines = Path(text[1:]).read_text(encoding="utf-8").split("\n", 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise InputError(
            f"SOURCE: expected @FILE with an address, got {text}, which cannot be read ({reason})"
        ) from None
    return lines[0].strip()


def repeat_set(arguments: Sequence[str]) -> list[str]:
    """Insert --set before each further NAME=VALUE: `--set a=1 b=2` becomes `--set a=1 --set b=2`.

    An argument that exists as a file is not a setting, even if its name has a "=".
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


def without_short_names(arguments: Sequence[str]) -> list[str]:
    """The arguments of `track` and `batch` with --weights written as --estimator-weights."""
    if not arguments or arguments[0] not in ("track", "batch"):
        return list(arguments)
    return [re.sub(r"^--weights(?==|$)", "--estimator-weights", argument) for argument in arguments]


def complaint(error: CycloptsError) -> str:
    """The error message for unusable arguments: what was expected, what was given, what to do."""
    command = " ".join(error.command_chain or ())
    see = f"see `posetrail {command} --help-all`"
    match error:
        case UnusedCliTokensError():
            return _unexpected(error.unused_tokens or [], command, error.command_chain or (), see)
        case MissingArgumentError(argument=argument) if argument is not None and error.command_chain:
            name = argument.name if argument.name.startswith("--") and error.keyword else _positional(argument)
            return f"expected {'a value after ' if error.keyword else ''}{error.keyword or name}, got none; {see}"
        case UnknownOptionError() if (text := str(error)).endswith("?"):  # "Did you mean ...?"
            return f"{text} Otherwise {see}"
        case CoercionError(msg=None) | UnknownOptionError():
            return f"{error}; {see}".replace(".;", ";")
    return str(error)


def _positional(argument: Any) -> str:
    return argument.name.lstrip("-").upper()


def _unexpected(tokens: Sequence[str], command: str, chain: Sequence[str], see: str) -> str:
    more = " ".join(tokens[:3]) + (" ..." if len(tokens) > 3 else "")
    if chain and chain[0] in _OF_ONE_CLIP:
        what = "clip" if chain[0] == "track" else "run"
        hint = "for several clips, or a glob expanded by the shell, use `posetrail batch`"
        if chain[0] != "track":
            hint = f"run the command once for each; {hint}"
        return f"{command}: expected one {what}, got {len(tokens)} more ({more}); {hint}"
    return f"{command}: expected no further argument, got {more}; {see}"
