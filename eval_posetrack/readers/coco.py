"""COCO keypoints: lists of results as of MMPose, Detectron2 and Ultralytics, and annotation files with images.

Results are a list of people: `image_id`, `keypoints` with x y score of each joint, `score`, and optionally `bbox` (x y
width height) and `track_id`. Annotation files have such people as `annotations` beside `images` and `categories`; the
third number of their joints is the visibility flag. Format: https://cocodataset.org/#format-data and #format-results.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from eval_posetrack.formats.clip import NO_SCORE, Clip
from eval_posetrack.formats.columns import LARGEST_SCORE, Records, shown
from eval_posetrack.readers.frames import clips_of, listing
from eval_posetrack.readers.images import Images, images_of, joints_of_categories
from eval_posetrack.readers.joints import joints_named
from eval_posetrack.readers.source_poses import SourcePoses
from eval_posetrack.readers.sources import (
    boxes_of,
    files_of,
    first_length,
    joints_of,
    read_json,
    track_ids_of,
)
from posetrail.errors import InputError

_BY_COUNT = ("coco_17", "coco_133", "halpe_26", "halpe_136", "mpii_16")


def read(path: Path, images: Images | None, joints: str | None) -> list[Clip]:
    """One file, or every `*.json` of a folder.

    Args:
        path: a file of results, or one with images and annotations.
        images: the frames, which a list of results does not contain.
        joints: a name of `joints.LAYOUTS`, if the names in the file are wrong or missing.

    Raises:
        InputError: the file cannot be read or used.
    """
    return [clip for file in files_of(path, [".json"], "COCO JSON files") for clip in _read_file(file, images, joints)]


def _read_file(path: Path, images: Images | None, order: str | None) -> list[Clip]:
    content = read_json(path)
    named = images.joints if images else None
    if isinstance(content, dict) and isinstance(content.get("annotations"), list):
        named = joints_of_categories(content, path) or named
        if images is None and isinstance(content.get("images"), list):
            images = images_of(content, path)
        people = Records(content["annotations"], lambda i: _where(path, content["annotations"], f"annotations[{i}]", i))
    elif isinstance(content, list):
        people = Records(content, lambda i: _where(path, content, f"results[{i}]", i))
    else:
        raise InputError(
            f"{path}: expected a list of COCO results, or a file with 'images' and 'annotations', got {shown(content)}"
        )
    width = first_length(people, "keypoints")
    names = joints_named(
        None if width is None else width // 3,
        order=order,
        named=named,
        by_count=_BY_COUNT,
        where=f"{path}: 'keypoints'",
    )
    keypoints, thirds = joints_of(people, "keypoints", [3 * len(names)])
    keypoints, scores = _labelled(keypoints, thirds, results=isinstance(content, list))
    poses = SourcePoses(
        name=path.stem,
        image_names=(),
        frames=np.zeros(0, int),
        joints=names,
        keypoints=keypoints,
        keypoint_scores=_joint_scores(people, scores),
        scores=people.numbers("score", largest=LARGEST_SCORE),
        boxes=boxes_of(people, "bbox", corners=False),
        track_ids=track_ids_of(people, "track_id"),
    )
    return clips_of(poses, listing(people, "image_id", images, path), path)


def _where(path: Path, records: list[Any], name: str, i: int) -> str:
    record = records[i]
    frame = f" (image_id {shown(record['image_id'])})" if isinstance(record, dict) and "image_id" in record else ""
    return f"{path}: {name}{frame}"


def _labelled(keypoints: np.ndarray, thirds: np.ndarray, *, results: bool) -> tuple[np.ndarray, np.ndarray]:
    """Joints and scores from the third numbers: visibility flags (0 not labelled, 1 hidden, 2 visible) or scores.

    In results, third numbers of only 0 and 1 are scores.
    """
    given = thirds[np.isfinite(thirds)]
    if not np.isin(given, (0, 1, 2)).all() or (results and not (given == 2).any()):
        return keypoints, thirds
    return np.where((thirds == 0)[:, :, None], np.nan, keypoints), np.full_like(thirds, np.nan)


def _joint_scores(people: Records, scores: np.ndarray) -> np.ndarray:
    """(P, K) scores, from a separate list where people have one."""
    for key in ("keypoint_scores", "scores"):
        table, given = people.rows(key, [scores.shape[1]], largest=LARGEST_SCORE)
        if len(given):
            scores[given] = np.where(table == NO_SCORE, np.nan, table)
    return scores
