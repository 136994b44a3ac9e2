"""Windows of poses for the page: a JSON head and arrays in one binary answer.

    uint32 length of the head | head, JSON | zero bytes up to a multiple of 4
    track ids int32 (M,) | flags uint32 (M,) | boxes float32 (M, 4) | keypoints float32 (M, K, 2) | scores uint8 (M, K)

All little endian. The head holds `revision`, `first`, `count`, `joints` (K) and `people`, the number of poses of each
frame, M in all. Flags: 1 interpolated, 2 propagated, 4 corrected. Missing joints are NaN with score 0; scores are 0 to
255.
"""

from __future__ import annotations

import struct

import numpy as np
import orjson

from tracker.tracked_clip import TrackedClip

INTERPOLATED, PROPAGATED, CORRECTED = 1, 2, 4
LARGEST_WINDOW = 4096  # frames


def pose_window(clip: TrackedClip, first: int, count: int, revision: int) -> bytes:
    """The poses of `count` frames from position `first` on; fewer at the end of the clip.

    Args:
        clip: the tracks.
        first: position of the first frame.
        count: number of frames.
        revision: of the tracks.
    """
    end = min(first + min(count, LARGEST_WINDOW), len(clip))
    rows = slice(clip.begins[first], clip.begins[end])
    poses = clip.poses[rows]
    flags = INTERPOLATED * clip.interpolated[rows].astype("<u4") + PROPAGATED * poses.propagated.astype("<u4")
    flags += CORRECTED * (clip.edits[rows] != 0).astype("<u4")
    head = {
        "revision": revision,
        "first": first,
        "count": end - first,
        "joints": poses.keypoints.shape[1],
        "people": np.diff(clip.begins[first : end + 1]).tolist(),
    }
    text = orjson.dumps(head)
    scores = np.nan_to_num(poses.keypoint_scores).clip(0, 1) * 255
    return b"".join(
        [
            struct.pack("<I", len(text)),
            text,
            bytes(-len(text) % 4),
            clip.track_ids[rows].astype("<i4").tobytes(),
            flags.astype("<u4").tobytes(),
            poses.boxes.astype("<f4").tobytes(),
            poses.keypoints.astype("<f4").tobytes(),
            np.rint(scores).astype(np.uint8).tobytes(),
        ]
    )
