"""The clips of a batch and the names of their folders in the output."""

from __future__ import annotations

import glob
import hashlib
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from posetrail.errors import InputError
from posetrail.paths import folded, safe_name
from tracker.batch.table import previous_names, printable
from tracker.io.video import IMAGE_SUFFIXES, VIDEO_SUFFIXES
from tracker.runs.record import RUN

_LIST_SUFFIX = ".txt"
# Tables, locks and submissions of a batch are beside the folders of its clips.
_OF_THE_BATCH = re.compile(r"batch(\.\d+of\d+)?(\.csv)?|submission(_mota)?(\.zip)?", re.IGNORECASE)


@dataclass(frozen=True)
class ListedClip:
    """One clip of a batch."""

    path: Path  # a video file or a folder of images
    name: str  # of its folder in the output
    images: tuple[Path, ...] = ()  # exactly these, in this order, of the folder `path`
    segment: int = 0  # number of one of its segments, from 1; 0: the whole clip

    @property
    def label(self) -> str:
        """The name and the number of the segment."""
        return f"{self.name} [{self.segment}]" if self.segment else self.name


def find_clips(inputs: Sequence[str | Path], output: Path) -> list[ListedClip]:
    """All clips of directories, globs, lists and single paths, each once, in a fixed order.

    Directories are searched recursively: each video file is a clip, and each folder with images but no videos. Hidden
    files and folders and the output are skipped. A list is a text file with one path per line, relative to its folder;
    lines that begin with # are skipped. A single path is always a clip, and so is a folder that cannot be read: the
    error is then reported in the table of the batch.

    Raises:
        InputError: a directory, glob or list has no clip, or a list cannot be read.
    """
    found = [path for given in inputs for path in _expanded(Path(given), output.resolve())]
    paths = list(dict.fromkeys(Path(os.path.abspath(path)) for path in found))  # noqa: PTH100 links stay what they are
    before = previous_names(output)
    kept = {path: before[printable(str(path))] for path in paths if printable(str(path)) in before}
    return [ListedClip(path, name) for path, name in zip(paths, folder_names(paths, kept), strict=True)]


def select_shard(clips: Sequence[ListedClip], shard: str | None) -> list[ListedClip]:
    """The clips of shard i of n, "i/n" with i from 1: every n-th clip.

    Raises:
        InputError: `shard` has another form.
    """
    if shard is None:
        return list(clips)
    try:
        part, parts = map(int, shard.split("/"))
    except ValueError:
        part, parts = 0, 0
    if not 1 <= part <= parts:
        raise InputError(f"--shard: expected i/n such as 1/4, with i from 1 to n, got {shard!r}")
    return list(clips[part - 1 :: parts])


def folder_names(paths: Sequence[Path], kept: Mapping[Path, str] = MappingProxyType({})) -> list[str]:
    """A folder name for each path, all different even on file systems that fold case or accents.

    The name is the stem of the path if that is unique, else the file's name, else that with as many parent folders as
    are needed. A clip keeps the folder that it already has.

    Args:
        paths: of the clips.
        kept: the folders that some clips already have.
    """
    longest = max((len(path.parts) for path in paths), default=0)
    ways: list[Callable[[Path], str]] = [lambda path: path.stem if _is_video(path) else path.name]
    ways += [lambda path: path.name]
    ways += [lambda path, depth=depth: "__".join(path.parts[-depth:]) for depth in range(2, longest + 1)]  # type: ignore[misc]
    ways.append(lambda path: f"{path.stem}-{hashlib.sha256(os.fsencode(path)).hexdigest()[:12]}")
    names = dict(kept)
    for way in ways:
        taken = Counter(folded(names[path]) for path in names)
        names |= {
            path: folder_name(way(path))
            for path in paths
            if path not in kept and (path not in names or taken[folded(names[path])] > 1)
        }
    return [names[path] for path in paths]


def _is_video(path: Path) -> bool:
    return path.suffix.lower() in VIDEO_SUFFIXES


def folder_name(name: str) -> str:
    """A safe name for a clip's folder, different from the files of the batch beside it."""
    name = safe_name(name)
    return name + "_" * bool(_OF_THE_BATCH.fullmatch(name))


def _expanded(given: Path, output: Path) -> Iterator[Path]:
    if os.path.isdir(given):  # noqa: PTH112 Path.is_dir raises an error of a path it cannot read
        yield from _required(_within(given, output), given, "no video and no folder of images in this directory")
    elif given.suffix.lower() == _LIST_SUFFIX and os.path.isfile(given):  # noqa: PTH113
        yield from _required(_listed(given), given, "no path in this list")
    elif glob.has_magic(str(given)) and not os.path.exists(given):  # noqa: PTH110
        for match in _required(_matching(given), given, "matches nothing"):
            if match.is_dir():
                yield from _within(match, output)
            elif match.suffix.lower() not in IMAGE_SUFFIXES:
                yield match
    else:
        yield given


def _matching(pattern: Path) -> list[Path]:
    return [Path(match) for match in sorted(glob.glob(str(pattern), recursive=True))]  # noqa: PTH207 it may be absolute


def _required(paths: Iterable[Path], given: Path, lack: str) -> list[Path]:
    found = list(paths)
    if not found:
        raise InputError(f"{given}: {lack}; give video files, folders of images, directories, globs or .txt lists")
    return found


def _listed(path: Path) -> Iterator[Path]:
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")  # names may hold what splitlines splits at
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as a list ({error}); write one path a line, as UTF-8") from None
    for line in map(str.strip, lines):
        if line and not line.startswith("#"):
            yield path.parent / line


def _within(directory: Path, output: Path) -> Iterator[Path]:
    shut: list[OSError] = []
    for folder, folders, files in os.walk(directory, onerror=shut.append):
        here = Path(folder)
        if here.resolve() == output or RUN in files:
            folders.clear()
            continue
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        shown = sorted(name for name in files if not name.startswith("."))
        videos = [here / name for name in shown if _is_video(Path(name))]
        yield from videos
        if not videos and any(Path(name).suffix.lower() in IMAGE_SUFFIXES for name in shown):
            yield here
    yield from (Path(error.filename) for error in shut)
