"""PoseTrack files in a zip file, as for a submission: read in memory, never unpacked to disk."""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from posetrail.errors import InputError

_LARGEST_BYTES = 1 << 30  # of one file; an hour of a crowd has half of it
_LARGEST_RATIO = 200  # compression ratio allowed for a file above ...
_SMALL_BYTES = 10_000_000  # ... this size: poses shrink to about a tenth, a zip bomb to a thousandth


@dataclass(frozen=True)
class Member:
    """One file in a zip file; `str` names both."""

    archive: Path
    name: str

    @property
    def stem(self) -> str:
        """The file name without folders and suffix."""
        return PurePosixPath(self.name).stem

    def __str__(self) -> str:
        return f"{self.archive}: {self.name}"

    def read_bytes(self) -> bytes:
        """The content.

        Raises:
            InputError: the file is encrypted, damaged, or implausibly large.
        """
        try:
            with zipfile.ZipFile(self.archive) as packed, packed.open(self.name) as file:
                info = packed.getinfo(self.name)
                allowed = min(_LARGEST_BYTES, max(_SMALL_BYTES, _LARGEST_RATIO * info.compress_size))
                content = file.read(allowed + 1)  # the size stated in the zip may be wrong
        except (OSError, RuntimeError, NotImplementedError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise InputError(f"{self}: cannot be read ({error}); pack it again, without a password") from None
        if len(content) > allowed:
            raise InputError(
                f"{self}: unpacks to more than {allowed / 1e6:.0f} MB, expected poses to be smaller; pack it again"
            )
        return content


def is_packed(path: Path) -> bool:
    """Whether the path is that of a zip file."""
    return path.suffix.lower() == ".zip" and path.is_file()


def packed_files(path: Path) -> dict[str, Member]:
    """The JSON files of a zip file, in any folders, by sequence name, without files that operating systems add.

    Raises:
        InputError: it is not a zip file, has no JSON file, two of one name, or a name that leads outside.
    """
    try:
        with zipfile.ZipFile(path) as packed:
            names = packed.namelist()
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: expected a zip file, got one that cannot be read ({error}); pack it again") from None
    files: dict[str, Member] = {}
    for name in names:
        inner = PurePosixPath(name.replace("\\", "/"))
        if inner.suffix != ".json" or inner.name.startswith(".") or "__MACOSX" in inner.parts:
            continue
        if inner.is_absolute() or ".." in inner.parts:
            raise InputError(f"{path}: {name!r} leads outside of the zip file; pack the folder again")
        sequence = inner.parent.name if inner.name == "tracks.json" and inner.parent.name else inner.stem
        if sequence in files:
            raise InputError(f"{path}: two files of sequence {sequence!r}, {files[sequence].name} and {name}; keep one")
        files[sequence] = Member(path, name)
    if not files:
        raise InputError(f"{path}: expected PoseTrack JSON files in the zip file, got none (files must end in .json)")
    return files
