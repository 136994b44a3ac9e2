"""Folders of OpenPose-like JSON, one file per frame: what VIBE (STAF's joints) and Pose2Sim read.

A file is {"version": 1.3, "people": [{"person_id": [3], "name": "Ada", "pose_keypoints_2d": [x, y, score, ...]}]};
missing joints are 0, 0, 0.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import orjson

from posetrail.skeletons import BODY_25, UNKNOWN_SIGMA, Skeleton, mapped
from tracker.io.handover.people import Handover
from tracker.io.writers.base import DECIMALS_PX, DECIMALS_SCORE, by_id, rounded

STAF_21 = Skeleton(  # the neck of BODY_25 is the middle of the shoulders; the one of LSP, with the head top, is higher
    name="staf_21",
    joints=(BODY_25.joints[0], "thorax", *BODY_25.joints[2:19], "neck", "head_top"),
    limbs=(),
    oks_sigmas=(UNKNOWN_SIGMA,) * 21,
)
"""The joints of STAF (Raaj et al., CVPR 2019), which VIBE takes: BODY_25 without feet, then LSP's neck and head top."""


def write_frames(folder: Path, tracks: Handover, skeleton: Skeleton) -> None:
    """Write a file for each frame of the video, in the order of their names.

    Args:
        folder: exists.
        tracks: people, with joints of any skeleton.
        skeleton: the joints of the files; those of the run that have other names are mapped, see `mapped`.
    """
    source, labels = tracks.info.skeleton, tracks.labels
    digits = max(6, len(str(tracks.num_frames)))
    for frame in range(tracks.num_frames):
        people = by_id(tracks.people(frame))
        joints = joints_of(people.poses.keypoints, people.poses.keypoint_scores, source, skeleton)
        values = [
            {"person_id": [track_id], "name": labels[track_id], "pose_keypoints_2d": row.ravel().tolist()}
            for track_id, row in zip(people.track_ids.tolist(), np.nan_to_num(joints), strict=True)
        ]
        path = folder / f"{tracks.stem}_{frame:0{digits}}_keypoints.json"
        path.write_bytes(orjson.dumps({"version": 1.3, "people": values}))


def joints_of(keypoints: np.ndarray, scores: np.ndarray, source: Skeleton, target: Skeleton) -> np.ndarray:
    """Joints (N, M, 3) of `target`, x y in pixels and score, rounded; NaN and 0 where missing."""
    if source != target:
        keypoints, scores = mapped(keypoints, scores, source, target)
    seen = np.isfinite(keypoints).all(axis=2)
    places = np.where(seen[:, :, None], rounded(keypoints, DECIMALS_PX), np.nan)
    return np.concatenate([places, np.where(seen, rounded(scores, DECIMALS_SCORE), 0.0)[:, :, None]], axis=2)
