"""CrowdPose (Li et al., CVPR 2019): COCO's layout with 14 joints and no areas; its "head" is the top of the head."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from eval_posetrack.formats.columns import shown
from posetrail.errors import InputError
from posetrail.skeletons import CROWDPOSE_14
from training.data.coco import read_layout, skeleton_of
from training.data.images import ImageFinder
from training.samples import Samples


def read_crowdpose(path: Path, content: Any, find: ImageFinder) -> Samples:
    """A parsed file of CrowdPose.

    Raises:
        InputError: a value cannot be used.
    """
    skeleton = skeleton_of(path, content)
    if skeleton is not CROWDPOSE_14:
        names = shown(list(skeleton.joints))
        raise InputError(f"{path}: 'categories': expected the 14 joints of CrowdPose in its order, got {names}")
    return read_layout(path, content, find, "crowdpose", skeleton)
