"""Scores a tracker on sequences: the figures of `eval_posetrack` per joint, and IDF1 and identity switches of people.

Publications report MOTA and HOTA of joints, but IDF1 and switches of people.
"""

from __future__ import annotations

import time
from collections import abc
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import linear_sum_assignment

from benchmarks.sequences import Sequence, SequenceTracker, posetrack_clip
from eval_posetrack.formats.clip import Clip
from eval_posetrack.metrics.average_precision import assign_poses
from eval_posetrack.metrics.clean import Scene, clean
from eval_posetrack.metrics.counts import Counts, count
from eval_posetrack.metrics.match import NearJoints, near_joints
from eval_posetrack.metrics.rules import DEFAULT
from posetrail.poses import Poses, TrackedPoses
from posetrail.skeletons import COCO_17, coco_to_posetrack

METRICS = ("MOT", "IDF1", "HOTA")


@dataclass(frozen=True)
class Row:
    """One tracker's figures over all sequences."""

    mota: float  # of joints, by eval_posetrack, as all in this block
    hota: float
    idf1: float
    switches: float  # mean over joints: about the number of confused people
    idf1_people: float  # of people: a pose is assigned to a person as in PoseTrack's AP
    switches_people: int  # changes of the id of a person
    microseconds: float  # per frame
    people: int  # annotated people, summed over frames

    @property
    def goodness(self) -> float:
        """The criterion for choosing settings."""
        return (self.mota + self.hota + self.idf1_people) / 3

    TITLES = ("MOTA", "HOTA", "IDF1", "switches", "IDF1 people", "switches people", "us/frame")

    def cells(self) -> tuple[str, ...]:
        """The figures as text, in the order of TITLES."""
        figures = (f"{value:.1f}" for value in (self.mota, self.hota, self.idf1, self.switches, self.idf1_people))
        return (*figures, str(self.switches_people), f"{self.microseconds:.0f}")


def predicted_clip(sequence: Sequence, tracked: abc.Sequence[TrackedPoses]) -> Clip:
    """Tracked poses as a PoseTrack clip; boxes without joints get the joints that belong to them."""
    poses = [
        _with_joints(frame.poses, joints) if np.isnan(frame.poses.keypoints).all() else frame.poses
        for frame, joints in zip(tracked, sequence.joints, strict=True)
    ]
    frames = np.repeat(np.arange(len(tracked)), [len(each) for each in poses])
    together = Poses.concatenate([*poses, Poses.empty(len(COCO_17))])
    keypoints, scores = coco_to_posetrack(together.keypoints, together.keypoint_scores)
    scores = np.where(np.isnan(keypoints[..., 0]), np.nan, scores)
    ids = np.concatenate([[], *(frame.track_ids for frame in tracked)])
    times = np.array([time_s for _, time_s in sequence.frames])
    return posetrack_clip(sequence.name, times, frames, ids, keypoints, scores, together.boxes, together.scores)


def _with_joints(poses: Poses, joints: Poses) -> Poses:
    """The poses with the joints of those poses in `joints` that have the same boxes."""
    if not len(poses):
        return poses
    apart = np.abs(poses.boxes[:, None] - joints.boxes[None]).max(axis=2)
    rows = apart.argmin(axis=1)
    there = apart.min(axis=1) < 1
    return replace(joints[rows], keypoints=np.where(there[:, None, None], joints.keypoints[rows], np.nan))


def score(sequences: abc.Sequence[Sequence], tracker: SequenceTracker) -> Row:
    """The figures of a tracker over all sequences together.

    A tracker may have an attribute `seconds` with the total time of its updates; otherwise the whole call is timed.
    """
    joints, people, seconds = [], [], 0.0
    for one in sequences:
        before, started = getattr(tracker, "seconds", 0.0), time.perf_counter()
        tracked = tracker(one)
        passed = time.perf_counter() - started
        seconds += getattr(tracker, "seconds", before + passed) - before
        scene = clean(one.ground_truth, predicted_clip(one, tracked))
        near = near_joints(scene)
        joints.append(count(scene, DEFAULT, METRICS, near))
        people.append(count_people(scene, near))
    total = Counts.join(joints).figures(DEFAULT, pooled=True)
    right, annotated, predictions, switches = np.sum(people, axis=0)
    frames = sum(len(one.frames) for one in sequences)
    return Row(
        mota=total["MOTA"].total,
        hota=total["HOTA"].total,
        idf1=total["IDF1"].total,
        switches=float(total["switches"].per_joint.mean()),
        idf1_people=200 * right / (annotated + predictions),
        switches_people=int(switches),
        microseconds=1e6 * seconds / frames,
        people=int(annotated),
    )


def count_people(scene: Scene, near: NearJoints) -> tuple[int, int, int, int]:
    """Counts of people: true positives of identity, annotated, predicted; and switches."""
    assigned = assign_poses(scene, near, DEFAULT)
    mine = np.flatnonzero(assigned >= 0)
    theirs = assigned[mine]
    ground_truth_tracks, ground_truth_track = np.unique(scene.ground_truth.ids, return_inverse=True)
    predicted_tracks, predicted_track = np.unique(scene.predictions.ids, return_inverse=True)
    together = np.zeros((len(ground_truth_tracks), len(predicted_tracks)), int)
    np.add.at(together, (ground_truth_track[theirs], predicted_track[mine]), 1)
    right = together[linear_sum_assignment(together, maximize=True)].sum()

    order = np.lexsort((scene.ground_truth.frames[theirs], ground_truth_track[theirs]))
    owner, track = ground_truth_track[theirs][order], predicted_track[mine][order]
    switches = ((np.diff(owner) == 0) & (np.diff(track) != 0)).sum()
    return int(right), len(scene.ground_truth), len(scene.predictions), int(switches)


def perfect(sequence: Sequence, *, keep_false: bool = False) -> list[TrackedPoses]:
    """Perfect ids: each pose gets the id of the person it is assigned to; the others are left out or get new ids."""
    numbered, out = 0, []
    everything = []
    for poses in sequence.joints:
        everything.append(TrackedPoses(poses, numbered + np.arange(len(poses))))
        numbered += len(poses)
    scene = clean(sequence.ground_truth, predicted_clip(sequence, everything))
    assigned = assign_poses(scene, near_joints(scene), DEFAULT)
    owner = np.full(numbered, -1)
    owner[scene.predictions.ids] = np.where(assigned >= 0, scene.ground_truth.ids[assigned], -1)
    for frame, (poses, _) in zip(everything, sequence.frames, strict=True):
        whose = owner[frame.track_ids]
        ids = np.where(whose >= 0, whose, 10_000 + frame.track_ids)
        rows = slice(None) if keep_false else whose >= 0
        out.append(TrackedPoses(poses[rows], ids[rows]))
    return out
