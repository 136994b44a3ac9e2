"""corrections.jsonl: what a person corrected in a run, one JSON object a line, appended and never changed.

The first line binds the file to the poses that it names, by the sha256 of the pose log and the name of its skeleton.
Every other line is an operation with its number. A line counts once it is whole: what a killed process left of a last
line is dropped. The file is the only one in a run's folder that cannot be made again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from posetrail.errors import InputError
from posetrail.files import sync_file, sync_folder, written_whole

CORRECTIONS = "corrections.jsonl"
VERSION = 1
_LARGEST_BYTES = 2**30
_PART_BYTES = 2**20
_END_MARK = b"\xff\xff\xff\xff\0\0\0\0"  # of an Arrow stream


@dataclass(frozen=True)
class CorrectionsHeader:
    """The first line."""

    poses_sha256: str  # of the frames of the pose log
    poses_bytes: int  # their length; a run that is continued appends others
    skeleton: str

    @classmethod
    def of(cls, poses: Path, skeleton: str) -> CorrectionsHeader:
        """The header for corrections of a pose log, whose end mark does not count."""
        with poses.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - len(_END_MARK)))
            size -= len(_END_MARK) * (file.read() == _END_MARK)
        return cls(_digest(poses, size), size, skeleton)

    def names_poses_of(self, poses: Path, skeleton: str) -> bool:
        """Whether these are the poses of a pose log, to which frames may have been appended since."""
        known = self.skeleton == skeleton and poses.stat().st_size >= self.poses_bytes
        return known and _digest(poses, self.poses_bytes) == self.poses_sha256

    def line(self) -> bytes:
        """The line, with its end."""
        return _line({"posetrail_corrections": VERSION, **asdict(self)})


@dataclass(frozen=True)
class CorrectionsLog:
    """The content of a file of corrections."""

    header: CorrectionsHeader | None  # None: there is no file, or no whole line in it
    lines: tuple[dict[str, Any], ...]  # the operations; line k has number k + 1
    end: int  # byte after the last whole line


EMPTY_LOG = CorrectionsLog(None, (), 0)


def read_corrections(path: Path) -> CorrectionsLog:
    """Read a file of corrections; `EMPTY_LOG` if there is none.

    Raises:
        InputError: it cannot be read, another version wrote it, or a whole line is damaged.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_BYTES + 1)
    except FileNotFoundError:
        return EMPTY_LOG
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    if len(content) > _LARGEST_BYTES:
        raise InputError(f"{path}: expected up to {_LARGEST_BYTES} bytes, got more; restore it from a copy")
    whole = content[: content.rfind(b"\n") + 1]
    if not whole:
        return EMPTY_LOG
    first, *rest = (_parsed(path, number, line) for number, line in enumerate(whole.split(b"\n")[:-1], 1))
    header = _header(path, first)
    for number, line in enumerate(rest, 1):
        if line.get("n") != number:
            raise damaged_line(path, number + 1, f"expected operation {number}, got {str(line.get('n'))[:20]}")
    return CorrectionsLog(header, tuple(rest), len(whole))


def append_correction(path: Path, header: CorrectionsHeader, log: CorrectionsLog, values: Mapping[str, Any]) -> None:
    """Append an operation; it is on the disk when this returns. The caller holds a lock.

    Args:
        path: the file, made if it does not exist.
        header: for a new file.
        log: the content of the file; what follows its last whole line is removed.
        values: of the operation, without its number.

    Raises:
        InputError: nothing can be written.
    """
    line = _line({"n": len(log.lines) + 1, **values})
    try:
        if log.header is None:
            with written_whole(path) as beside:
                beside.write_bytes(header.line() + line)
            return
        with path.open("r+b") as file:
            file.truncate(log.end)
            file.seek(0, os.SEEK_END)
            file.write(line)
            file.flush()
            sync_file(file.fileno())
        sync_folder(path.parent)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); nothing was corrected") from None


def _line(values: Mapping[str, Any]) -> bytes:
    return json.dumps(values, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode() + b"\n"


def _parsed(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        values = json.loads(line.decode())
    except (ValueError, RecursionError):
        raise damaged_line(path, number, "it is not JSON") from None
    if not isinstance(values, dict):
        raise damaged_line(path, number, "it is no object")
    return values


def _header(path: Path, values: dict[str, Any]) -> CorrectionsHeader:
    version = values.get("posetrail_corrections")
    if type(version) is not int:
        raise InputError(f"{path}: expected corrections of posetrail, got another file; move it away")
    if version != VERSION:
        raise InputError(f"{path}: expected version {VERSION}, got {version}; update posetrail")
    sha256, size, skeleton = (values.get(name) for name in ("poses_sha256", "poses_bytes", "skeleton"))
    if not isinstance(sha256, str) or type(size) is not int or size < 0 or not isinstance(skeleton, str):
        raise damaged_line(path, 1, "it names no poses")
    return CorrectionsHeader(sha256, size, skeleton)


def _digest(path: Path, size: int) -> str:
    """The sha256 of the first bytes of a file."""
    sha256 = hashlib.sha256()
    with path.open("rb") as file:
        while size > 0 and (part := file.read(min(size, _PART_BYTES))):
            sha256.update(part)
            size -= len(part)
    return sha256.hexdigest()


def damaged_line(path: Path, number: int, reason: str) -> InputError:
    """The error for a damaged line; lines count from 1."""
    return InputError(
        f"{path}: line {number} is damaged ({reason}); restore the file from a copy, or remove this line and those "
        "after it"
    )
