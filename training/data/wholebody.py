"""COCO-WholeBody (Jin et al., ECCV 2020): COCO's people with 6 joints of the feet, 68 of the face, 21 of each hand.

The parts are lists of their own. A part whose `*_valid` is false is not labelled. The third numbers of face and hands
may be fractions; any of them above 0 is read as visible.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from eval_posetrack.formats.columns import Records
from eval_posetrack.readers.wholebody import parts_of_people
from posetrail.skeletons import COCO_WHOLEBODY_133, Skeleton
from training.data.coco import read_layout
from training.data.images import ImageFinder
from training.data.people import visibility_of
from training.samples import OCCLUDED, VISIBLE, Samples

_EXACT = 23  # joints of body and feet: 1 is an occluded one; of face and hands, 1 is a confidence


def read_wholebody(path: Path, content: Any, find: ImageFinder) -> Samples:
    """A parsed file of COCO-WholeBody.

    Raises:
        InputError: a value cannot be used.
    """
    return read_layout(path, content, find, "wholebody", COCO_WHOLEBODY_133, _joints)


def _joints(people: Records, skeleton: Skeleton) -> tuple[np.ndarray, np.ndarray]:
    joints = parts_of_people(people)
    flags = joints[:, :, 2]
    wrong = ~((flags >= 0) & (flags <= VISIBLE)).all(axis=1)
    if wrong.any():
        people.fail(int(wrong.argmax()), "keypoints", "numbers from 0 to 2 after each x and y of all parts")
    exact = (flags == OCCLUDED) & (np.arange(len(skeleton)) < _EXACT)
    flags = np.where(exact, OCCLUDED, np.where(flags > 0, VISIBLE, 0))
    return visibility_of(people, joints[:, :, :2], flags)
