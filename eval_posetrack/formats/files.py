"""Reads and writes PoseTrack files, versions 2017, 2018 and 2021 (Andriluka et al. 2018).

A `Clip` holds a file of any version as flat arrays.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import orjson

from eval_posetrack.formats.clip import LARGEST_TRACK_ID, NO_SCORE, Clip
from eval_posetrack.formats.columns import shown
from eval_posetrack.formats.packed import Member, is_packed, packed_files
from eval_posetrack.formats.posetrack_2017 import Stream2017, read_2017
from eval_posetrack.formats.posetrack_2018 import Stream2018, read_2018
from posetrail.errors import InputError
from posetrail.files import written_whole

__all__ = [
    "NO_SCORE",
    "Clip",
    "ClipStream",
    "clip_stream",
    "find_files",
    "is_one_clip",
    "read_clip",
    "read_folder",
    "write_clip",
]

ClipStream = Stream2017 | Stream2018
_TRACKS = "tracks.json"  # name of the file in the folder of a run


def read_folder(path: Path | str) -> dict[str, Clip]:
    """Every `*.json` of a folder, or one file, by sequence name, sorted by it.

    Raises:
        InputError: the folder does not exist or has no JSON file, or a file cannot be used.
    """
    return {name: read_clip(file) for name, file in find_files(path).items()}


def find_files(path: Path | str) -> dict[str, Path | Member]:
    """The PoseTrack files that `read_folder` would read, by sequence name.

    A folder with a `tracks.json`, as `posetrail` writes it, is one sequence with the folder's name; a folder of such
    folders has one sequence for each. A zip file is read without unpacking it, whatever folders it contains.

    Raises:
        InputError: the folder does not exist or has no JSON file, or the zip file cannot be used.
    """
    path = Path(path)
    if is_packed(path):
        members = packed_files(path)
        return {name: members[name] for name in sorted(members)}
    if path.is_file():
        return {path.stem: path}
    if not path.is_dir():
        raise InputError(
            f"{path}: expected a PoseTrack JSON file, a folder or a zip file of them, got a path that does not exist"
        )
    if (path / _TRACKS).is_file():
        return {path.resolve().name: path / _TRACKS}
    files: dict[str, Path | Member] = {file.stem: file for file in path.glob("*.json")}
    files |= {file.parent.name: file for file in path.glob(f"*/{_TRACKS}")}
    if not files:
        raise InputError(f"{path}: expected PoseTrack JSON files in the folder, got none (files must end in .json)")
    return {name: files[name] for name in sorted(files)}


def is_one_clip(path: Path | str) -> bool:
    """Whether the path is that of a single sequence, so that its name is not needed for pairing."""
    path = Path(path)
    return (path.is_file() and not is_packed(path)) or (path / _TRACKS).is_file()


def read_clip(path: Path | Member | str) -> Clip:
    """Read one PoseTrack file; its version is recognised by its content.

    Raises:
        InputError: the file cannot be read or used; the message names the place, the expected and the given value.
    """
    path = Path(path) if isinstance(path, str) else path
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    try:
        content = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        hint = "; write a missing joint as 0, 0, 0, not as NaN" if b"NaN" in data else ""
        raise InputError(f"{path}: expected JSON, got {error}{hint}") from error
    if isinstance(content, dict) and isinstance(content.get("annolist"), list):
        return read_2017(path, content["annolist"])
    if isinstance(content, dict) and isinstance(content.get("images"), list):
        return read_2018(path, content)
    raise InputError(
        f"{path}: expected a PoseTrack file ('annolist', or 'images' and 'annotations'), got {shown(content)}"
    )


def write_clip(clip: Clip, path: Path | str, *, version: int = 2018) -> None:
    """Write a PoseTrack file, complete or not at all: under a temporary name first, then renamed.

    Coordinates are rounded to 1/1000 pixel, with one record per line. Version 2017 has no field for body boxes; version
    2021 cannot represent joints at x <= 0 or y <= 0, which its readers treat as missing.

    Args:
        clip: what to write.
        path: the file; its folder exists.
        version: 2017, 2018 or 2021.

    Raises:
        InputError: the version is unknown, or a track id is 10000 or above, which the official kit refuses.
    """
    if version not in (2017, 2018, 2021):
        raise InputError(f"version: expected 2017, 2018 or 2021, got {version}")
    if len(clip) and clip.track_ids.max() > LARGEST_TRACK_ID:
        raise InputError(f"{path}: expected track ids below 10000, got {clip.track_ids.max()}; renumber them")
    path = Path(path)
    with written_whole(path) as beside, beside.open("wb") as file:
        stream = clip_stream(file, clip.name, version)
        stream.add(clip)
        stream.finish()


def clip_stream(file: BinaryIO, name: str, version: int) -> ClipStream:
    """A writer of a PoseTrack file that takes the clip in parts: `add` some frames at a time, then `finish`.

    Args:
        file: to write to.
        name: of the clip.
        version: 2017, 2018 or 2021.
    """
    return Stream2017(file) if version == 2017 else Stream2018(file, name, version)
