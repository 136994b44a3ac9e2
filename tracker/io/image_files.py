"""Images in: which files a folder or a glob means, in which order, and their pixels."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from posetrail.errors import InputError
from posetrail.frame import Image
from tracker.io.containers import holds_several_pictures

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"})
VIDEO_SUFFIXES = frozenset(
    {".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".ts", ".mts", ".m2ts", ".mpg", ".mpeg", ".wmv", ".flv", ".3gp"}
)


def images_of_folder(folder: Path) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """The images of a folder in natural order (2 before 10), and a note where there are videos beside them.

    Raises:
        InputError: there are none, or it cannot be read.
    """
    try:
        found = list(folder.iterdir())
    except OSError as error:
        raise InputError(f"{folder}: cannot be read ({error.strerror}); check its permissions") from None
    images = _only_images(iter(found))
    if not images:
        raise InputError(f"{folder}: no images in this folder; {_instead_of_images(found)}")
    return images, _note_on_videos(folder, _videos(found))


def images_of_glob(pattern: Path) -> tuple[Path, tuple[Path, ...]]:
    """The folder above a glob, and the images that match it in natural order.

    Raises:
        InputError: there are none, or it cannot be used.
    """
    folder = next(parent for parent in pattern.parents if parent.exists())  # its brackets, if any, are no pattern
    try:
        found = list(folder.glob(str(pattern.relative_to(folder))))
    except (ValueError, OSError) as error:
        raise InputError(
            f"{pattern}: cannot be used as a pattern ({error}); give something like 'clip/*.png'"
        ) from None
    images = _only_images(iter(found))
    if not images:
        came = f"matches {len(found)} files but no image" if found else "matches nothing"
        raise InputError(f"{pattern}: {came}; {_instead_of_images(found)}")
    return folder, images


def read_image(path: Path) -> Image | None:
    """The image as 8-bit RGB, turned as EXIF asks; None when it is broken."""
    try:
        data = np.fromfile(path, np.uint8)
        # From memory, not by name: so OpenCV refuses a JPEG that is cut off instead of filling it with grey.
        image = cv2.imdecode(data, cv2.IMREAD_COLOR)
    except (OSError, cv2.error):
        return None
    return None if image is None else cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def note_on_animations(folder: Path, images: Sequence[Path]) -> tuple[str, ...]:
    """A note where some of these hold more pictures than the one that is read of each."""
    several = [image.name for image in images if _is_animation(image)]
    if not several:
        return ()
    if len(several) == 1:
        return (f"{folder}: {several[0]} holds several pictures; only its first is read",)
    more = f"{several[0]} and {len(several) - 1} more hold several pictures"
    return (f"{folder}: {more}; only the first of each is read",)


def _is_animation(image: Path) -> bool:
    try:
        return holds_several_pictures(image)
    except OSError:
        return False  # reading it reports the error


def _note_on_videos(folder: Path, videos: Sequence[str]) -> tuple[str, ...]:
    if not videos:
        return ()
    if len(videos) == 1:
        return (f"{folder}: the images are read; {videos[0]} beside them is not",)
    return (f"{folder}: the images are read; {videos[0]} and {len(videos) - 1} more videos beside them are not",)


def _natural(path: Path) -> list[tuple[int, int, str]]:
    """Sort key by which 2 comes before 10, digits before letters, and names that differ never tie."""
    parts = re.split(r"(\d+)", path.as_posix())
    return [(0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts if part]


def _only_images(found: Iterator[Path]) -> tuple[Path, ...]:
    images = (p for p in found if p.suffix.lower() in IMAGE_SUFFIXES and not p.name.startswith(".") and p.is_file())
    return tuple(sorted(images, key=_natural))


def _videos(found: Sequence[Path]) -> list[str]:
    return sorted(path.name for path in found if path.suffix.lower() in VIDEO_SUFFIXES and path.name[0] != ".")


def _instead_of_images(found: Sequence[Path]) -> str:
    videos = _videos(found)
    if videos:
        return f"there are videos ({videos[0]} ...): give one of them, or use `posetrail batch` for all"
    return f"give a video file, or images ({' '.join(sorted(IMAGE_SUFFIXES))})"
