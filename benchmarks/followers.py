"""Our trackers, and the loops people write first, as followers: one sequence in, ids out."""

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
    """The loop people write first: the most alike pair, then the next; nobody dropped, no motion."""

    similarity: Literal["iou", "oks"]
    memory_frames: int  # a person unseen for longer is somebody new
    min_similarity: float

    def __call__(self, sequence: Sequence) -> list[TrackedPoses]:
        """The ids of one sequence."""
        known, born, out = Poses.empty(len(COCO_17)), np.zeros(0, int), []
        last_seen, numbered = np.zeros(0, int), 0
        for t, (poses, _) in enumerate(sequence.frames):
            recent = t - last_seen <= self.memory_frames
            known, born, last_seen = known[recent], born[recent], last_seen[recent]
            pairs = associate(self._alike(known, poses), self.min_similarity, "greedy")
            ids = np.full(len(poses), -1)
            ids[pairs[:, 1]] = born[pairs[:, 0]]
            ids[ids < 0] = numbered + np.arange((ids < 0).sum())
            numbered = max(numbered, ids.max(initial=-1) + 1)
            others = np.isin(born, ids, invert=True)
            known = Poses.concatenate([known[others], poses])
            born, last_seen = np.append(born[others], ids), np.append(last_seen[others], np.full(len(poses), t))
            out.append(TrackedPoses(poses, ids))
        return out

    def _alike(self, known: Poses, poses: Poses) -> np.ndarray:
        overlap = box_iou(known.boxes, poses.boxes)
        if self.similarity == "iou" or np.isnan(poses.keypoints).all():
            return overlap
        return oks(poses.keypoints, known.keypoints, box_area(known.boxes), COCO_17.oks_sigmas).T


class Ours:
    """Our tracker with these settings: frame by frame, or with associate_offline if they say `offline`."""

    def __init__(self, settings: AssociationSettings, *, camera: bool = True) -> None:
        """`camera`: tell it of the camera's motion, as the stage before it would."""
        self.settings, self.camera, self.seconds = settings, camera, 0.0

    def __call__(self, sequence: Sequence) -> list[TrackedPoses]:
        """The ids of one sequence."""
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
        """Boxes alone are scored by the joints found in them, so none may be moved or put in between."""
        jointless = all(np.isnan(poses.keypoints).all() for poses, _ in sequence.frames)
        return replace(self.settings, smooth="none", max_interpolation_gap_s=0.0) if jointless else self.settings
