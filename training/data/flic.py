"""FLIC, upper bodies in films (Sapp and Taskar, CVPR 2013): examples.mat.

`coords` has 29 joints, of which 11 are labelled; NaN is a missing one. Left and right are the person's, as the file
has them. (The published preparation of CPM exchanges them for people seen from behind.) Positions are kept as they are.
Boxes are made around the joints.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from eval_posetrack.formats.columns import LARGEST_PX, shown
from posetrail.errors import InputError
from posetrail.skeletons import COCO_17, Skeleton
from posetrail.wording import people as counted_people
from training.data.images import ImageFinder
from training.data.matlab import described, is_empty, numbers, structures, text, variable
from training.data.people import boxes_around
from training.samples import NOT_LABELLED, VISIBLE, Samples

_PLACES = {  # of the 29 columns of `coords`, counted from 0
    "left_shoulder": 0,
    "left_elbow": 1,
    "left_wrist": 2,
    "right_shoulder": 3,
    "right_elbow": 4,
    "right_wrist": 5,
    "left_hip": 6,
    "right_hip": 9,
    "left_eye": 12,
    "right_eye": 13,
    "nose": 16,
}
FLIC_11 = Skeleton(
    name="flic_11",
    joints=tuple(_PLACES),
    limbs=tuple(limb for limb in COCO_17.limbs if set(limb) <= set(_PLACES)),
    oks_sigmas=tuple(COCO_17.oks_sigmas[COCO_17.index(joint)] for joint in _PLACES),
)
_NUM_COLUMNS = 29


def read_flic(path: Path, content: Any, find: ImageFinder) -> Samples:
    """The variables of a parsed examples.mat. People marked `isbad` or without a joint are left out.

    Raises:
        InputError: a value cannot be used.
    """
    examples = structures(f"{path}: examples", variable(path, content, "examples"), ["coords", "filepath"])
    left_out = 0
    files: list[str] = []
    joints: list[np.ndarray] = []
    sizes: list[np.ndarray] = []
    is_test: list[bool] = []
    for i, example in enumerate(examples):
        where = f"{path}: examples({i + 1})"
        keypoints = _coordinates(f"{where}.coords", example["coords"])
        if _flag(f"{where}.isbad", example.get("isbad")) or np.isnan(keypoints).all():
            left_out += 1
            continue
        files.append(text(f"{where}.filepath", example["filepath"]))
        joints.append(keypoints)
        sizes.append(_size(f"{where}.imgdims", example.get("imgdims")))
        is_test.append(_flag(f"{where}.istest", example.get("istest")))
    rows = {name: i for i, name in enumerate(dict.fromkeys(files))}
    image_rows = np.array([rows[name] for name in files], int)
    image_sizes = np.zeros((len(rows), 2))
    image_sizes[image_rows] = np.array(sizes).reshape(-1, 2)
    positions = np.array(joints).reshape(-1, len(FLIC_11), 2)
    return Samples(
        name="flic",
        skeleton=FLIC_11,
        images=find(list(rows)),
        image_sizes=image_sizes,
        image_rows=image_rows,
        boxes=boxes_around(positions),
        keypoints=positions,
        visibility=np.where(np.isfinite(positions).all(axis=2), VISIBLE, NOT_LABELLED),
        is_test=np.array(is_test, bool),
        notes=(f"{path.name}: {counted_people(left_out)} without joints or marked bad left out",) if left_out else (),
    )


def _coordinates(where: str, value: Any) -> np.ndarray:
    """(11, 2), NaN for missing joints."""
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "iuf" or value.shape != (2, _NUM_COLUMNS):
        raise InputError(f"{where}: expected numbers of the shape (2, 29), got {described(value)}")
    places = value.astype(float).T[list(_PLACES.values())]
    if (np.abs(places) > LARGEST_PX).any():
        raise InputError(f"{where}: expected no number beyond {LARGEST_PX:g}, got {shown(places.tolist())}")
    return np.where(np.isnan(places).any(axis=1, keepdims=True), np.nan, places)


def _flag(where: str, value: Any) -> bool:
    if is_empty(value):
        return False
    flag = numbers(where, value, 1)[0]
    if flag not in (0, 1):
        raise InputError(f"{where}: expected 0 or 1, got {flag:g}")
    return bool(flag)


def _size(where: str, value: Any) -> np.ndarray:
    """(2,) width and height; the file has height, width and the number of colours. 0 where it has none."""
    if is_empty(value):
        return np.zeros(2)
    dims = numbers(where, value, 3 if value.size == 3 else 2)
    if not ((dims > 0) & (dims <= LARGEST_PX)).all():
        raise InputError(f"{where}: expected height and width in pixels, got {shown(dims.tolist())}")
    return dims[1::-1]
