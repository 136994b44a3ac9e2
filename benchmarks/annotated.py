"""Reads annotated images in the formats of COCO, CrowdPose, PoseTrack 2018, MPII, AI Challenger and OCHuman.

All but MPII are COCO JSON files and recognised by the names of their joints. Missing areas are 0.53 of the boxes, as in
the evaluations of CrowdPose and AI Challenger. MPII is read from the list of people published with Simple Baselines,
with a centre and a scale in place of a box: a square of 200 px times the scale.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from posetrail.errors import InputError, unknown_name
from posetrail.similarity import box_area, grown_boxes, keypoint_boxes
from posetrail.skeletons import AIC_14, COCO_17, CROWDPOSE_14, MPII_16, POSETRACK_18, Skeleton

FORMATS: dict[str, Skeleton] = {
    "coco": COCO_17,
    "crowdpose": CROWDPOSE_14,
    "posetrack18": POSETRACK_18,
    "mpii": MPII_16,
    "aic": AIC_14,
    "ochuman": COCO_17,
}
_AREA_OF_BOX = 0.53
_PLACES = ("*.json", "annotations/*.json", "annotations/*/*.json")
_MPII_PERSON_PX = 200  # times the scale: side of the box
_MPII_LOWER_PX = 15  # times the scale: offset from the given centre to that of the body
_HEAD = (MPII_16.index("head_top"), MPII_16.index("neck"))


@dataclass(frozen=True, eq=False)
class Annotated:
    """P people in images; arrays have one row per person."""

    name: str  # of the format, in FORMATS
    images: tuple[Path, ...]
    regions: tuple[tuple[np.ndarray, ...], ...]  # of each image, polygons (V, 2) without annotations
    image: np.ndarray  # (P,) int, a position in images
    keypoints: np.ndarray  # (P, K, 2) pixels, NaN where not annotated
    boxes: np.ndarray  # (P, 4) x1 y1 x2 y2 pixels
    areas: np.ndarray  # (P,) square pixels
    crowd: np.ndarray  # (P,) bool: a group in one box; poses found there are not scored

    @property
    def skeleton(self) -> Skeleton:
        """The skeleton of the annotations."""
        return FORMATS[self.name]

    @property
    def counted(self) -> np.ndarray:
        """(P,) bool: single people with at least one joint."""
        return ~self.crowd & np.isfinite(self.keypoints).all(axis=2).any(axis=1)

    @property
    def head_sizes(self) -> np.ndarray:
        """(P,) pixels from the neck to the top of the head, MPII's head segment; of other formats NaN."""
        if self.name != "mpii":
            return np.full(len(self.boxes), np.nan)
        return np.linalg.norm(self.keypoints[:, _HEAD[0]] - self.keypoints[:, _HEAD[1]], axis=1)


def read_annotated(folder: Path, *, format: str | None = None, annotations: Path | None = None) -> Annotated:
    """The annotated images of a folder.

    Args:
        folder: contains the images, directly or in folders, and the annotations, directly or in `annotations/`.
        format: one of FORMATS; recognised by the names of the joints when not given.
        annotations: the file or folder of files to read, needed if there are several.

    Raises:
        InputError: there are no such annotations, they are damaged, or an image is missing.
    """
    if format is not None and format not in FORMATS:
        raise unknown_name("format", format, FORMATS)
    if not folder.is_dir():
        raise InputError(f"{folder}: expected a folder of annotated images, got a path that is not a folder")
    files = _annotated_files(folder, format, annotations)
    if not files:
        expected = f"annotations of {format}" if format else f"annotated joints of {', '.join(FORMATS)}"
        raise InputError(
            f"{annotations or folder}: expected JSON files with {expected}, got none; is it another folder?"
        )
    names = {name for _, name, _ in files}
    if len(names) > 1 or (len(files) > 1 and names != {"posetrack18"}):
        names_of_files = ", ".join(path.name for path, _, _ in files[:3])
        raise InputError(
            f"{folder}: expected one file of annotations, got {names_of_files}; choose one with --annotations FILE"
        )
    (name,) = names
    people = _People(folder, FORMATS[name])
    for path, _, content in files:
        try:
            people.add_mpii(path, content) if name == "mpii" else people.add_coco(path, content)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{path}: cannot be read as annotations of {name} ({error!r}); is it complete?") from error
    return people.annotated(name)


def _annotated_files(folder: Path, format: str | None, given: Path | None) -> list[tuple[Path, str, Any]]:
    """The annotation files of the first place that has any: paths, formats and contents."""
    for paths in [_files_of(given)] if given else (sorted(folder.glob(place)) for place in _PLACES):
        read = [(path, _read(path)) for path in paths]
        named = [(path, name, content) for path, content in read if (name := _format_of(path, content, format))]
        if named:
            return named
    return []


def _files_of(given: Path) -> list[Path]:
    return sorted(given.glob("*.json")) if given.is_dir() else [given]


def _read(path: Path) -> Any:
    try:
        return orjson.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as JSON ({error}); is it complete?") from error


def _format_of(path: Path, content: Any, expected: str | None) -> str | None:
    """The format of a file; None if it is unknown or not the expected one."""
    if isinstance(content, list):
        formats = ["mpii"] if content and isinstance(content[0], dict) and "joints_vis" in content[0] else []
    else:
        joints = tuple(_joint_names(content))
        formats = [name for name, skeleton in FORMATS.items() if joints == skeleton.joints and name != "mpii"]
    if expected:
        return expected if expected in formats else None
    return next((name for name in formats if name in path.name), formats[0] if formats else None)


def _joint_names(content: Any) -> Iterator[str]:
    for category in content.get("categories", ()) if isinstance(content, dict) else ():
        for joint in category.get("keypoints", ()):
            spelled = joint.lower().replace(" ", "_")
            yield "head_top" if spelled == "head" else spelled


class _People:
    """Collects the people of several files."""

    def __init__(self, folder: Path, skeleton: Skeleton) -> None:
        self._places = [folder, folder / "images", *sorted(each for each in folder.iterdir() if each.is_dir())]
        self._skeleton = skeleton
        self._images: dict[Path, int] = {}
        self._regions: list[tuple[np.ndarray, ...]] = []
        self._rows: list[tuple[int, np.ndarray, np.ndarray, float, bool]] = []

    def add_coco(self, path: Path, content: Any) -> None:
        labeled = [image for image in content["images"] if image.get("is_labeled", True)]
        positions = {image["id"]: self._image(image["file_name"], path, _regions(image)) for image in labeled}
        for person in content["annotations"]:
            if person["image_id"] not in positions:
                continue
            joints = np.array(person["keypoints"], float).reshape(len(self._skeleton), 3)
            keypoints = np.where(joints[:, 2:] > 0, joints[:, :2], np.nan)
            box = _box(person.get("bbox"), keypoints)
            area = person.get("area", _AREA_OF_BOX * _area(box))
            self._rows.append((positions[person["image_id"]], keypoints, box, area, bool(person.get("iscrowd", False))))

    def add_mpii(self, path: Path, content: Any) -> None:
        for person in content:
            seen = np.array(person["joints_vis"], bool)
            keypoints = np.where(seen[:, None], np.array(person["joints"], float), np.nan)
            keypoints = keypoints.reshape(len(self._skeleton), 2)
            middle = np.add(person["center"], [0, _MPII_LOWER_PX * person["scale"]])
            half = _MPII_PERSON_PX / 2 * person["scale"]
            box = np.concatenate([middle - half, middle + half])
            self._rows.append((self._image(person["image"], path), keypoints, box, _area(box), False))

    def _image(self, name: str, annotations: Path, regions: tuple[np.ndarray, ...] = ()) -> int:
        path = next((p / name for p in (*self._places, annotations.parent) if (p / name).is_file()), None)
        if path is None:
            raise InputError(f"{self._places[0]}: expected the image {name} of {annotations.name}, got none")
        if path not in self._images:
            self._images[path] = len(self._images)
            self._regions.append(regions)
        return self._images[path]

    def annotated(self, name: str) -> Annotated:
        K = len(self._skeleton)
        image, keypoints, boxes, areas, crowd = zip(*self._rows, strict=True) if self._rows else ((),) * 5
        return Annotated(
            name=name,
            images=tuple(self._images),
            regions=tuple(self._regions),
            image=np.array(image, int),
            keypoints=np.array(keypoints, float).reshape(-1, K, 2),
            boxes=np.array(boxes, float).reshape(-1, 4),
            areas=np.array(areas, float),
            crowd=np.array(crowd, bool),
        )


def _box(given: Sequence[float] | None, keypoints: np.ndarray) -> np.ndarray:
    """(4,) of x, y, width and height, or around the joints (K, 2) with a margin if there is none."""
    if given:
        return np.array([given[0], given[1], given[0] + given[2], given[1] + given[3]], float)
    return grown_boxes(keypoint_boxes(keypoints[None]), 0.2)[0]


def _area(box: np.ndarray) -> float:
    return float(box_area(box[None])[0])


def _regions(image: Any) -> tuple[np.ndarray, ...]:
    xs, ys = image.get("ignore_regions_x", ()), image.get("ignore_regions_y", ())
    return tuple(np.stack([x, y], axis=1).astype(float) for x, y in zip(xs, ys, strict=True))
