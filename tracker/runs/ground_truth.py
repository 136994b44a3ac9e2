"""Ground truth out of corrected tracks: only frames that a person has checked are labelled.

- PoseTrack 2018: all frames are listed, so that the file pairs with the tracks of the run frame by frame; others than
  the checked ones have `is_labeled` false and no people. Head boxes, the unit of the benchmark's distances, are made
  from the head joints. The official evaluation leaves out labelled frames without people.
- COCO: checked images alone, because an image without annotations means one without people. No scores. Visibility is 2;
  it is 1 for joints that a person has placed and then hidden, and 0 for all other missing joints.
- CSV: rows of checked frames alone. A checked frame without people has one row without a joint.

Joints are where they were measured or where a person has put them; poses of short gaps stay, marked as interpolated,
because a person has looked at them.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from eval_posetrack.formats.clip import LARGEST_TRACK_ID, Clip
from eval_posetrack.formats.posetrack_2018 import Stream2018
from posetrail.errors import InputError
from posetrail.files import written_whole
from posetrail.joint_mapping import mapped
from posetrail.skeletons import POSETRACK_15
from tracker.io.writers import ClipInfo
from tracker.io.writers.base import DECIMALS_PX, DECIMALS_S, DECIMALS_SCORE, rounded
from tracker.io.writers.posetrack import check_suits_posetrack
from tracker.tracked_clip import PoseName, TrackedClip

_HEAD_PER_DIAGONAL = 0.7
"""In PoseTrack's own annotations, the distance from neck to head top is this share of the diagonal of the head box:
14 of 14 people in three of its files."""
_HEAD_PER_BODY = 0.2  # diagonal of a head box by the longer side of the body's, where no head of the clip is known
_VISIBLE, _HIDDEN = 2, 1


@dataclass(frozen=True, eq=False, kw_only=True)
class GroundTruth:
    """Corrected tracks of a clip, and which of its frames are labelled."""

    clip: TrackedClip
    info: ClipInfo
    labelled: np.ndarray  # (F,) bool
    checked_by: tuple[str, ...]  # F names, empty where a frame is not labelled
    hidden: Mapping[PoseName, Mapping[int, tuple[float, float]]] = field(default_factory=dict)
    """Places of joints that a person has placed and then hidden, by pose and joint."""
    origin: Mapping[str, Any] = field(default_factory=dict)  # what made the labels and who; JSON


def write_posetrack(path: Path, truth: GroundTruth) -> None:
    """Write PoseTrack 2018.

    Raises:
        InputError: the skeleton has no place in the format, or a track id is above 9999.
    """
    check_suits_posetrack(truth.info.skeleton)
    clip, labelled = truth.clip, truth.labelled
    rows = np.flatnonzero(labelled[clip.positions])
    track_ids, poses, frames = clip.track_ids[rows], clip.poses[rows], clip.positions[rows]
    if track_ids.max(initial=0) > LARGEST_TRACK_ID:
        raise InputError(
            f"{path}: expected track ids up to {LARGEST_TRACK_ID}, as PoseTrack files have, got {track_ids.max()}; "
            "export coco or csv instead"
        )
    keypoints, _ = mapped(poses.keypoints, poses.keypoint_scores, truth.info.skeleton, POSETRACK_15)
    keypoints = keypoints.astype(np.float64)
    has_joints = np.isfinite(keypoints).all(axis=2).any(axis=1)
    people = Clip(
        name=path.stem,
        image_names=clip.frame_names,
        frames=frames,
        track_ids=track_ids,
        scores=np.full(len(rows), np.nan),
        keypoints=keypoints,
        keypoint_scores=np.full(keypoints.shape[:2], np.nan),
        boxes=poses.boxes,
        interpolated=clip.interpolated[rows],
        head_boxes=head_boxes(keypoints, track_ids, poses.boxes),
        ignore_regions=((),) * len(clip),
        labeled=labelled,
        times=clip.times_s,
    ).with_people(has_joints)
    with written_whole(path) as beside, beside.open("wb") as file:
        stream = Stream2018(file, truth.info.name, 2018, info=truth.origin)
        stream.add(people)
        stream.finish()


def head_boxes(keypoints: np.ndarray, track_ids: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Head boxes (P, 4) in pixels: squares around the middle between neck and head top.

    Where one of these joints is missing, the size follows from the size of the body, as in the person's other poses, or
    in those of all people; the box then lies around the nose or the middle of the upper edge of the body's box.

    Args:
        keypoints: (P, 15, 2) joints of PoseTrack, NaN where missing.
        track_ids: (P,) whose poses they are.
        boxes: (P, 4) of the bodies.
    """
    neck, top, nose = (keypoints[:, POSETRACK_15.index(joint)] for joint in ("neck", "head_top", "nose"))
    boxes = boxes.astype(np.float64)
    body = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
    diagonals = np.linalg.norm(top - neck, axis=1) / _HEAD_PER_DIAGONAL
    known = diagonals > 0  # false for NaN
    shares = diagonals / np.maximum(body, 1e-6)
    usual = np.median(shares[known]) if known.any() else _HEAD_PER_BODY
    for track_id in np.unique(track_ids[~known]):
        own = track_ids == track_id
        share = np.median(shares[own & known]) if (own & known).any() else usual
        diagonals[own & ~known] = share * body[own & ~known]
    upper_edge = np.column_stack([(boxes[:, 0] + boxes[:, 2]) / 2, boxes[:, 1]])
    elsewhere = np.where(np.isfinite(nose).all(axis=1, keepdims=True), nose, upper_edge)
    centres = np.where(known[:, None], (neck + top) / 2, elsewhere)
    half = diagonals[:, None] / 2**1.5
    return np.concatenate([centres - half, centres + half], axis=1)


def write_coco(path: Path, truth: GroundTruth) -> None:
    """Write COCO keypoints."""
    clip, skeleton, size = truth.clip, truth.info.skeleton, {"width": truth.info.width, "height": truth.info.height}
    video = {"id": 1, "name": truth.info.name, "fps": truth.info.fps, **size}
    category = {
        "id": 1,
        "name": "person",
        "supercategory": "person",
        "keypoints": skeleton.joints,
        "skeleton": (skeleton.limb_indices + 1).tolist(),  # COCO counts joints from 1 here
    }
    heads = {"info": truth.origin, "licenses": [], "categories": [category], "videos": [video]}
    with written_whole(path) as beside, beside.open("wb") as file:
        file.write(orjson.dumps(heads)[:-1] + b',\n"images":[\n')
        file.write(b",\n".join(orjson.dumps(_image(truth, k)) for k in np.flatnonzero(truth.labelled).tolist()))
        file.write(b'\n],\n"annotations":[\n')
        rows = np.flatnonzero(truth.labelled[clip.positions]).tolist()
        for number, row in enumerate(rows, 1):
            file.write(b",\n" * (number > 1) + orjson.dumps(_annotation(truth, row, number)))
        file.write(b"\n]}\n")


def _image(truth: GroundTruth, position: int) -> dict[str, Any]:
    index = int(truth.clip.frame_indices[position])
    return {
        "id": index,
        "file_name": truth.clip.frame_names[position],
        "width": truth.info.width,
        "height": truth.info.height,
        "video_id": 1,
        "frame_id": index,
        "time_s": float(rounded(truth.clip.times_s[position], DECIMALS_S)),
        "checked_by": truth.checked_by[position],
    }


def _annotation(truth: GroundTruth, row: int, number: int) -> dict[str, Any]:
    clip = truth.clip
    frame = int(clip.frame_of_pose[row])
    joints = np.zeros((len(truth.info.skeleton), 3))
    present = np.isfinite(clip.poses.keypoints[row]).all(axis=1)
    joints[present, :2], joints[present, 2] = clip.poses.keypoints[row][present], _VISIBLE
    for joint, place in truth.hidden.get(PoseName(frame, int(clip.pose_rows[row])), {}).items():
        if not present[joint]:
            joints[joint] = (*place, _HIDDEN)
    joints = rounded(joints, DECIMALS_PX)
    x1, y1, x2, y2 = clip.poses.boxes[row].astype(float).tolist()
    box = rounded(np.array([x1, y1, x2 - x1, y2 - y1]), DECIMALS_PX).tolist()
    track_id = int(clip.track_ids[row])
    annotation = {
        "id": number,
        "image_id": frame,
        "category_id": 1,
        "track_id": track_id,
        "bbox": box,
        "area": round(box[2] * box[3], DECIMALS_PX),
        "iscrowd": 0,
        "num_keypoints": int((joints[:, 2] > 0).sum()),
        "keypoints": joints.ravel().tolist(),
    }
    if name := clip.names.get(track_id):
        annotation["name"] = name
    if clip.interpolated[row]:
        annotation["interpolated"] = True
    return annotation


def write_csv(path: Path, truth: GroundTruth) -> None:
    """Write the table of tracks.csv with the columns `name` and `checked_by`; scores are those of the network."""
    with written_whole(path) as beside, beside.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(
            ("frame", "time_s", "track_id", "joint", "x", "y", "score", "interpolated", "name", "checked_by")
        )
        for position in np.flatnonzero(truth.labelled).tolist():
            writer.writerows(_csv_rows(truth, position))


def _csv_rows(truth: GroundTruth, position: int) -> list[tuple[object, ...]]:
    clip, joints = truth.clip, truth.info.skeleton.joints
    start = (
        int(clip.frame_indices[position]),
        f"{rounded(clip.times_s[position], DECIMALS_S):.{DECIMALS_S}f}",
    )
    people, by = clip.people(position), truth.checked_by[position]
    present = np.isfinite(people.poses.keypoints).all(axis=2)
    places = rounded(people.poses.keypoints, DECIMALS_PX)
    scores = rounded(people.poses.keypoint_scores, DECIMALS_SCORE)
    rows: list[tuple[object, ...]] = []
    for person in np.argsort(people.track_ids).tolist():
        track_id = int(people.track_ids[person])
        for joint in np.flatnonzero(present[person]).tolist():
            x, y = places[person, joint].tolist()
            rows.append(
                (
                    *start,
                    track_id,
                    joints[joint],
                    f"{x:.{DECIMALS_PX}f}",
                    f"{y:.{DECIMALS_PX}f}",
                    f"{scores[person, joint]:.{DECIMALS_SCORE}f}",
                    int(people.interpolated[person]),
                    clip.names.get(track_id, ""),
                    by,
                )
            )
    return rows or [(*start, "", "", "", "", "", "", "", by)]
