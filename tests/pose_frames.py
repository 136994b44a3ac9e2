"""Frames of poses from synthetic worlds, as a perfect detector and estimator without optical flow would log them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from posetrail.poses import Poses, TrackedPoses
from posetrail.skeletons import COCO_17
from tests.worlds import Walker, World, line
from tracker.association.offline import associate_offline
from tracker.frames import PoseFrame, PropagatedPoses
from tracker.settings import AssociationSettings

CROSSING = World(
    (Walker(line((20, 60), (120, 0))), Walker(line((500, 75), (-120, 0))), Walker(line((300, 10), (0, 60)))),
    num_frames=90,
)
"""Three people, two of whom cross."""

OFFLINE = AssociationSettings(smooth="none", max_interpolation_gap_s=0.5)
"""Without smoothing, which has tests of its own."""


def pose_frames(world: World, *, shuffle: int | None = None, stride: int = 1, joints: bool = True) -> list[PoseFrame]:
    """The world's frames with the true poses of everyone who is not missed.

    Args:
        world: of 17 joints per person.
        shuffle: seed of a random order of the people in each frame; by default their order in the world.
        stride: takes every n-th frame.
        joints: whether poses have joints; otherwise they have boxes alone.
    """
    random = np.random.default_rng(shuffle)
    frames = []
    for index in range(0, world.num_frames, stride):
        time_s = index / world.fps
        visible = [w for w in world.walkers if not w.missed(index)]
        keypoints = np.array([w.keypoints(time_s) for w in visible]).reshape(-1, 17, 2)
        boxes = np.array([w.box(time_s) for w in visible]).reshape(-1, 4)
        scores = np.array([w.box_score(index) for w in visible])
        poses = Poses(keypoints, np.full(keypoints.shape[:2], 0.8), boxes, scores, np.zeros(len(visible)))
        if not joints:
            nothing = np.full(keypoints.shape, np.nan)
            poses = replace(poses, keypoints=nothing, keypoint_scores=np.zeros((len(visible), 17)))
        if shuffle is not None:
            poses = poses[random.permutation(len(poses))]
        frames.append(PoseFrame(index, time_s, f"{index:06d}.jpg", poses, PropagatedPoses.empty(17)))
    return frames


def missed_in(*spans: tuple[int, int]) -> Callable[[int], bool]:
    """For `Walker.missed`: the walker is missed from each span's first frame on, up to its end."""
    return lambda frame: any(first <= frame < end for first, end in spans)


def tracked_offline(
    frames: list[PoseFrame], settings: AssociationSettings = OFFLINE, **changes: float
) -> list[TrackedPoses]:
    """The tracked poses of each frame, associated offline."""
    settings = replace(settings, **changes)
    return [tracked for _, tracked in associate_offline(lambda: frames, settings, COCO_17)()]


def ids_of_walkers(world: World, tracked: Iterable[tuple[int, TrackedPoses]]) -> list[dict[int, int]]:
    """For every frame, given with its index: row of the walker -> track id, without interpolated poses."""
    ids = []
    for index, frame in tracked:
        frame = frame[~frame.interpolated]
        walkers = [world.walker_at(index, box) for box in frame.poses.boxes]
        ids.append(dict(zip(walkers, frame.track_ids.tolist(), strict=True)))
    return ids
