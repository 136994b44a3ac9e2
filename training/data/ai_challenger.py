"""AI Challenger (Wu et al. 2017): its own list of images, and the conversion to COCO's layout.

In the list, an image has boxes `human_annotations` (x1 y1 x2 y2) and `keypoint_annotations` (x y v of 14 joints), by
the same names human1, human2, ...; v is 1 visible, 2 occluded, 3 not labelled. The conversion has COCO's flags.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from eval_posetrack.formats.columns import LARGEST_PX, Records, shown
from eval_posetrack.readers.sources import boxes_of
from posetrail.errors import InputError
from posetrail.skeletons import AIC_14
from training.data.coco import read_layout, skeleton_of
from training.data.images import ImageFinder
from training.data.people import visibility_of
from training.samples import NOT_LABELLED, OCCLUDED, VISIBLE, Samples

_FLAGS = np.array([-1, VISIBLE, OCCLUDED, NOT_LABELLED])  # ours by those of the list


def read_ai_challenger(path: Path, content: Any, find: ImageFinder) -> Samples:
    """A parsed file: the list of images, or the conversion.

    Raises:
        InputError: a value cannot be used.
    """
    if isinstance(content, list):
        return _read_list(path, content, find)
    skeleton = skeleton_of(path, content)
    if skeleton is not AIC_14:
        names = shown(list(skeleton.joints))
        raise InputError(f"{path}: 'categories': expected the 14 joints of AI Challenger in its order, got {names}")
    return read_layout(path, content, find, "aic", skeleton)


def _read_list(path: Path, content: list[Any], find: ImageFinder) -> Samples:
    images = Records(content, lambda i: f"{path}: [{i}]")
    people: list[dict[str, Any]] = []
    places: list[str] = []
    rows: list[int] = []
    names: list[str] = []
    for i, image in enumerate(images.records):
        name = image.get("image_id")
        if type(name) is not str or not name:
            images.fail(i, "image_id", "the image's name")
        names.append(name if "." in name else f"{name}.jpg")
        boxes, joints = image.get("human_annotations", {}), image.get("keypoint_annotations")
        if not isinstance(joints, dict):
            images.fail(i, "keypoint_annotations", "joints by the name of the person")
        if not isinstance(boxes, dict) or set(boxes) != set(joints):
            images.fail(i, "human_annotations", f"boxes of the people in keypoint_annotations ({shown(list(joints))})")
        for human in joints:
            people.append({"human_annotations": boxes[human], "keypoint_annotations": joints[human]})
            places.append(f"{images.where(i)}: {shown(human)}")
            rows.append(i)
    records = Records(people, lambda i: places[i])
    K = len(AIC_14)
    table, given = records.rows("keypoint_annotations", [3 * K], largest=LARGEST_PX)
    slots = np.full((len(people), K, 3), 3.0)
    slots[given] = table.reshape(-1, K, 3)
    wrong = ~np.isin(slots[:, :, 2], (1, 2, 3)).all(axis=1)
    if wrong.any():
        expected = "1 visible, 2 occluded or 3 not labelled after each x and y"
        records.fail(int(wrong.argmax()), "keypoint_annotations", expected)
    keypoints, visibility = visibility_of(records, slots[:, :, :2], _FLAGS[slots[:, :, 2].astype(int)])
    boxes_px = boxes_of(records, "human_annotations", corners=True)
    missing = np.isnan(boxes_px).any(axis=1)
    if missing.any():
        records.fail(int(missing.argmax()), "human_annotations", "a box x1 y1 x2 y2")
    return Samples(
        name="aic",
        skeleton=AIC_14,
        images=find(names),
        image_rows=np.array(rows, int),
        boxes=boxes_px,
        keypoints=keypoints,
        visibility=visibility,
    )
