"""Finds the images that a file of annotations names, in the folders where data sets keep them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PureWindowsPath

from posetrail.errors import InputError


class ImageFinder:
    """Finds images by the names in a file of annotations. Folders are listed once, no image is opened.

    Args:
        annotations: the file; images are looked for beside it, in the folders beside it, in `images` of the folder
            above, in all folders there if the file is in `annotations`, and relative to two folders above.
        images: the folder of the images, if it is another one.
        may_be_missing: an image that is not found gets the path where it was expected first.
    """

    def __init__(self, annotations: Path, images: Path | None = None, *, may_be_missing: bool = False) -> None:
        if images is not None and not images.is_dir():
            raise InputError(f"--images: expected a folder of images, got {images}, which is not a folder")
        self._annotations, self._images, self._may_be_missing = annotations, images, may_be_missing
        self._listings: dict[Path, frozenset[str]] = {}

    def __call__(self, names: Sequence[str]) -> tuple[Path, ...]:
        """The path of each image: from one folder that has them all, or else from the first one that has it.

        Raises:
            InputError: an image is in none of the folders.
        """
        names = _without_lost_folders([name.replace("\\", "/") for name in names])
        places = self._places()
        for place in places:
            if all(self._has(place / name) for name in names):
                return tuple(place / name for name in names)
        return tuple(self._find(name, places) for name in names)

    def _find(self, name: str, places: Sequence[Path]) -> Path:
        for place in places:
            if self._has(place / name):
                return place / name
        if not self._may_be_missing:
            raise InputError(
                f"{self._annotations}: expected the image {name} in {places[0]}, got none; "
                "choose its folder with --images FOLDER"
            )
        return places[0] / name

    def _places(self) -> list[Path]:
        if self._images is not None:
            return [self._images, *_folders(self._images)]
        beside = self._annotations.parent
        above, root = [*beside.resolve().parents, beside, beside][:2]
        places = [beside / "images", beside, *_folders(beside), above / "images", above]
        if beside.resolve().name.lower().startswith("annot"):  # elsewhere, the other folders may be other data sets
            places += _folders(above)
        places.append(root)  # PoseTrack: annotations/val/CLIP.json names images/val/CLIP/000000.jpg
        return [place for place in dict.fromkeys(places) if place.is_dir()] or [beside]

    def _has(self, path: Path) -> bool:
        folder = path.parent
        if folder not in self._listings:
            try:
                self._listings[folder] = frozenset(each.name for each in folder.iterdir())
            except (OSError, ValueError):  # ValueError: the name has a character that no path may have
                self._listings[folder] = frozenset()
        return path.name in self._listings[folder]


def _without_lost_folders(names: list[str]) -> list[str]:
    """Absolute names of files that are not there, as of another computer, without their folders.

    Only if the file names alone distinguish the images. Absolute names, and names with .., of files that are there may
    be anywhere: images are decoded, and nothing is written beside them.
    """
    short = [PureWindowsPath(name).name if _is_lost(name) else name for name in names]
    return short if len(set(short)) == len(set(names)) else names


def _is_lost(name: str) -> bool:
    if not (name.startswith("/") or PureWindowsPath(name).is_absolute()):
        return False
    try:
        return not Path(name).is_file()
    except (OSError, ValueError):  # ValueError: the name has a character that no path may have
        return True


def _folders(path: Path) -> list[Path]:
    try:
        return sorted(each for each in path.iterdir() if each.is_dir() and not each.name.startswith("."))
    except OSError:
        return []
