"""PoseTrack files in a zip, as submissions are packed: read in memory, never unpacked to disc."""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from posetrail.errors import InputError

_LARGEST_BYTES = 1 << 30  # of one file; an hour of a crowd is half of it
_LARGEST_RATIO = 200  # of a file above ...
_SMALL_BYTES = 10_000_000  # ... this size: poses shrink to a tenth or so, a bomb to a thousandth


@dataclass(frozen=True)
class Member:
    """One file in a zip; as text it names both."""

    archive: Path
    name: str

    @property
    def stem(self) -> str:
        """Its name without folders and ending."""
        return PurePosixPath(self.name).stem

    def __str__(self) -> str:
        return f"{self.archive}: {self.name}"

    def read_bytes(self) -> bytes:
        """Its content.

        Raises:
            InputError: it is encrypted, damaged, or larger than poses are.
        """
        try:
            with zipfile.ZipFile(self.archive) as packed, packed.open(self.name) as file:
                info = packed.getinfo(self.name)
                allowed = min(_LARGEST_BYTES, max(_SMALL_BYTES, _LARGEST_RATIO * info.compress_size))
                content = file.read(allowed + 1)  # the size that the zip claims may be wrong
        except (OSError, RuntimeError, NotImplementedError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise InputError(f"{self}: cannot be read ({error}); pack it again, without a password") from None
        if len(content) > allowed:
            raise InputError(f"{self}: unpacks to more than {allowed / 1e6:.0f} MB, which no poses do; pack it again")
        return content


def is_packed(path: Path) -> bool:
    """Whether a path is that of a zip."""
    return path.suffix.lower() == ".zip" and path.is_file()


def packed_files(path: Path) -> dict[str, Member]:
    """The JSON files of a zip, in whatever folders, by name; what an operating system adds is left out.

    Raises:
        InputError: it is no zip, has no JSON file, two of one name, or names that lead out of it.
    """
    try:
        with zipfile.ZipFile(path) as packed:
            names = packed.namelist()
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: not a zip that can be read ({error}); pack it again") from None
    files: dict[str, Member] = {}
    for name in names:
        inner = PurePosixPath(name.replace("\\", "/"))
        if inner.suffix != ".json" or inner.name.startswith(".") or "__MACOSX" in inner.parts:
            continue
        if inner.is_absolute() or ".." in inner.parts:
            raise InputError(f"{path}: {name!r} leads out of the zip; pack the folder again")
        sequence = inner.parent.name if inner.name == "tracks.json" and inner.parent.name else inner.stem
        if sequence in files:
            raise InputError(f"{path}: two files of sequence {sequence!r}, {files[sequence].name} and {name}; keep one")
        files[sequence] = Member(path, name)
    if not files:
        raise InputError(f"{path}: expected PoseTrack JSON files in the zip, found none (files must end in .json)")
    return files
