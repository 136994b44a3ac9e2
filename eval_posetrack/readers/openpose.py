"""OpenPose's folder of JSON files: one `*_keypoints.json` per frame, with or without people.

Each file has `people` with `pose_keypoints_2d`, x y score of the joints (BODY_25, COCO 18 or MPI 15, recognised by
their number), and `person_id`, [-1] unless people were tracked. Format: doc/02_output.md of OpenPose.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from eval_posetrack.formats.clip import Clip
from eval_posetrack.formats.columns import Records, shown
from eval_posetrack.readers.frames import frame_names
from eval_posetrack.readers.images import Images
from eval_posetrack.readers.joints import joints_named
from eval_posetrack.readers.source_poses import SourcePoses, to_clip
from eval_posetrack.readers.sources import first_length, joints_of, natural, read_json, track_ids_of
from posetrail.errors import InputError

_ENDING = "_keypoints.json"
_BY_COUNT = ("body_25", "openpose_18", "openpose_15")


def read(path: Path, images: Images | None, joints: str | None) -> list[Clip]:
    """A folder of frames, or a folder of such folders, one for each clip.

    Args:
        path: the folder given to `--write_json`.
        images: names for the frames; those of the files when not given.
        joints: a name of `joints.LAYOUTS`, for models whose joints do not follow from their number.

    Raises:
        InputError: the folder does not exist, or a file cannot be read or used.
    """
    if not path.is_dir():
        raise InputError(f"{path}: expected a folder of *{_ENDING} as written by OpenPose's --write_json")
    folders = [path] if _files(path) else sorted(f for f in path.iterdir() if f.is_dir() and _files(f))
    if not folders:
        raise InputError(f"{path}: expected *{_ENDING} in it, or folders of them, got none")
    return [_read_folder(folder, images, joints) for folder in folders]


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*{_ENDING}"), key=lambda file: natural(file.name))


def _read_folder(folder: Path, images: Images | None, order: str | None) -> Clip:
    files = _files(folder)
    people_of_all: list[Any] = []
    frames: list[int] = []
    within: list[int] = []
    for t, file in enumerate(files):
        content = read_json(file)
        people = content.get("people") if isinstance(content, dict) else None
        if not isinstance(people, list):
            raise InputError(f"{file}: 'people': expected a list, got {shown(people if people else content)}")
        people_of_all += people
        frames += [t] * len(people)
        within += range(len(people))
    records = Records(people_of_all, lambda i: f"{files[frames[i]]}: people[{within[i]}]")
    for i in np.flatnonzero(~records.given("pose_keypoints_2d", empty_counts=True)):
        records.fail(int(i), "pose_keypoints_2d", "a list of x y score")

    width = first_length(records, "pose_keypoints_2d")
    if width is None:  # no people in any frame
        names = joints_named(25, order=None, named=None, by_count=_BY_COUNT, where=folder)
    else:
        names = joints_named(
            width // 3, order=order, named=None, by_count=_BY_COUNT, where=f"{folder}: 'pose_keypoints_2d'"
        )
    keypoints, scores = joints_of(records, "pose_keypoints_2d", [3 * len(names)])
    stems = tuple(f"{file.name.removesuffix(_ENDING)}.jpg" for file in files)
    poses = SourcePoses(
        name=folder.resolve().name,
        image_names=stems if images is None else frame_names(len(files), images, folder),
        frames=np.array(frames, int),
        joints=names,
        keypoints=keypoints,
        keypoint_scores=scores,
        scores=np.full(len(records), np.nan),
        boxes=np.full((len(records), 4), np.nan),
        track_ids=track_ids_of(records, "person_id"),
    )
    return to_clip(poses, folder)
