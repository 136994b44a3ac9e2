"""Trackers as functions from a sequence to tracked poses: that of posetrail, and simple greedy loops for comparison."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from benchmarks.sequences import Sequence
from posetrail.assignment import associate
from posetrail.poses import Poses, TrackedPoses
from posetrail.similarity import box_area, box_iou, oks
from posetrail.skeletons import COCO_17
from tracker.association.follow import associate_clip
from tracker.frames import PoseFrame, PropagatedPoses
from tracker.settings import AssociationSettings

_STILL = np.eye(2, 3)


@dataclass(frozen=True)
class Greedy:
    """A simple loop: greedy matching by similarity, without motion model and without confirmation."""

    similarity: Literal["iou", "oks"]
    memory_frames: int  # a track unmatched for longer ends
    min_similarity: float

    def __call__(self, sequence: Sequence) -> list[TrackedPoses]:
        """Track one sequence."""
        known, born, out = Poses.empty(len(COCO_17)), np.zeros(0, int), []
        last_seen, numbered = np.zeros(0, int), 0
        for t, (poses, _) in enumerate(sequence.frames):
            recent = t - last_seen <= self.memory_frames
            known, born, last_seen = known[recent], born[recent], last_seen[recent]
            pairs = associate(self._similarities(known, poses), self.min_similarity, "greedy")
            ids = np.full(len(poses), -1)
            ids[pairs[:, 1]] = born[pairs[:, 0]]
            ids[ids < 0] = numbered + np.arange((ids < 0).sum())
            numbered = max(numbered, ids.max(initial=-1) + 1)
            others = np.isin(born, ids, invert=True)
            known = Poses.concatenate([known[others], poses])
            born, last_seen = np.append(born[others], ids), np.append(last_seen[others], np.full(len(poses), t))
            out.append(TrackedPoses(poses, ids))
        return out

    def _similarities(self, known: Poses, poses: Poses) -> np.ndarray:
        overlap = box_iou(known.boxes, poses.boxes)
        if self.similarity == "iou" or np.isnan(poses.keypoints).all():
            return overlap
        return oks(poses.keypoints, known.keypoints, box_area(known.boxes), COCO_17.oks_sigmas).T


class Posetrail:
    """The tracker of posetrail: online, or with offline linking if the settings say `offline`."""

    def __init__(self, settings: AssociationSettings, *, camera: bool = True) -> None:
        """`camera`: pass on the camera motion, as inference does."""
        self.settings, self.camera, self.seconds = settings, camera, 0.0

    def __call__(self, sequence: Sequence) -> list[TrackedPoses]:
        """Track one sequence."""
        seen = [
            PoseFrame(
                t, time_s, "", poses, PropagatedPoses.empty(len(COCO_17)), sequence.camera[t] if self.camera else _STILL
            )
            for t, (poses, time_s) in enumerate(sequence.frames)
        ]
        started = time.perf_counter()
        out = [people for _, people in associate_clip(lambda: seen, self._settings(sequence), COCO_17)()]
        self.seconds += time.perf_counter() - started
        return out

    def _settings(self, sequence: Sequence) -> AssociationSettings:
        """Without smoothing and interpolation if there are only boxes, which are scored by their joints."""
        jointless = all(np.isnan(poses.keypoints).all() for poses, _ in sequence.frames)
        return replace(self.settings, smooth="none", max_interpolation_gap_s=0.0) if jointless else self.settings
