"""The frames of a clip from a folder of images or from a COCO file that lists them.

Results that refer only to frames with people need such a list, or empty frames are lost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eval_posetrack.formats.columns import Records, shown
from eval_posetrack.formats.dialects import file_names, times
from eval_posetrack.readers.sources import file_name, natural, read_json, whole_numbers
from posetrail.errors import InputError
from posetrail.paths import distinct_names, folded, safe_name

_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
Key = int | str


@dataclass(frozen=True, eq=False, kw_only=True)
class Images:
    """Frames of one or more clips, in the order of the frames."""

    where: Path
    names: tuple[str, ...]  # (T,) file names
    ids: tuple[Key, ...]  # (T,) by which results refer to them
    clips: tuple[str, ...]  # (T,) the clip each belongs to
    joints: tuple[str, ...] | None = None  # if the file names them
    times: np.ndarray | None = None  # (T,) seconds

    def positions(self, people: Records, field: str) -> np.ndarray:
        """(P,) the position in `names` of the image that each record's field refers to.

        Tools refer to an image by its id, its file name with or without folder or suffix, or its number. All records
        are read in the same way: the first of these in which every reference is known.
        """
        keys = keys_of(people, field)
        files = [file_name(name) for name in self.names]
        stems = [stem_of(name) for name in files]
        numbers = [int(stem) if is_number(stem) else stem for stem in stems]
        for references in (self.ids, self.names, files, stems, numbers):
            counts = Counter(references)
            place = {name: i for i, name in enumerate(references) if counts[name] == 1}
            if all(key in place for key in keys):
                return np.array([place[key] for key in keys], int)
        known = {*self.ids, *self.names, *files}
        unknown = next((i for i, key in enumerate(keys) if key not in known), 0)
        return people.fail(unknown, field, f"one of the {len(self.names)} images of {self.where}")

    def only_clip(self) -> tuple[str, ...]:
        """The names of the frames; InputError if they are of several clips."""
        if len(set(self.clips)) > 1:
            raise InputError(f"{self.where}: expected the images of one clip, got those of {len(set(self.clips))}")
        return self.names


def read_images(path: Path) -> Images:
    """A folder of images, in natural order of their names, or a JSON file with COCO's `images`.

    Raises:
        InputError: the path is neither.
    """
    if path.is_dir():
        files = sorted((f.name for f in path.iterdir() if f.suffix.lower() in _SUFFIXES), key=natural)
        if not files:
            raise InputError(f"{path}: expected images ({', '.join(_SUFFIXES)}), got none")
        return Images(where=path, names=tuple(files), ids=tuple(files), clips=(path.name,) * len(files))
    content = read_json(path)
    if not isinstance(content, dict) or not isinstance(content.get("images"), list):
        raise InputError(f"{path}: expected a folder of images or a JSON file with 'images', got {shown(content)}")
    return images_of(content, path)


def images_of(content: dict[str, Any], path: Path) -> Images:
    """`images` of a COCO file: grouped by video or folder, in the order of `frame_id` or of the file."""
    images = Records(content["images"], lambda i: f"{path}: images[{i}]")
    names = file_names(images, "file_name")
    ids = tuple(_key(images, i, "id") for i in range(len(images)))
    for key, count in Counter(ids).items():
        if count > 1:
            images.fail(len(ids) - 1 - ids[::-1].index(key), "id", "an id of its own for every image")
    clips = _clips(images, names, content.get("videos"))
    order = _order(images)
    seconds = times(images)
    return Images(
        where=path,
        names=tuple(names[i] for i in order),
        ids=tuple(ids[i] for i in order),
        clips=tuple(clips[i] for i in order),
        joints=joints_of_categories(content, path),
        times=None if seconds is None else seconds[order],
    )


def joints_of_categories(content: dict[str, Any], path: Path) -> tuple[str, ...] | None:
    """The joint names in `categories`, if there are any; all categories must have the same."""
    categories = content.get("categories")
    if categories is None:
        return None
    where = f"{path}: 'categories'"
    if not isinstance(categories, list) or not all(isinstance(category, dict) for category in categories):
        raise InputError(f"{where}: expected a list of categories, got {shown(categories)}")
    named = [category["keypoints"] for category in categories if category.get("keypoints")]
    for names in named:
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise InputError(f"{where}: 'keypoints': expected a list of joint names, got {shown(names)}")
        if names != named[0]:
            raise InputError(
                f"{where}: expected all categories to have the same joints, got different ones; split the file"
            )
    return tuple(named[0]) if named else None


def _key(records: Records, i: int, field: str) -> Key:
    value = records.records[i].get(field)
    if type(value) not in (int, str):
        records.fail(i, field, "a whole number or a name")
    return value


def keys_of(records: Records, field: str) -> list[Key]:
    """The field of each record: whole numbers in all records, or names in all."""
    keys = [_key(records, i, field) for i in range(len(records))]
    for i, key in enumerate(keys):
        if type(key) is not type(keys[0]):
            records.fail(i, field, f"a {'whole number' if type(keys[0]) is int else 'name'} as in the first record")
    return keys


def _order(images: Records) -> np.ndarray:
    for field in ("frame_id", "frame_index"):
        if len(images) and images.given(field).all():
            return np.argsort(whole_numbers(images, field), kind="stable")
    return np.arange(len(images))


def _clips(images: Records, names: Sequence[str], videos: Any) -> list[str]:
    """The clip of every image: its video where one is given, otherwise its folder."""
    folders = [name.replace("\\", "/").rpartition("/")[0] for name in names]
    for field in ("video_id", "vid_id"):
        if len(images) and images.given(field).all():
            keys = [_key(images, i, field) for i in range(len(images))]
            named = _names_of_videos(videos, images)
            their_folders = dict(zip(keys, folders, strict=True))
            labels = {key: named.get(key) or file_name(their_folders[key]) or str(key) for key in their_folders}
            return _distinct(keys, labels)
    return _distinct(folders, {folder: file_name(folder) for folder in folders})


def _names_of_videos(videos: Any, images: Records) -> dict[Any, str]:
    if not isinstance(videos, list):
        return {}
    named = [video for video in videos if isinstance(video, dict) and isinstance(video.get("name"), str)]
    return {video["id"]: video["name"].lstrip("./\\") for video in named if type(video.get("id")) in (int, str)}


def _distinct(keys: Sequence[Any], labels: dict[Any, str]) -> list[str]:
    """A file name for each clip: its label, or its key if two labels are the same."""
    counts = Counter(folded(safe_name(label)) for label in labels.values())
    texts = [label if counts[folded(safe_name(label))] == 1 else str(key) for key, label in labels.items()]
    names = dict(zip(labels, distinct_names(texts), strict=True))
    return [names[key] for key in keys]


def stem_of(file: str) -> str:
    """A file name without its suffix."""
    return file.rpartition(".")[0] or file


def is_number(stem: str) -> bool:
    """Whether the text is all digits and short enough for a frame number."""
    return stem.isascii() and stem.isdecimal() and len(stem) < 19
