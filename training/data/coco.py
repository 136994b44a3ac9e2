"""COCO keypoints, and every file of this layout whose `categories` name the joints: own data sets, OCHuman, exports.

`keypoints` has x, y and v of each joint: v 0 not labelled, 1 labelled but occluded, 2 visible. `bbox` is x y width
height. Of the ground truth that `posetrail export` writes, only images with `is_labeled` true are read.
Format: https://cocodataset.org/#format-data.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from eval_posetrack.formats.columns import LARGEST_PX, Records, shown
from eval_posetrack.formats.dialects import file_names
from eval_posetrack.readers.images import joints_of_categories, keys_of
from eval_posetrack.readers.sources import boxes_of, first_length, track_ids_of, whole_numbers
from posetrail.errors import InputError
from posetrail.skeletons import COCO_17, Skeleton
from posetrail.wording import counted
from posetrail.wording import people as counted_people
from training.data.images import ImageFinder
from training.data.people import annotated_boxes, visibility_of
from training.data.skeletons import known_skeleton, new_skeleton
from training.samples import Samples

Joints = Callable[[Records, Skeleton], tuple[np.ndarray, np.ndarray]]
"""Positions (N, K, 2), at NaN where a person has none, and visibility flags (N, K) of the records."""

_LARGEST_CROWD_INDEX = 1000.0  # 1 as defined; a file may have more


def read_coco(path: Path, content: Any, find: ImageFinder) -> Samples:
    """A parsed file of COCO's layout.

    Raises:
        InputError: a value cannot be used; the message names the place, the expected and the given value.
    """
    return read_layout(path, content, find, "coco", skeleton_of(path, content))


def skeleton_of(path: Path, content: Any) -> Skeleton:
    """The skeleton that `categories` describes; COCO's if there are no names but 17 joints.

    Raises:
        InputError: the names are missing or cannot be used.
    """
    people = records_of(path, content, "annotations")
    names = joints_of_categories(content, path)
    where = f"{path}: 'categories'[0]"
    if names is None:
        if first_length(people, "keypoints") == 3 * len(COCO_17):
            return COCO_17
        raise InputError(f"{where}: expected the names of the joints in 'keypoints', got none; is it a file of boxes?")
    if (known := known_skeleton(names)) is not None:
        return known  # whatever the limbs: CrowdPose's files have those of COCO
    category = next(each for each in content["categories"] if each.get("keypoints"))
    limbs = []
    given = category.get("skeleton") or []
    if not isinstance(given, list):
        raise InputError(f"{where}['skeleton']: expected pairs of joints 1..{len(names)}, got {shown(given)}")
    for limb in given:
        if type(limb) is not list or len(limb) != 2 or not all(type(k) is int and 1 <= k <= len(names) for k in limb):
            raise InputError(f"{where}['skeleton']: expected pairs of joints 1..{len(names)}, got {shown(limb)}")
        limbs.append((names[limb[0] - 1], names[limb[1] - 1]))
    try:
        return new_skeleton(names, limbs, str(category.get("name") or ""))
    except ValueError as error:
        raise InputError(f"{where}['keypoints']: expected names of different joints: {error}") from error


def read_layout(
    path: Path, content: Any, find: ImageFinder, name: str, skeleton: Skeleton, joints: Joints | None = None
) -> Samples:
    """A parsed file of COCO's layout whose joints are known.

    Args:
        path: the file, for error messages.
        content: the parsed file.
        find: finds the images.
        name: of the format.
        skeleton: of the joints.
        joints: reads the joints of people; from `keypoints` with flags 0, 1, 2 if not given.

    Raises:
        InputError: a value cannot be used.
    """
    images, annotations = (records_of(path, content, key) for key in ("images", "annotations"))
    keys = keys_of(images, "id")
    rows_of_images = {key: i for i, key in enumerate(keys)}
    if len(rows_of_images) < len(keys):
        again = next(i for i, key in enumerate(keys) if rows_of_images[key] != i)
        images.fail(again, "id", "an id of its own for every image")
    labelled = images.flags("is_labeled", np.ones(len(images), bool))

    has_joints = annotations.given("keypoints")
    if len(annotations) and not has_joints.any():
        annotations.fail(0, "keypoints", "joints in at least one annotation")
    kept = []
    for i, key in enumerate(keys_of(annotations, "image_id")):
        if key not in rows_of_images:
            annotations.fail(i, "image_id", "the id of one of the images")
        if has_joints[i] and labelled[rows_of_images[key]]:
            kept.append(i)
    people = Records([annotations.records[i] for i in kept], lambda row: annotations.where(kept[row]))

    keypoints, visibility = (joints or _joints)(people, skeleton)
    given_boxes = boxes_of(people, "bbox", corners=False)
    boxes = annotated_boxes(given_boxes, keypoints)
    without_box = (boxes != given_boxes).any(axis=1)
    boxless = np.isnan(boxes).any(axis=1)
    if boxless.any():
        people.fail(int(boxless.argmax()), "bbox", "a box for a person without labelled joints")
    areas = people.numbers("area", largest=LARGEST_PX**2)
    if (areas < 0).any():
        people.fail(int((areas < 0).argmax()), "area", "a number of at least 0")
    positions = np.cumsum(labelled) - 1
    all_names = file_names(images, "file_name")
    return Samples(
        name=name,
        skeleton=skeleton,
        images=find([each for each, use in zip(all_names, labelled, strict=True) if use]),
        image_sizes=_sizes(images)[labelled],
        crowd_indices=_crowd_indices(images)[labelled],
        image_rows=positions[[rows_of_images[record["image_id"]] for record in people.records]],
        boxes=boxes,
        keypoints=keypoints,
        visibility=visibility,
        areas=np.where(areas > 0, areas, np.nan),
        is_crowd=people.flags("iscrowd", np.zeros(len(people), bool)),
        track_ids=track_ids_of(people, "track_id"),
        ids=whole_numbers(people, "id", lowest=-1, absent=-1),
        notes=tuple(
            note
            for note, applies in (
                (f"{path.name}: {counted(int((~has_joints).sum()), 'annotation')} without keypoints", ~has_joints),
                (f"{path.name}: {counted_people(int(without_box.sum()))} without a box", without_box),
                (
                    f"{path.name}: no joint is visible (2), all are occluded (1)",
                    (visibility == 1).any() and not (visibility == 2).any(),
                ),
            )
            if np.any(applies)
        ),
    )


def records_of(path: Path, content: Any, key: str) -> Records:
    """One of the lists of a file, as records.

    Raises:
        InputError: the file has no such list.
    """
    records = content.get(key) if isinstance(content, dict) else content
    if not isinstance(content, dict) or not isinstance(records, list):
        raise InputError(f"{path}: {key!r}: expected a list of records, got {shown(records)}")

    def where(i: int) -> str:
        record = records[i]
        named = [f" ({k} {shown(record[k])})" for k in ("id",) if isinstance(record, dict) and k in record]
        return f"{path}: {key}[{i}]{''.join(named)}"

    return Records(records, where)


def _joints(people: Records, skeleton: Skeleton) -> tuple[np.ndarray, np.ndarray]:
    table, given = people.rows("keypoints", [3 * len(skeleton)], largest=LARGEST_PX)
    slots = np.zeros((len(people), len(skeleton), 3))
    slots[given] = table.reshape(-1, len(skeleton), 3)
    wrong = ~np.isin(slots[:, :, 2], (0, 1, 2)).all(axis=1)
    if wrong.any():
        people.fail(int(wrong.argmax()), "keypoints", "visibility flags 0, 1 or 2 after each x and y")
    return visibility_of(people, slots[:, :, :2], slots[:, :, 2])


def _crowd_indices(images: Records) -> np.ndarray:
    """(I,) crowd indices of CrowdPose; NaN where not given."""
    given = images.numbers("crowdIndex", largest=_LARGEST_CROWD_INDEX)
    if (given < 0).any():
        images.fail(int((given < 0).argmax()), "crowdIndex", "a number of at least 0")
    return given


def _sizes(images: Records) -> np.ndarray:
    """(I, 2) width and height; 0 where not given."""
    sizes = np.zeros((len(images), 2))
    for axis, key in enumerate(("width", "height")):
        given = images.numbers(key, largest=LARGEST_PX)
        if (given < 0).any():
            images.fail(int((given < 0).argmax()), key, "a number of at least 0")
        sizes[:, axis] = np.nan_to_num(given)
    return sizes
