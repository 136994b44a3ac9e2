"""Reads annotated images of any known format: `read_samples`. A new format is one file and one line in READERS."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from eval_posetrack.readers.images import joints_of_categories
from eval_posetrack.readers.sources import natural, read_json
from posetrail.errors import InputError, unknown_name
from posetrail.skeletons import AIC_14, CROWDPOSE_14
from training.data.ai_challenger import read_ai_challenger
from training.data.coco import read_coco
from training.data.crowdpose import read_crowdpose
from training.data.flic import read_flic
from training.data.images import ImageFinder
from training.data.lsp import read_lsp
from training.data.matlab import read_mat
from training.data.mpii import read_mpii
from training.data.posetrack import read_posetrack
from training.data.skeletons import known_skeleton
from training.data.wholebody import read_wholebody
from training.samples import Samples

Reader = Callable[[Path, Any, ImageFinder], Samples]
"""Makes samples of a parsed file: its path for messages, its content, and what finds the images."""

READERS: Mapping[str, Reader] = {
    "coco": read_coco,
    "wholebody": read_wholebody,
    "crowdpose": read_crowdpose,
    "aic": read_ai_challenger,
    "mpii": read_mpii,
    "lsp": read_lsp,
    "flic": read_flic,
    "posetrack": read_posetrack,
}
_PLACES = ("*.json", "*.mat", "annotations/*.json", "annotations/*/*.json")
_SEVERAL_FILES = {"posetrack"}  # formats with a file for each clip


def read_samples(
    path: Path | str,
    *,
    format: str | None = None,
    images: Path | str | None = None,
    may_be_missing: bool = False,
) -> Samples:
    """Read a data set.

    Args:
        path: a file of annotations, or a folder with one, directly or in `annotations/`. Files of PoseTrack may be
            several, one for each clip.
        format: one of READERS; found out from the content if not given.
        images: the folder of the images, if they are not beside the annotations.
        may_be_missing: accept images that do not exist.

    Raises:
        InputError: there are no such annotations, a value cannot be used, or an image is missing.

    Examples:
        >>> samples = read_samples("coco/annotations/person_keypoints_val2017.json", images="coco/val2017")
        >>> samples = samples[samples.usable]
    """
    path = Path(path)
    if format is not None and format not in READERS:
        raise unknown_name("format", format, READERS)
    files = _annotation_files(path, format)
    parts = []
    for file, name, content in files:
        find = ImageFinder(file, None if images is None else Path(images), may_be_missing=may_be_missing)
        parts.append(READERS[name](file, content, find))
    return parts[0] if len(parts) == 1 else Samples.concatenate(parts)


def format_of(content: Any) -> str | None:
    """The format of a parsed file; None if it is none of READERS, as for a list of detections."""
    if isinstance(content, list) and content and isinstance(content[0], dict):
        fields = content[0].keys()
        return "mpii" if "joints_vis" in fields else "aic" if "keypoint_annotations" in fields else None
    if not isinstance(content, dict):
        return None
    for variable, name in (("RELEASE", "mpii"), ("joints", "lsp"), ("examples", "flic"), ("annolist", "posetrack")):
        if variable in content:
            return name
    people = content.get("annotations")
    if not isinstance(people, list) or not isinstance(content.get("images"), list):
        return None
    if people and isinstance(people[0], dict) and "face_kpts" in people[0]:
        return "wholebody"
    return _format_of_joints(content)


def _format_of_joints(content: dict[str, Any]) -> str | None:
    try:
        joints = joints_of_categories(content, Path())
        skeleton = known_skeleton(joints) if joints else None
    except ValueError:  # the reader says what is wrong
        return "coco"
    if joints is None:
        return "coco" if any(isinstance(p, dict) and p.get("keypoints") for p in content["annotations"]) else None
    if "head_bottom" in joints:
        return "posetrack"
    return "crowdpose" if skeleton is CROWDPOSE_14 else "aic" if skeleton is AIC_14 else "coco"


def _annotation_files(path: Path, format: str | None) -> list[tuple[Path, str, Any]]:
    """Paths, formats and contents of the files to read."""
    expected = f"annotations of {format}" if format else f"annotations ({', '.join(READERS)})"
    if path.is_dir():
        for place in _PLACES:
            contents = [
                (file, _content(file)) for file in sorted(path.glob(place), key=lambda file: natural(file.name))
            ]
            found = [(file, name, content) for file, content in contents if (name := _named(content, format))]
            if found:
                return _checked(path, found)
        raise InputError(f"{path}: expected {expected} in the folder or in its folder annotations, got none")
    content = _content(path)
    name = format or format_of(content)
    if name is None:
        raise InputError(f"{path}: expected {expected}, got a file that is none of them; choose one with --format")
    return [(path, name, content)]


def _named(content: Any, format: str | None) -> str | None:
    """The format of a file in a folder; None if it is another one than asked for."""
    found = format_of(content)
    return found if format in (None, found) or (found == "coco" and format == "wholebody") else None


def _checked(path: Path, found: list[tuple[Path, str, Any]]) -> list[tuple[Path, str, Any]]:
    """The files, which must be of one data set."""
    names = {name for _, name, _ in found}
    if len(names) > 1 or (len(found) > 1 and not names <= _SEVERAL_FILES):
        listed = ", ".join(file.name for file, _, _ in found[:3]) + (", ..." if len(found) > 3 else "")
        raise InputError(f"{path}: expected one file of annotations, got {len(found)} ({listed}); give the path of one")
    return found


def _content(path: Path) -> Any:
    return read_mat(path) if path.suffix.lower() == ".mat" else read_json(path)
