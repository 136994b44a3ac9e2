"""CrowdPose (Li et al., CVPR 2019): COCO's layout with 14 joints and no areas; its "head" is the top of the head.

`crowdIndex` says how crowded an image is; where a file lacks it, it is computed from boxes and joints.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from eval_posetrack.formats.columns import shown
from eval_posetrack.metrics.crowd import crowd_index
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
    return with_crowd_indices(read_layout(path, content, find, "crowdpose", skeleton))


def with_crowd_indices(samples: Samples) -> Samples:
    """The same samples with a crowd index of each image: the given one, or else one computed from its people."""
    indices = samples.crowd_indices.copy()
    single = ~samples.is_crowd
    for i in np.flatnonzero(np.isnan(indices)):
        people = single & (samples.image_rows == i)
        indices[i] = crowd_index(samples.boxes[people], samples.keypoints[people])
    return replace(samples, crowd_indices=indices)
