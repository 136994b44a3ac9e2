"""What VIBE (Kocabas et al., CVPR 2020) and its successors take: a track of square boxes for each person."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tracker.io.handover.openpose_json import STAF_21, joints_of
from tracker.io.handover.people import Handover
from tracker.io.handover.vibe_geometry import boxes_from_joints, squares


def write_boxes(path: Path, tracks: Handover) -> None:
    """Write an npz without pickled objects: for each person, the arrays of VIBE's own tracking results.

    `track_ids` (P,), `names` (P,), `image_size` (2,) width and height, `fps` (); and for each id, as in `frames_7`:

    - `frames_ID` (T,) int64: numbers in the video, without gaps
    - `bbox_ID` (T, 4) float64: centre x, centre y, side, side, pixels; see `boxes_from_joints`
    - `joints2d_ID` (T, 21, 3) float64: the joints of STAF, x y and score, 0 where missing
    - `interpolated_ID` (T,) bool: no pose was measured in this frame

    People who have no joints above the least score of a box are left out.
    """
    clip = tracks.clip
    arrays: dict[str, Any] = {}
    kept = []
    for track_id in tracks.track_ids:
        rows = np.flatnonzero(clip.track_ids == track_id)
        numbers = clip.frame_of_pose[rows]
        start, length = int(numbers[0]), int(numbers[-1] - numbers[0]) + 1
        joints = np.full((length, len(STAF_21), 3), np.nan)
        of_rows = clip.poses[rows]
        joints[numbers - start] = joints_of(of_rows.keypoints, of_rows.keypoint_scores, tracks.info.skeleton, STAF_21)
        boxes, (first, last) = boxes_from_joints(joints[:, :, :2], np.nan_to_num(joints[:, :, 2]))
        if not len(boxes):
            continue
        measured = np.zeros(length, bool)
        measured[numbers - start] = ~clip.interpolated[rows]
        kept.append(track_id)
        arrays[f"frames_{track_id}"] = np.arange(start + first, start + last)
        arrays[f"bbox_{track_id}"] = squares(boxes)
        arrays[f"joints2d_{track_id}"] = np.nan_to_num(joints[first:last])
        arrays[f"interpolated_{track_id}"] = ~measured[first:last]
    np.savez(
        path,
        track_ids=np.array(kept, np.int64),
        names=np.array([tracks.labels[i] for i in kept], str),
        image_size=np.array([tracks.info.width, tracks.info.height]),
        fps=np.array(tracks.info.fps),
        **arrays,
    )
