"""MMPose predictions: JSON of the inferencer (`pred_out_dir`) and of the demos (`--save-predictions`).

The file of a video is a list of `{"frame_id", "instances"}`; the demos write it as `instance_info` beside `meta_info`,
which names the joints. The file of an image is its list of instances; a folder of such files is read as one clip. An
instance has `keypoints` [[x, y], ...], `keypoint_scores`, and usually `bbox` [[x1, y1, x2, y2]] and `bbox_score`.
Format: the page on inference in the user guide of MMPose.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eval_posetrack.formats.clip import Clip
from eval_posetrack.formats.columns import LARGEST_PX, LARGEST_SCORE, Records, shown
from eval_posetrack.readers.frames import Listing, numbered
from eval_posetrack.readers.images import Images
from eval_posetrack.readers.joints import joints_named
from eval_posetrack.readers.source_poses import SourcePoses, numbered_frames, to_clip
from eval_posetrack.readers.sources import (
    boxes_of,
    files_of,
    first_length,
    read_json,
    track_ids_of,
    whole_numbers,
    without_missing,
)
from posetrail.errors import InputError

_BY_COUNT = ("coco_17", "coco_133", "halpe_26", "halpe_136", "mpii_16")


@dataclass(frozen=True, eq=False)
class _Video:
    """T frames and their instances."""

    num_frames: int
    lines: np.ndarray  # (L,) the frames that the file lists
    frames: np.ndarray  # (P,)
    instances: Records
    joints: tuple[str, ...] | None  # if the file names them


def read(path: Path, images: Images | None, joints: str | None) -> list[Clip]:
    """The file of a video, a folder of them, or the folder of files written for a folder of images.

    Args:
        path: the file or folder.
        images: names for the frames.
        joints: a name of `joints.LAYOUTS`, if the file does not name the joints.

    Raises:
        InputError: a file cannot be read or used.
    """
    files = files_of(path, [".json"], "MMPose JSON files")
    contents = [read_json(file) for file in files]
    if path.is_dir() and all(_is_image(content) for content in contents):
        names = tuple(f"{file.stem}.jpg" for file in files)
        return [_clip(path, path.resolve().name, _images(files, contents), names, images, joints)]
    return [
        _clip(file, file.stem, _video(file, content), None, images, joints)
        for file, content in zip(files, contents, strict=True)
    ]


def _is_image(content: Any) -> bool:
    return isinstance(content, list) and all(isinstance(one, dict) and "keypoints" in one for one in content)


def _images(files: list[Path], contents: list[list[Any]]) -> _Video:
    frames = np.repeat(np.arange(len(files)), [len(content) for content in contents])
    starts = np.searchsorted(frames, np.arange(len(files)))
    instances = [instance for content in contents for instance in content]
    records = Records(instances, lambda i: f"{files[frames[i]]}: [{i - starts[frames[i]]}]")
    return _Video(len(files), np.arange(len(files)), frames, records, None)


def _video(path: Path, content: Any) -> _Video:
    named = None
    if isinstance(content, dict) and "instance_info" in content:
        named = _joint_names(path, content.get("meta_info"))
        content = content["instance_info"]
    if not isinstance(content, list):
        raise InputError(f"{path}: expected a list of frames with 'instances', got {shown(content)}")
    if content and _is_image(content):
        records = Records(content, lambda i: f"{path}: instances[{i}]")
        return _Video(1, np.zeros(1, int), np.zeros(len(content), int), records, named)
    frames = Records(content, lambda t: f"{path}: [{t}]")
    numbers = whole_numbers(frames, "frame_id")
    order = np.argsort(numbers, kind="stable")
    again = np.flatnonzero(np.diff(numbers[order]) == 0)
    if len(again):
        frames.fail(int(order[again[0] + 1]), "frame_id", "every frame once")
    # The inferencer numbers frames from 0, the demos from 1; both write all frames.
    first = int(numbers.min()) if len(numbers) else 0
    num_frames, positions = numbered_frames(numbers, first, path, "'frame_id'")
    instances, owners = frames.children(
        "instances", lambda t, i: f"{path}: frame {numbers[t]}: instances[{i}]", needed=True
    )
    of_people = positions[owners] if len(owners) else np.zeros(0, int)
    return _Video(num_frames, positions, of_people, instances, named)


def _joint_names(path: Path, meta: Any) -> tuple[str, ...] | None:
    """`keypoint_id2name`, a record {"0": "nose", ...}."""
    table = meta.get("keypoint_id2name") if isinstance(meta, dict) else None
    if table is None:
        return None
    where = f"{path}: 'meta_info': 'keypoint_id2name'"
    if not isinstance(table, dict) or not all(isinstance(name, str) for name in table.values()):
        raise InputError(f"{where}: expected numbers and names of joints, got {shown(table)}")
    if set(table) != {str(k) for k in range(len(table))}:
        raise InputError(f"{where}: expected joints 0 to {len(table) - 1}, got {shown(list(table))}")
    return tuple(table[str(k)] for k in range(len(table)))


def _clip(
    path: Path, name: str, video: _Video, names: tuple[str, ...] | None, images: Images | None, order: str | None
) -> Clip:
    people = Records([_flat(video.instances, i) for i in range(len(video.instances))], video.instances.where)
    width = first_length(people, "keypoints")
    joints = joints_named(
        None if width is None else width // 2,
        order=order,
        named=video.joints,
        by_count=_BY_COUNT,
        where=f"{path}: 'keypoints'",
    )
    table, given = people.rows("keypoints", [2 * len(joints)], largest=LARGEST_PX)
    keypoints = np.full((len(people), len(joints), 2), np.nan)
    keypoints[given] = table.reshape(-1, len(joints), 2)
    table, given = people.rows("keypoint_scores", [len(joints)], largest=LARGEST_SCORE)
    scores = np.full((len(people), len(joints)), np.nan)
    scores[given] = table
    keypoints, scores = without_missing(keypoints, scores)
    if names and not images:
        listing = Listing(names, video.frames, (name,) * len(names))
    else:
        listing = numbered(video.frames, video.lines, video.num_frames, images, path)
    poses = SourcePoses(
        name=name,
        image_names=listing.names,
        frames=listing.positions,
        notes=listing.notes,
        joints=joints,
        keypoints=keypoints,
        keypoint_scores=scores,
        scores=people.numbers("bbox_score", largest=LARGEST_SCORE),
        boxes=boxes_of(people, "bbox", corners=True),
        track_ids=track_ids_of(people, "track_id"),
    )
    return to_clip(poses, path)


def _flat(instances: Records, i: int) -> dict[str, Any]:
    """The instance with its coordinates in one list, and its box without the outer list."""
    instance = instances.records[i]
    pairs, box = instance.get("keypoints"), instance.get("bbox")
    if not isinstance(pairs, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
        instances.fail(i, "keypoints", "a list of [x, y]")
    if isinstance(box, list) and len(box) == 1 and isinstance(box[0], list):
        box = box[0]
    return {**instance, "keypoints": [value for pair in pairs for value in pair], "bbox": box}
