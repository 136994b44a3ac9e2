"""OpenPose's folder of JSON: one `*_keypoints.json` for each frame, with or without people.

Every file holds `people`, each with `pose_keypoints_2d` x y score (BODY_25, COCO 18 or MPI 15 joints, told apart by
their number) and `person_id`, [-1] unless people were tracked. Format: doc/02_output.md of the project.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from eval_posetrack.clip import Clip
from eval_posetrack.columns import Records, shown
from eval_posetrack.readers.found import Found, to_clip
from eval_posetrack.readers.frames import frame_names
from eval_posetrack.readers.images import Images
from eval_posetrack.readers.joints import joints_named
from eval_posetrack.readers.sources import first_length, joints_of, natural, read_json, track_ids_of
from posetrail.errors import InputError

_ENDING = "_keypoints.json"
_BY_COUNT = ("body_25", "openpose_18", "openpose_15")


def read(path: Path, images: Images | None, joints: str | None) -> list[Clip]:
    """A folder of frames, or a folder of such folders: one clip each.

    Args:
        path: the folder that `--write_json` named.
        images: names for the frames; without it the names of the files are used.
        joints: a name of `joints.LAYOUTS`, for models with other joints than their number tells.

    Raises:
        InputError: no such folder, or a file cannot be read or used.
    """
    if not path.is_dir():
        raise InputError(f"{path}: wanted a folder of *{_ENDING}, as OpenPose's --write_json makes it")
    folders = [path] if _files(path) else sorted(f for f in path.iterdir() if f.is_dir() and _files(f))
    if not folders:
        raise InputError(f"{path}: wanted *{_ENDING} in it, or folders with them, found none")
    return [_read_folder(folder, images, joints) for folder in folders]


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*{_ENDING}"), key=lambda file: natural(file.name))


def _read_folder(folder: Path, images: Images | None, order: str | None) -> Clip:
    files = _files(folder)
    everybody: list[Any] = []
    frames: list[int] = []
    within: list[int] = []
    for t, file in enumerate(files):
        content = read_json(file)
        people = content.get("people") if isinstance(content, dict) else None
        if not isinstance(people, list):
            raise InputError(f"{file}: 'people': wanted a list, got {shown(people if people else content)}")
        everybody += people
        frames += [t] * len(people)
        within += range(len(people))
    records = Records(everybody, lambda i: f"{files[frames[i]]}: people[{within[i]}]")
    for i in np.flatnonzero(~records.given("pose_keypoints_2d", empty_counts=True)):
        records.fail(int(i), "pose_keypoints_2d", "a list of x y score")

    width = first_length(records, "pose_keypoints_2d")
    if width is None:  # nobody anywhere
        names = joints_named(25, order=None, named=None, by_count=_BY_COUNT, where=folder)
    else:
        names = joints_named(
            width // 3, order=order, named=None, by_count=_BY_COUNT, where=f"{folder}: 'pose_keypoints_2d'"
        )
    keypoints, scores = joints_of(records, "pose_keypoints_2d", [3 * len(names)])
    stems = tuple(f"{file.name.removesuffix(_ENDING)}.jpg" for file in files)
    found = Found(
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
    return to_clip(found, folder)
