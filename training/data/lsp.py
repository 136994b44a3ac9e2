"""Leeds Sports Pose (Johnson and Everingham, BMVC 2010) and its extension LSPet (CVPR 2011): joints.mat and images.

LSP is (3, 14, N): x, y, and 1 for an occluded joint. LSPet is (14, 3, N): x, y, and 1 for a visible joint; a joint
without the 1 was not seen by the annotator, has no reliable position and is not labelled. Images are im0001.jpg,
im0002.jpg, ... (LSPet: im00001.jpg). The first half of LSP is its training part. There are no boxes: they are made
around the joints. Positions are kept as they are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from eval_posetrack.formats.columns import LARGEST_PX, shown
from posetrail.errors import InputError
from posetrail.skeletons import LSP_14
from posetrail.wording import people as counted_people
from training.data.images import ImageFinder
from training.data.matlab import described, variable
from training.data.people import boxes_around
from training.samples import NOT_LABELLED, OCCLUDED, VISIBLE, Samples

_K = len(LSP_14)


def read_lsp(path: Path, content: Any, find: ImageFinder) -> Samples:
    """The variables of a parsed joints.mat, of LSP or LSPet; people without a labelled joint are left out.

    Raises:
        InputError: a value cannot be used.
    """
    joints = variable(path, content, "joints")
    if not isinstance(joints, np.ndarray) or joints.dtype.kind not in "biuf":
        raise InputError(f"{path}: joints: expected an array of numbers, got {described(joints)}")
    if joints.ndim == 2:
        joints = joints[:, :, None]  # MATLAB drops the last axis of one person
    is_lsp = joints.ndim == 3 and joints.shape[:2] == (3, _K)
    if not is_lsp and (joints.ndim != 3 or joints.shape[:2] != (_K, 3)):
        raise InputError(f"{path}: joints: expected the shape (3, 14, N) of LSP or (14, 3, N), got {joints.shape}")
    slots = joints.astype(float).transpose((2, 1, 0) if is_lsp else (2, 0, 1))  # (N, 14, 3)
    for wrong, expected in (
        (~np.isin(slots[:, :, 2], (0, 1)), "flags 0 or 1"),
        (~(np.abs(slots[:, :, :2]) <= LARGEST_PX).all(axis=2), f"positions within {LARGEST_PX:g} pixels"),
    ):
        if wrong.any():
            person, joint = (int(k[0]) for k in np.nonzero(wrong))
            where = f"{path}: joints: person {person + 1}, joint {joint + 1}"
            raise InputError(f"{where}: expected {expected}, got {shown(slots[person, joint].tolist())}")
    flags = slots[:, :, 2] == 1
    visibility = np.where(flags, OCCLUDED, VISIBLE) if is_lsp else np.where(flags, VISIBLE, NOT_LABELLED)
    kept = np.any(visibility > NOT_LABELLED, axis=1)
    keypoints = np.where(visibility[:, :, None] > NOT_LABELLED, slots[:, :, :2], np.nan)[kept]
    digits = 4 if is_lsp else 5
    left_out = int((~kept).sum())
    return Samples(
        name="lsp" if is_lsp else "lspet",
        skeleton=LSP_14,
        images=find([f"im{i + 1:0{digits}d}.jpg" for i in np.flatnonzero(kept)]),
        image_rows=np.arange(kept.sum()),
        boxes=boxes_around(keypoints),
        keypoints=keypoints,
        visibility=visibility[kept],
        is_test=(np.arange(len(kept)) >= (len(kept) + 1) // 2)[kept] & is_lsp,
        notes=(f"{path.name}: {counted_people(left_out)} without a labelled joint left out",) if left_out else (),
    )
