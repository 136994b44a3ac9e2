"""PoseTrack 2017, 2018 and 2021, and the ground truth that `posetrail export` writes in the layout of 2018.

The files are read by `eval_posetrack.formats`: 15 joints, of which the neck is called head_bottom in files of 2018. A
joint flagged invisible that has a position is occluded. Only frames that an annotator labelled are read.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from eval_posetrack.formats.clip import Clip
from eval_posetrack.formats.columns import shown
from eval_posetrack.formats.posetrack_2017 import read_2017
from eval_posetrack.formats.posetrack_2018 import read_2018
from eval_posetrack.metrics.clean import HEAD_SIZE_PER_DIAGONAL
from posetrail.errors import InputError
from posetrail.skeletons import POSETRACK_15
from posetrail.wording import people as counted_people
from training.data.images import ImageFinder
from training.data.people import annotated_boxes, head_sizes_of
from training.samples import NOT_LABELLED, OCCLUDED, VISIBLE, Samples


def read_posetrack(path: Path, content: Any, find: ImageFinder) -> Samples:
    """A parsed file of any of the three versions.

    Raises:
        InputError: a value cannot be used.
    """
    if isinstance(content, dict) and isinstance(content.get("annolist"), list):
        return samples_of(read_2017(path, content["annolist"]), path, find)
    if isinstance(content, dict) and isinstance(content.get("images"), list):
        return samples_of(read_2018(path, content), path, find)
    raise InputError(
        f"{path}: expected a PoseTrack file ('annolist', or 'images' and 'annotations'), got {shown(content)}"
    )


def samples_of(clip: Clip, path: Path, find: ImageFinder) -> Samples:
    """The people of the labelled frames of a clip; people without a joint and without a box are left out."""
    labelled = np.isfinite(clip.keypoints).all(axis=2)
    keypoints = np.where(labelled[:, :, None], clip.keypoints, np.nan)
    boxes = annotated_boxes(clip.boxes, keypoints)
    in_frames = clip.labeled[clip.frames]
    kept = in_frames & np.isfinite(boxes).all(axis=1)
    visibility = np.where(labelled, np.where(clip.occluded, OCCLUDED, VISIBLE), NOT_LABELLED)
    left_out = int((in_frames & ~kept).sum())
    positions = np.cumsum(clip.labeled) - 1
    named = [name for name, use in zip(clip.image_names, clip.labeled, strict=True) if use]
    sides = clip.head_boxes[:, 2:] - clip.head_boxes[:, :2]
    return Samples(
        name="posetrack",
        skeleton=POSETRACK_15,
        images=find(named),
        ignore_regions=tuple(r for r, use in zip(clip.ignore_regions, clip.labeled, strict=True) if use),
        image_rows=positions[clip.frames[kept]],
        boxes=boxes[kept],
        keypoints=keypoints[kept],
        visibility=visibility[kept],
        head_sizes=head_sizes_of(HEAD_SIZE_PER_DIAGONAL * np.linalg.norm(sides[kept], axis=1)),
        track_ids=clip.track_ids[kept],
        notes=(f"{path.name}: {counted_people(left_out)} without a joint and a box left out",) if left_out else (),
    )
