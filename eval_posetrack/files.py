"""PoseTrack files, the 2017, 2018 and 2021 dialects, read and written here and nowhere else (Andriluka et al. 2018).

A `Clip` holds a file of any dialect as flat arrays.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import orjson

from eval_posetrack.clip import LARGEST_TRACK_ID, NO_SCORE, Clip
from eval_posetrack.columns import shown
from eval_posetrack.packed import Member, is_packed, packed_files
from eval_posetrack.posetrack_2017 import Stream2017, read_2017
from eval_posetrack.posetrack_2018 import Stream2018, read_2018
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
_TRACKS = "tracks.json"  # of a folder that a tracker made of one clip


def read_folder(path: Path | str) -> dict[str, Clip]:
    """Every `*.json` of a folder, or one file, by sequence name in the order of the names.

    Raises:
        InputError: no such folder, no JSON in it, or a file cannot be used.
    """
    return {name: read_clip(file) for name, file in find_files(path).items()}


def find_files(path: Path | str) -> dict[str, Path | Member]:
    """The PoseTrack files that `read_folder` would read, by sequence name.

    A folder with a `tracks.json` is one sequence of that name, as `posetrail` writes it; a folder of such folders is
    so many. A zip is read as it is, whatever folders are in it.

    Raises:
        InputError: no such folder, no JSON in it, or a zip that cannot be used.
    """
    path = Path(path)
    if is_packed(path):
        members = packed_files(path)
        return {name: members[name] for name in sorted(members)}
    if path.is_file():
        return {path.stem: path}
    if not path.is_dir():
        raise InputError(f"{path}: wanted a folder of PoseTrack JSON files or one such file, found nothing there")
    if (path / _TRACKS).is_file():
        return {path.resolve().name: path / _TRACKS}
    files: dict[str, Path | Member] = {file.stem: file for file in path.glob("*.json")}
    files |= {file.parent.name: file for file in path.glob(f"*/{_TRACKS}")}
    if not files:
        raise InputError(f"{path}: wanted PoseTrack JSON files, found none (files must end in .json)")
    return {name: files[name] for name in sorted(files)}


def is_one_clip(path: Path | str) -> bool:
    """Whether `find_files` can find but one sequence there, so that its name does not matter."""
    path = Path(path)
    return (path.is_file() and not is_packed(path)) or (path / _TRACKS).is_file()


def read_clip(path: Path | Member | str) -> Clip:
    """One PoseTrack file; 2017, 2018 and 2021 are told apart by what is in it.

    Raises:
        InputError: the file cannot be read or used; says where, what was expected and what came.
    """
    path = Path(path) if isinstance(path, str) else path
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    try:
        content = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        hint = "; a missing joint is 0, 0, 0, never NaN" if b"NaN" in data else ""
        raise InputError(f"{path}: wanted JSON, found {error}{hint}") from error
    if isinstance(content, dict) and isinstance(content.get("annolist"), list):
        return read_2017(path, content["annolist"])
    if isinstance(content, dict) and isinstance(content.get("images"), list):
        return read_2018(path, content)
    raise InputError(
        f"{path}: wanted a PoseTrack file ('annolist', or 'images' and 'annotations'), got {shown(content)}"
    )


def write_clip(clip: Clip, path: Path | str, *, version: int = 2018) -> None:
    """Write a PoseTrack file, complete or not at all: beside its place first, then renamed.

    Coordinates are rounded to 1/1000 pixel. 2017 has no place for body boxes; 2021 none for joints at x <= 0 or y <= 0,
    which its readers take for missing. One record stands on one line.

    Args:
        clip: what to write.
        path: the file; its folder exists.
        version: 2017, 2018 or 2021.

    Raises:
        InputError: an unknown version, or a track id that the official kit refuses (10000 and above).
    """
    if version not in (2017, 2018, 2021):
        raise InputError(f"unknown PoseTrack version {version}; known are 2017, 2018, 2021")
    if len(clip) and clip.track_ids.max() > LARGEST_TRACK_ID:
        raise InputError(f"{path}: track ids must be below 10000, got {clip.track_ids.max()}; renumber them")
    path = Path(path)
    with written_whole(path) as beside, beside.open("wb") as file:
        stream = clip_stream(file, clip.name, version)
        stream.add(clip)
        stream.finish()


def clip_stream(file: BinaryIO, name: str, version: int) -> ClipStream:
    """Writes a PoseTrack file as the clip comes, a stretch of frames at a time: `add` each, then `finish`.

    Args:
        file: to write to.
        name: of the clip.
        version: 2017, 2018 or 2021.
    """
    return Stream2017(file) if version == 2017 else Stream2018(file, name, version)
