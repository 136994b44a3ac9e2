"""COCO-WholeBody (Jin et al., ECCV 2020): COCO's people with 6 joints of the feet, 68 of the face, 21 of each hand.

The parts are lists of their own. A part whose `*_valid` is false is not labelled. The third numbers of face and hands
may be fractions; any of them above 0 is read as visible.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from eval_posetrack.formats.columns import LARGEST_PX, Records
from posetrail.skeletons import COCO_WHOLEBODY_133, Skeleton
from training.data.coco import read_layout
from training.data.images import ImageFinder
from training.data.people import visibility_of
from training.samples import OCCLUDED, VISIBLE, Samples

_PARTS = {  # field -> number of joints, field of its validity
    "keypoints": (17, None),
    "foot_kpts": (6, "foot_valid"),
    "face_kpts": (68, "face_valid"),
    "lefthand_kpts": (21, "lefthand_valid"),
    "righthand_kpts": (21, "righthand_valid"),
}


def read_wholebody(path: Path, content: Any, find: ImageFinder) -> Samples:
    """A parsed file of COCO-WholeBody.

    Raises:
        InputError: a value cannot be used.
    """
    return read_layout(path, content, find, "wholebody", COCO_WHOLEBODY_133, _joints)


def _joints(people: Records, skeleton: Skeleton) -> tuple[np.ndarray, np.ndarray]:
    parts = []
    for key, (count, valid) in _PARTS.items():
        table, given = people.rows(key, [3 * count], largest=LARGEST_PX)
        slots = np.zeros((len(people), count, 3))
        slots[given] = table.reshape(-1, count, 3)
        flags = slots[:, :, 2]
        wrong = ~((flags >= 0) & (flags <= VISIBLE)).all(axis=1)
        if wrong.any():
            people.fail(int(wrong.argmax()), key, "numbers from 0 to 2 after each x and y")
        if valid is not None:
            flags[~people.flags(valid, np.ones(len(people), bool))] = 0
        exact = (flags == OCCLUDED) & (count <= 17)  # of face and hands, 1 is a confidence
        slots[:, :, 2] = np.where(exact, OCCLUDED, np.where(flags > 0, VISIBLE, 0))
        parts.append(slots)
    joints = np.concatenate(parts, axis=1)
    return visibility_of(people, joints[:, :, :2], joints[:, :, 2])
