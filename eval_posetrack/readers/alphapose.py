"""AlphaPose results: a list of people as in COCO results, with the image's file name as `image_id`.

Fields: `keypoints` with x y score of each joint, `score` of the person (above 1 because it sums over joints), `box` (x
y width height), and `idx`, the track id or a list of it. Format: docs/output.md of AlphaPose.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from eval_posetrack.formats.clip import Clip
from eval_posetrack.formats.columns import LARGEST_SCORE, Records, shown
from eval_posetrack.readers.frames import clips_of, listing
from eval_posetrack.readers.images import Images
from eval_posetrack.readers.joints import joints_named
from eval_posetrack.readers.source_poses import SourcePoses
from eval_posetrack.readers.sources import (
    boxes_of,
    files_of,
    first_length,
    joints_of,
    needed_list,
    read_json,
    track_ids_of,
)

_BY_COUNT = ("coco_17", "halpe_26", "halpe_136", "coco_133", "mpii_16")


def read(path: Path, images: Images | None, joints: str | None) -> list[Clip]:
    """One `alphapose-results.json`, or every `*.json` of a folder.

    Args:
        path: the file or folder.
        images: the frames; without them, frames of a video are known by their numbers, others only if they have people.
        joints: a name of `joints.LAYOUTS`, for models whose joints do not follow from their number.

    Raises:
        InputError: the file cannot be read or used.
    """
    files = files_of(path, [".json"], "AlphaPose JSON files")
    return [clip for file in files for clip in _read_file(file, images, joints)]


def _read_file(path: Path, images: Images | None, order: str | None) -> list[Clip]:
    content = needed_list(path, read_json(path), "people as AlphaPose writes it by default")

    def where(i: int) -> str:
        image = content[i].get("image_id") if isinstance(content[i], dict) else None
        return f"{path}: [{i}]" + (f" (image_id {shown(image)})" if isinstance(image, str) else "")

    people = Records(content, where)
    width = first_length(people, "keypoints")
    names = joints_named(
        None if width is None else width // 3, order=order, named=None, by_count=_BY_COUNT, where=f"{path}: 'keypoints'"
    )
    keypoints, scores = joints_of(people, "keypoints", [3 * len(names)])
    poses = SourcePoses(
        name=path.stem,
        image_names=(),
        frames=np.zeros(0, int),
        joints=names,
        keypoints=keypoints,
        keypoint_scores=scores,
        scores=people.numbers("score", largest=LARGEST_SCORE),
        boxes=boxes_of(people, "box", corners=False),
        track_ids=track_ids_of(people, "idx"),
    )
    return clips_of(poses, listing(people, "image_id", images, path), path)
