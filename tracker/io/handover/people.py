"""What the formats share: names of people that are unique, and tracks as dense arrays."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import PurePath

import numpy as np

from posetrail.poses import TrackedPoses
from tracker.io.writers.base import ClipInfo
from tracker.tracked_clip import TrackedClip


@dataclass(frozen=True, eq=False)
class Handover:
    """A clip's tracks and what is known of the clip."""

    info: ClipInfo
    clip: TrackedClip

    @property
    def stem(self) -> str:
        """The clip's name without its ending."""
        return PurePath(self.info.name).stem or "clip"

    @property
    def num_frames(self) -> int:
        """Frames of the video, from 0 to the last one of the run."""
        return int(self.clip.frame_indices[-1]) + 1 if len(self.clip) else 0

    @property
    def track_ids(self) -> list[int]:
        """Ids of the P people, ascending."""
        return np.unique(self.clip.track_ids).tolist()

    @property
    def labels(self) -> dict[int, str]:
        """A name for each id: the one that was given, or person_ID. Equal names get their ids appended."""
        given = {i: self.clip.names.get(i) or f"person_{i}" for i in self.track_ids}
        times = Counter(given.values())
        return {i: name if times[name] == 1 else f"{name}_{i}" for i, name in given.items()}

    def people(self, frame: int) -> TrackedPoses:
        """The people of a frame of the video; none if the run has no such frame."""
        position = int(np.searchsorted(self.clip.frame_indices, frame))
        if position == len(self.clip) or self.clip.frame_indices[position] != frame:
            return TrackedPoses.empty(len(self.info.skeleton))
        return self.clip.people(position)


def dense(tracks: Handover, rows: np.ndarray, num_rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The tracks with one row per frame and one column per person.

    Args:
        tracks: T poses of P people with K joints.
        rows: (T,) int row of the frame of each pose.
        num_rows: F.

    Returns:
        keypoints (F, P, K, 2) float32 pixels, NaN where missing; scores (F, P, K) float32, NaN where missing;
        interpolated (F, P) bool.
    """
    clip, ids = tracks.clip, tracks.track_ids
    columns = np.searchsorted(ids, clip.track_ids)
    keypoints = np.full((num_rows, len(ids), len(tracks.info.skeleton), 2), np.nan, np.float32)
    scores = np.full(keypoints.shape[:3], np.nan, np.float32)
    interpolated = np.zeros(keypoints.shape[:2], bool)
    seen = np.isfinite(clip.poses.keypoints).all(axis=2)
    keypoints[rows, columns] = np.where(seen[:, :, None], clip.poses.keypoints, np.nan)
    scores[rows, columns] = np.where(seen, clip.poses.keypoint_scores, np.nan)
    interpolated[rows, columns] = clip.interpolated
    return keypoints, scores, interpolated
