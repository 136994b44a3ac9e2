"""COCO-WholeBody JSON (Jin et al., ECCV 2020): annotations, results, and the files of `posetrail export --to coco`.

Parts are lists of their own, x y and a third number for each joint: `keypoints` (17), `foot_kpts` (6), `face_kpts`
(68), `lefthand_kpts` (21) and `righthand_kpts` (21). A part whose `*_valid` is false is not labelled.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eval_posetrack.formats.columns import LARGEST_PX, LARGEST_SCORE, Records, shown
from eval_posetrack.formats.dialects import file_names
from eval_posetrack.metrics.image_ap import AnnotatedPeople, PredictedPeople
from eval_posetrack.readers.images import Key, keys_of
from eval_posetrack.readers.sources import boxes_of, file_name, first_length, read_json
from posetrail.errors import InputError
from posetrail.similarity import box_area, keypoint_boxes
from posetrail.skeletons import COCO_WHOLEBODY_133

PARTS = {  # field -> number of joints, field of its validity
    "keypoints": (17, None),
    "foot_kpts": (6, "foot_valid"),
    "face_kpts": (68, "face_valid"),
    "lefthand_kpts": (21, "lefthand_valid"),
    "righthand_kpts": (21, "righthand_valid"),
}
_WHOLE = 3 * len(COCO_WHOLEBODY_133)
_AREA_PER_BOX = 0.53  # where a file has no area, as in the evaluations of CrowdPose and AI Challenger


@dataclass(frozen=True, eq=False)
class WholeBodyFile:
    """The people of a file, and its images."""

    path: Path
    image_ids: tuple[Key, ...]  # (I,) of labelled images; of a list of results, those that it names
    image_names: tuple[str, ...] | None  # (I,) file names without folders, None of a list of results
    people: Records
    image_of: tuple[Key, ...]  # (N,) id of the image of each person


def is_wholebody(path: Path) -> bool:
    """Whether a file has parts of COCO-WholeBody."""
    if not path.is_file() or path.suffix.lower() != ".json":
        return False
    content = path.read_bytes()
    return any(f'"{name}"'.encode() in content for name in PARTS if name != "keypoints")


def read_wholebody(path: Path) -> WholeBodyFile:
    """Read a file, without images whose `is_labeled` is false and their people.

    Raises:
        InputError: it cannot be read, or is no such file.
    """
    content = read_json(path)
    records = content.get("annotations") if isinstance(content, dict) else content
    if not isinstance(records, list):
        raise InputError(
            f"{path}: expected COCO-WholeBody JSON, annotations or a list of results, got {shown(content)}"
        )
    field = "annotations" if isinstance(content, dict) else "results"
    people = Records(records, lambda i: f"{path}: {field}[{i}]")
    image_of = tuple(keys_of(people, "image_id"))
    if isinstance(content, list):
        return WholeBodyFile(path, tuple(dict.fromkeys(image_of)), None, people, image_of)
    if not isinstance(content.get("images"), list):
        raise InputError(f"{path}: 'images': expected a list of images, got {shown(content.get('images'))}")
    images = Records(content["images"], lambda i: f"{path}: images[{i}]")
    labelled = images.flags("is_labeled", np.ones(len(images), bool))
    ids = keys_of(images, "id")
    if unknown := set(image_of) - set(ids):
        people.fail(next(i for i, key in enumerate(image_of) if key in unknown), "image_id", "the id of an image")
    names = [file_name(name) for name in file_names(images, "file_name")]
    chosen = {key: name for key, name, use in zip(ids, names, labelled, strict=True) if use}
    rows = [i for i, key in enumerate(image_of) if key in chosen]
    people = Records([records[i] for i in rows], lambda i: f"{path}: {field}[{rows[i]}]")
    return WholeBodyFile(path, tuple(chosen), tuple(chosen.values()), people, tuple(image_of[i] for i in rows))


def annotated(file: WholeBodyFile) -> AnnotatedPeople:
    """The people of a ground truth; images are numbered in the order of the file.

    Raises:
        InputError: a value cannot be used.
    """
    keypoints = parts_of_people(file.people)
    labelled = np.where(keypoints[:, :, 2:] > 0, keypoints[:, :, :2], np.nan)
    boxes = boxes_of(file.people, "bbox", corners=False)
    boxes = np.where(np.isnan(boxes), keypoint_boxes(labelled), boxes)
    areas = file.people.numbers("area", largest=LARGEST_PX**2)
    number = {key: i for i, key in enumerate(file.image_ids)}
    images = np.array([number[key] for key in file.image_of], np.int64)
    order = np.argsort(images, kind="stable")
    return AnnotatedPeople(
        images,
        labelled,
        np.nan_to_num(boxes),
        np.where(areas > 0, areas, _AREA_PER_BOX * np.nan_to_num(box_area(boxes))),
        file.people.flags("iscrowd", np.zeros(len(file.people), bool)),
    )[order]


def predicted(file: WholeBodyFile, ground_truth: WholeBodyFile) -> tuple[PredictedPeople, tuple[str, ...]]:
    """The people of predictions in the images of a ground truth, and notes on those that are left out.

    Images are paired by file name where both files have them and any is the same, otherwise by id.

    Raises:
        InputError: a value cannot be used, or the two files have no image in common.
    """
    number = dict(zip(ground_truth.image_ids, range(len(ground_truth.image_ids)), strict=True))
    if file.image_names and ground_truth.image_names and set(file.image_names) & set(ground_truth.image_names):
        by_name = {name: i for i, name in enumerate(ground_truth.image_names)}
        pairs = zip(file.image_ids, file.image_names, strict=True)
        number = {key: by_name[name] for key, name in pairs if name in by_name}
    if ground_truth.image_ids and file.image_ids and not set(file.image_ids) & set(number):
        raise InputError(f"{file.path}: expected images of {ground_truth.path}, got none; give both the same image ids")
    images = np.array([number.get(key, -1) for key in file.image_of], np.int64)
    keypoints = parts_of_people(file.people)
    missing = (keypoints == 0).all(axis=2, keepdims=True)
    scores = file.people.numbers("score", largest=LARGEST_SCORE)
    notes = []
    if elsewhere := int((images < 0).sum()):
        notes.append(f"{elsewhere} of {len(images)} people are in images that the ground truth does not have")
    if unscored := int(np.isnan(scores).sum()):
        notes.append(f"{unscored} of {len(images)} people have no score, and count as 1")
    people = PredictedPeople(
        images, np.where(missing, np.nan, keypoints[:, :, :2]), np.where(np.isnan(scores), 1.0, scores)
    )
    order = np.argsort(images, kind="stable")
    return people[order[images[order] >= 0]], tuple(notes)


def parts_of_people(people: Records) -> np.ndarray:
    """(N, 133, 3) joints of all parts; 0 0 0 where not labelled.

    Raises:
        InputError: a list has another length, or its numbers cannot be used.
    """
    if first_length(people, "keypoints") == _WHOLE:  # some tools write all joints as one list
        return _slots(people, "keypoints", len(COCO_WHOLEBODY_133))
    parts = []
    for key, (count, valid) in PARTS.items():
        slots = _slots(people, key, count)
        if valid is not None:
            slots[~people.flags(valid, np.ones(len(people), bool))] = 0
        parts.append(slots)
    return np.concatenate(parts, axis=1)


def _slots(people: Records, key: str, count: int) -> np.ndarray:
    table, given = people.rows(key, [3 * count], largest=LARGEST_PX)
    slots = np.zeros((len(people), count, 3))
    slots[given] = table.reshape(-1, count, 3)
    return slots
